"""What a sweep found: a table, a picture and the settings to paste."""

import json
from collections.abc import Iterator
from pathlib import Path

from markupsafe import Markup
from matplotlib.axes import Axes
from rich.table import Table

from maskline.pipeline.report.blocks import Figure, Grid, ReportSection
from maskline.pipeline.report.page import render
from maskline.pipeline.report.plots import Ink, draw, whole_numbers
from maskline.pipeline.tables import _table
from maskline.pipeline.tune.ledger import Trial

_HEAD = ("trial", "held-out loss", "accuracy", "epochs", "seconds", "state")


def _cells(trial: Trial) -> list[str]:
    values = ", ".join(f"{name}={json.dumps(value)}" for name, value in trial.values.items())
    figures = [f"{trial.loss:.4f}", f"{trial.accuracy:.4f}"] if trial.losses else ["–", "–"]
    epochs = str(len(trial.losses))
    return [str(trial.number), *figures, epochs, f"{trial.seconds:.1f}", trial.state, values]


def trials_table(ended: list[Trial]) -> Table:
    """All trials, the best first."""
    found = _table(*_HEAD[:1])
    for name in _HEAD[1:-1]:
        found.add_column(name, justify="right", no_wrap=True)
    found.add_column("state", no_wrap=True)
    found.add_column("values")
    for trial in ended:
        found.add_row(*_cells(trial))
    return found


def to_paste(best: Trial) -> Iterator[str]:
    """The values of a trial as YAML, by section."""
    for section in dict.fromkeys(name.partition(".")[0] for name in best.values):
        yield f"{section}:"
        for name, value in best.values.items():
            head, _, key = name.partition(".")
            if head == section:
                yield f"  {key}: {json.dumps(value)}"


def write_page(file: Path, ended: list[Trial], split: str) -> None:
    """Writes the picture and the table as one page."""
    title = "Held-out loss of each trial, and the lowest so far"
    section = ReportSection("trials", "Trials")
    rows = [tuple(_cells(trial)) for trial in ended]
    section.blocks.append(
        Figure(
            "trials",
            title,
            f"Trial {ended[0].number} is the best of {len(ended)} on the {split} split.",
            _picture(title, ended),
            Grid.of((*_HEAD, "values"), rows, (0, 1, 2, 3, 4)),
        )
    )
    text = render("run", heading="Sweep", tone="good", summary="", contents=[section], sections=[section])
    file.write_text(text, encoding="utf-8")


def _picture(title: str, ended: list[Trial]) -> Markup:
    known = sorted((t for t in ended if t.losses), key=lambda t: t.number)

    def paint(axes: Axes) -> None:
        for state, ink in (("done", Ink.OURS), ("stopped", Ink.OTHER), ("over", Ink.OPEN)):
            some = [t for t in known if t.state == state]
            if some:
                [dots] = axes.plot(
                    [t.number for t in some], [t.loss for t in some], "o", color=ink, label=state
                )
                dots.set_gid(state)
        lowest, so_far = [], float("inf")
        for trial in known:
            so_far = min(so_far, trial.loss)
            lowest.append(so_far)
        axes.plot([t.number for t in known], lowest, color=Ink.GOOD, drawstyle="steps-post", label="lowest")
        axes.set_xlabel("trial")
        axes.set_ylabel("held-out loss, nats")
        whole_numbers(axes)
        axes.legend()

    return draw("sweep", title, paint)
