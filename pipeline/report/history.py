"""All runs of a root as a page: what was live when, how the metrics moved, and a line for each run."""

from datetime import UTC, datetime
from os.path import relpath
from pathlib import Path

from markupsafe import Markup
from matplotlib import dates
from matplotlib.axes import Axes

from maskline.pipeline.report import page
from maskline.pipeline.report.blocks import Figure, Grid, ReportBlock, ReportSection, Words
from maskline.pipeline.report.known import HistoryEntry, LivePeriod
from maskline.pipeline.report.plots import ABOVE, WIDE, Ink, draw, mark

_COLORS = {"released": Ink.GOOD, "passed": Ink.GOOD, "released on purpose": Ink.OPEN}


def make(entries: list[HistoryEntry], went: list[LivePeriod], file: Path) -> str:
    """The page.

    Args:
      entries: as `timeline.read` gives them.
      went: as `timeline.live` does.
      file: where the page will lie: links to reports are relative to it.
    """
    runs = [entry for entry in entries if entry.kind == "run"]
    figures = ReportSection("pictures", "What was live, and how good")
    figures.blocks += [_live(went), _metrics(runs)]
    rows = [_row(entry, file.parent) for entry in reversed(entries)]
    return page.render(
        "history",
        heading=f"{len(runs)} runs" if len(runs) != 1 else "1 run",
        tone="open",
        summary=_summary(entries, went),
        contents=[figures, ReportSection("runs", "Every run and tick")],
        figures=figures,
        rows=rows,
        metrics=_names(runs),
    )


def _summary(entries: list[HistoryEntry], went: list[LivePeriod]) -> str:
    counts: dict[str, int] = {}
    for entry in entries:
        counts[entry.decision] = counts.get(entry.decision, 0) + 1
    told = ", ".join(f"{count} {decision}" for decision, count in sorted(counts.items(), key=lambda i: -i[1]))
    live = (
        f" Version {went[-1].version} is live since {moment(went[-1].since)}." if went else " None is live."
    )
    return f"{told}.{live}" if told else f"No run yet.{live}"


def moment(time: datetime) -> str:
    """A time for people, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M}"


def _day(time: datetime) -> float:
    """Days, as matplotlib counts them."""
    return float(dates.date2num(time))  # type: ignore[no-untyped-call]


def _live(went: list[LivePeriod]) -> ReportBlock:
    if not went:
        return Words.of("No model was ever live here.", kind="missing")
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    end = max(now, went[-1].since)

    def paint(axes: Axes) -> None:
        for number, one in enumerate(went):
            begin = _day(one.since)
            ink = (Ink.OURS, Ink.OTHER)[number % 2]
            [bar] = axes.barh([0], [_day(one.until or end) - begin], left=begin, height=0.6, color=ink)
            bar.set_gid(f"version-{number}")
            if len(went) <= 12:
                axes.annotate(str(one.version), (begin, 0.42), color=Ink.TEXT, fontsize=9)
        locator = dates.AutoDateLocator(maxticks=6)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        axes.set_yticks([])
        axes.set_ylim(-0.5, 0.8)

    title = "Which version was live when"
    last = went[-1]
    rows = [(w.version, moment(w.since), moment(w.until) if w.until else "now", w.who, w.why) for w in went]
    return Figure(
        "live",
        title,
        f"Version {last.version} is live since {moment(last.since)} UTC: {last.why}.",
        draw("live", title, paint, height=1.5, width=WIDE),
        Grid.of(("version", "since (UTC)", "until", "who", "why"), rows, (0,)),
        wide=True,
    )


def _metrics(runs: list[HistoryEntry]) -> ReportBlock:
    measured = [run for run in runs if "accuracy" in run.metrics]
    if not measured:
        return Words.of("No run measured a model yet.", kind="missing")

    def paint(axes: Axes) -> None:
        axes.plot(
            range(len(measured)), [r.metrics["accuracy"] for r in measured], color=Ink.FAINT, linewidth=1
        )
        for number, run in enumerate(measured):
            color = _COLORS.get(run.decision, Ink.BAD)
            mark(axes, f"run-{number}", number, run.metrics["accuracy"], color=color, markersize=5)
        for ink, label in (
            (Ink.GOOD, "released or passed"),
            (Ink.BAD, "not released"),
            (Ink.OPEN, "on purpose"),
        ):
            axes.plot([], [], linestyle="none", marker="o", color=ink, label=label)
        axes.set_xticks([0, len(measured) - 1], [moment(measured[0].time), moment(measured[-1].time)])
        axes.set_ylabel("accuracy")
        axes.legend(**ABOVE)

    title = "Accuracy of each run's model"
    return Figure(
        "accuracies",
        title,
        f"{len(measured)} runs measured a model, each on its own held-out rows, oldest first.",
        draw("accuracies", title, paint, height=2.6, width=WIDE),
        Grid.of(
            ("run", "decision", "accuracy"),
            [(r.name, r.decision, f"{r.metrics['accuracy']:.4f}") for r in measured],
            (2,),
        ),
        wide=True,
    )


def _names(runs: list[HistoryEntry]) -> list[str]:
    return list(dict.fromkeys(name for run in runs for name in run.metrics))[:4]


def _row(entry: HistoryEntry, folder: Path) -> dict[str, object]:
    link = Markup.escape(relpath(entry.report, folder)) if entry.report else ""
    return {"entry": entry, "time": moment(entry.time), "link": link}
