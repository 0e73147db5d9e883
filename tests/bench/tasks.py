"""Compares the speed of training by kind of task, at the default settings and 128 rows in a batch.

Usage: python -m tests.bench.tasks [ROUNDS]

It trains `first`, `whole` and `each` in turn on the same 20,000 exercises, ROUNDS times (3 unless told), and
prints rows per second of the epochs after the first, in which TensorFlow traces and compiles, as the median
of the rounds; validation is included. Ratios are taken within a round, as the speed of a machine drifts.
"""

import statistics
import sys
import tempfile
from pathlib import Path

from maskline.trainer.dataset import Rows
from maskline.trainer.fit import fit
from maskline.trainer.settings import TrainerSettings
from maskline.transform.features import SequenceSpec
from tests.bench import each, whole

ROWS, HELD_OUT = 20_000, 1_000
SETTINGS = TrainerSettings.model_validate({"training": {"epochs": 4, "batch_size": 128, "xla": "on"}})


def rows_of(kind: str, count: int, *, seed: int) -> tuple[SequenceSpec, Rows]:
    """Exercises as rows for a kind of task, and their language."""
    if kind == "each":
        return each.SPEC, each.tagged(count, seed=seed)
    rows = whole.arithmetic(count, seed=seed).rows
    return (whole.SPEC, rows) if kind == "whole" else (SequenceSpec(), Rows(rows.x, rows.y[:, 0]))


def speed(kind: str) -> float:
    """Rows per second."""
    spec, train = rows_of(kind, ROWS, seed=0)
    _, held_out = rows_of(kind, HELD_OUT, seed=1)
    with tempfile.TemporaryDirectory() as scratch:
        _, history = fit(
            train, held_out, spec, SETTINGS, log_dir=Path(scratch, "l"), checkpoints=Path(scratch, "c")
        )
    return ROWS / statistics.median(entry["seconds"] for entry in history[1:])


def main(rounds: int) -> None:
    """Measures and prints."""
    found = [{kind: speed(kind) for kind in ("first", "whole", "each")} for _ in range(rounds)]
    print("| task.kind | rows per second | of `first` |\n| --- | --- | --- |")
    for kind in found[0]:
        rate = statistics.median(one[kind] for one in found)
        ratio = statistics.median(one[kind] / one["first"] for one in found)
        print(f"| `{kind}` | {rate:,.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
