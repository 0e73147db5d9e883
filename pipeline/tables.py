"""Tables of a run: components, models and slices. At any width, names and numbers stay whole."""

from collections.abc import Iterator, Mapping

import rich.box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from maskline.components.evaluation.report import CANDIDATE, LIVE, OVERALL, EvaluationReport, SliceReport
from maskline.pipeline.comparison import change_in_words
from maskline.pipeline.registry.record import Component
from maskline.pipeline.report.known import HistoryEntry

_COUNT = "example_count"
_SHORT = {CANDIDATE: "this", LIVE: "live"}  # in a table's head


def components(parts: list[Component]) -> Table:
    """What each component did; counts of records wrap between their parts."""
    table = _table("component", "state")
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("records in")
    table.add_column("records out")
    for part in parts:
        table.add_row(
            part.name,
            part.state.lower(),
            f"{part.seconds:.1f}",
            _counts(part.records_in),
            _counts(part.records_out),
        )
    table.caption = f"records: {' + '.join(_splits(parts))}" if _splits(parts) else None
    return table


def models(metrics: Mapping[str, Mapping[str, float]]) -> Table:
    """Metrics of all rows: one metric per line, one model per column."""
    shown = [model for model in metrics if model != "change"]
    table = _table("held-out rows")
    for model in shown:
        table.add_column(_SHORT.get(model, model), justify="right", no_wrap=True)
    for metric in sorted(metrics[CANDIDATE], key=lambda name: name != _COUNT):
        values = [metrics[model].get(metric) for model in shown]
        table.add_row(_title(metric), *(_figure(metric, value) for value in values))
    return table


def changes(report: EvaluationReport) -> Iterator[str]:
    """Each metric against the live model, better or worse in words."""
    metrics = report.overall.metrics
    if LIVE in metrics:
        told = [
            change_in_words(name, metrics[LIVE][name], value)
            for name, value in metrics[CANDIDATE].items()
            if name != _COUNT and name in metrics[LIVE]
        ]
        yield f"Against the live model: {'; '.join(told)}."


def slices(report: EvaluationReport) -> Table:
    """Accuracy of each slice, the lowest first, beside that of the live model."""
    table = _table("slice")
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("accuracy", justify="right", no_wrap=True)
    with_live = LIVE in report.overall.metrics
    if with_live:
        table.add_column("live", justify="right", no_wrap=True)
    for part in worst_first(report):
        live = [_figure("accuracy", part.metrics.get(LIVE, {}).get("accuracy"))] if with_live else []
        table.add_row(part.name, f"{part.rows:,}", _figure("accuracy", _accuracy(part)), *live)
    return table


def history(entries: list[HistoryEntry]) -> Table:
    """A line for each run and tick."""
    table = _table("run")
    table.add_column("span", no_wrap=True)
    table.add_column("decision")
    for name in ("seconds", "accuracy", "loss", "live"):
        table.add_column(name, justify="right", no_wrap=True)
    for entry in entries:
        version = f" {entry.version}" if entry.version else ""
        why = f": {entry.why}" if entry.why else ""
        table.add_row(
            entry.name or f"{entry.time.astimezone():%Y-%m-%d %H:%M} {entry.kind}",
            entry.span or "–",
            escape(f"{entry.decision}{version}{why}"),
            f"{entry.seconds:.1f}",
            *(_with_change(entry, name) for name in ("accuracy", "loss")),
            str(entry.live or "–"),
        )
    return table


def _with_change(entry: HistoryEntry, name: str) -> str:
    if name not in entry.metrics:
        return "–"
    change = f" ({entry.change[name]:+.4f})" if name in entry.change else ""
    return f"{entry.metrics[name]:.4f}{change}"


def worst_first(report: EvaluationReport) -> list[SliceReport]:
    """All slices but that of all rows, the lowest accuracy first."""
    return sorted((part for part in report.slices if part.name != OVERALL), key=_accuracy)


def fits(table: Table, console: Console) -> bool:
    """Whether a table can be shown without cutting a word. Rich's own measure counts on cutting."""
    rendered = console.render_lines(table, console.options, pad=False)
    shown = set("".join(f"{segment.text} " for line in rendered for segment in line).split())
    return all(shown.issuperset(str(cell).split()) for column in table.columns for cell in column.cells)


def as_lines(table: Table) -> Iterator[str]:
    """A table for terminals that are too narrow: one row per line, each cell with its column's name."""
    _, *others = table.columns
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        told = [f"{c.header} {cell}" for c, cell in zip(others, cells[1:], strict=True) if str(cell)]
        yield f"{cells[0]}: {', '.join(told)}"


def _table(*names: str) -> Table:
    table = Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for name in names:
        table.add_column(name, no_wrap=True)
    return table


def _accuracy(part: SliceReport) -> float:
    return part.metrics[CANDIDATE]["accuracy"]


def _title(metric: str) -> str:
    return "rows" if metric == _COUNT else metric.replace("_", " ")


def _figure(metric: str, value: float | None) -> Text:
    if value is None:
        return Text("–", style="dim")
    return Text(f"{value:,.0f}" if metric == _COUNT else f"{value:.4f}")


def _counts(records: Mapping[str, int]) -> str:
    return " + ".join(f"{count:,}" for count in records.values())


def _splits(parts: list[Component]) -> list[str]:
    return next((list(p.records_out) for p in parts if len(p.records_out) > 1), [])
