"""Draws how likely the release gate lets a model pass, by eval rows and by true difference, into docs.

Usage: python -m tests.bench.power [FILE]   (default docs/release-gate.png; some minutes)
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np

from maskline.components.evaluation.paired import Finding, Pairs, compare
from maskline.components.release_gate.settings import ReleaseGateSettings

matplotlib.use("agg")

from matplotlib import pyplot

DRAWS = 1000
DISAGREEMENT = 0.17  # measured between two trainings of the sample data that differ by their seed
SIZES = (250, 500, 1000, 1500, 2000, 3000, 4000, 6000, 8000)
MARGINS = (0.02, ReleaseGateSettings().margin, 0.05)


def passes(rows: int, difference: float, margin: float) -> float:
    """The share of evaluations on fresh rows in which a model passes as not worse."""
    shares = [(DISAGREEMENT + difference) / 2, (DISAGREEMENT - difference) / 2, 1 - DISAGREEMENT]
    drawn = np.random.default_rng(rows).multinomial(rows, shares, size=DRAWS)
    pairs = (Pairs(rows=rows, better=better, worse=worse) for better, worse, _ in drawn)
    return sum(compare(p, margin=margin).finding is not Finding.UNCLEAR for p in pairs) / DRAWS


def main(file: Path) -> None:
    figure, (by_rows, by_difference) = pyplot.subplots(
        1, 2, figsize=(10, 3.8), sharey=True, layout="constrained"
    )
    for margin, colour in zip(MARGINS, ("#9aa5b1", "#1b7f79", "#c77d2e"), strict=True):
        equal = [passes(rows, 0.0, margin) for rows in SIZES]
        print("margin", margin, dict(zip(SIZES, equal, strict=True)))
        by_rows.plot(SIZES, equal, color=colour, marker=".", label=f"margin {margin:g}")
    by_rows.set(xlabel="eval rows", ylabel="passes", title="a model that is equal")
    differences = np.linspace(-0.05, 0.03, 17)
    for rows, colour in ((1000, "#9aa5b1"), (2000, "#1b7f79"), (8000, "#c77d2e")):
        shares = [passes(rows, difference, MARGINS[1]) for difference in differences]
        print("rows", rows, dict(zip(differences.round(3).tolist(), shares, strict=True)))
        by_difference.plot(differences, shares, color=colour, marker=".", label=f"{rows:,} rows")
    by_difference.axvline(-MARGINS[1], color="black", linewidth=0.8, linestyle="--")
    by_difference.set(xlabel="true difference in accuracy", title=f"margin {MARGINS[1]:g}")
    for axis in (by_rows, by_difference):
        axis.axhline(0.9, color="black", linewidth=0.5, linestyle=":")
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize=8)
    figure.savefig(file, dpi=150)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/release-gate.png"))
