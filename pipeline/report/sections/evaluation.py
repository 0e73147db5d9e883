"""The evaluation: metrics with intervals, slices, other models on the same rows, how many rows would do."""

import numpy as np
from matplotlib.axes import Axes

from maskline.components.evaluation.intervals import metric_interval
from maskline.components.evaluation.paired import Pairs, interval, rows_needed, smallest_margin
from maskline.components.evaluation.quality import MODELS
from maskline.components.evaluation.report import (
    BEST,
    CANDIDATE,
    LINEAR,
    LIVE,
    MAJORITY,
    OVERALL,
    EvaluationReport,
)
from maskline.pipeline.report.blocks import Figure, Grid, ReportSection, Table, plain
from maskline.pipeline.report.known import RunFacts
from maskline.pipeline.report.plots import ABOVE, HEAT, Ink, bars_across, draw, mark

_COUNT = "example_count"
_SHORT = {
    CANDIDATE: "this model",
    LIVE: "live model",
    BEST: "best released",
    MAJORITY: "most frequent answer",
    LINEAR: "linear model",
}
_SLICES, _ANSWERS = 30, 24  # in a figure


def evaluation(known: RunFacts, prefix: str) -> ReportSection:
    """How good the model is, and how sure that is."""
    section = ReportSection("evaluation", "Evaluation on held-out rows")
    report = known.run.evaluation
    if report is None:
        section.missing("No model was measured in this run, or what was measured is gone.")
        return section
    confidence, margin = _rules(known)
    section.blocks.append(_metrics(report, confidence))
    section.blocks.append(_slices(report, confidence, prefix))
    if report.overall.pairs:
        section.blocks.append(_compared(report, confidence, margin, prefix))
        section.blocks.append(_power(report, confidence, margin, prefix))
    else:
        section.missing("There was no other model to compare this one with.")
    _confusion(section, report, prefix)
    _reliability(section, report, prefix)
    return section


def wrong_answers(known: RunFacts) -> ReportSection:
    """Rows that the model gets wrong, the most confident first."""
    section = ReportSection("wrong", "Where it is wrong")
    if known.answers is None:
        section.missing(
            "Wrong answers are not recorded: no training of this run came to its end, or they are gone."
        )
        return section
    rows = known.answers.wrong_rows[:20]
    section.blocks.append(
        Table(
            "Wrong answers, the most confident first",
            Grid.of(
                ("row", "label", "its answer", "probability"),
                [(r.text, r.label, r.answer, f"{r.probability:.3f}") for r in rows],
                (3,),
            ),
            f"{known.answers.wrong:,} of {known.answers.rows:,} held-out rows are answered wrong. Where the "
            "model is very sure, look at the label too: it may be the label that is wrong.",
        )
    )
    return section


def _rules(known: RunFacts) -> tuple[float, float]:
    """Confidence and margin that the release gate asked for."""
    if known.facts:
        rules = known.facts["settings"]["release_gate"]
        return rules["confidence"], rules["margin"]
    return known.settings.release_gate.confidence, known.settings.release_gate.margin


def _metrics(report: EvaluationReport, confidence: float) -> Table:
    part = report.overall
    models = list(part.metrics)
    names = [name for name in part.metrics[CANDIDATE] if name != _COUNT]
    rows = []
    for name in names:
        cells = []
        for model in models:
            value = part.metrics[model].get(name)
            if value is None:
                cells.append("–")
                continue
            found = metric_interval(part, model, name, confidence)
            cells.append(f"{value:.4f}" + (f" ({found[0]:.4f} … {found[1]:.4f})" if found else ""))
        rows.append((name.replace("_", " "), *cells))
    head = ("metric", *map(_short, models))
    return Table(
        "Metrics over all held-out rows",
        Grid.of(head, rows, range(1, len(head))),
        f"{part.rows:,} rows; in brackets the {confidence:.0%} interval, where the metric has one. Of loss "
        "and calibration error, less is better.",
    )


def _slices(report: EvaluationReport, confidence: float, prefix: str) -> Figure:
    parts = sorted(report.slices, key=lambda p: (p.name != OVERALL, p.metrics[CANDIDATE]["accuracy"]))[
        :_SLICES
    ]
    with_live = LIVE in report.overall.metrics
    models = [(CANDIDATE, Ink.OURS, "this model"), *([(LIVE, Ink.OTHER, "live model")] if with_live else [])]

    def paint(axes: Axes) -> None:
        bars_across(axes, [f"{plain(p.name)[:28] or 'all'} ({p.rows:,})" for p in parts])
        for number, (model, ink, label) in enumerate(models):
            shift = (number - (len(models) - 1) / 2) * 0.3
            lines: list[tuple[float, float, float]] = []
            for place, part in enumerate(parts):
                if (value := part.metrics.get(model, {}).get("accuracy")) is None:
                    continue
                found = metric_interval(part, model, "accuracy", confidence)
                lines += [(place + shift, *found)] if found else []
                named = {} if place else {"label": label}
                mark(axes, f"{model}-{place}", value, place + shift, color=ink, **named)
            if lines:
                axes.hlines(*zip(*lines, strict=True), color=ink, linewidth=2)
        axes.set_xlim(0, 1.02)
        axes.set_xlabel(f"accuracy, with {confidence:.0%} interval")
        axes.legend(**ABOVE)

    rows = []
    for part in parts:
        cells = [part.name or "all", f"{part.rows:,}"]
        for model, _, _ in models:
            value = part.metrics.get(model, {}).get("accuracy")
            found = metric_interval(part, model, "accuracy", confidence) if value is not None else None
            cells.append("–" if value is None else f"{value:.4f}")
            cells.append(f"{found[0]:.4f} … {found[1]:.4f}" if found else "–")
        rows.append(tuple(cells))
    head = ["slice", "rows", *(text for _, _, m in models for text in (m, f"interval of {m}"))]
    hidden = len(report.slices) - len(parts)
    more = f" {hidden} better slices are left out." if hidden else ""
    title = "Accuracy by slice"
    return Figure(
        "slices",
        title,
        f"All rows first, then the slices, the lowest accuracy first.{more}",
        draw(f"{prefix}slices", title, paint, height=max(2.2, 1.1 + 0.38 * len(parts))),
        Grid.of(head, rows, range(1, len(head))),
    )


def _compared(report: EvaluationReport, confidence: float, margin: float, prefix: str) -> Figure:
    """A forest plot: the difference in accuracy from each other model, with what may be lost."""
    pairs = report.overall.pairs
    allowed = {LIVE: -margin, BEST: -2 * margin}
    found = {name: interval(pair, confidence=confidence) for name, pair in pairs.items()}

    def paint(axes: Axes) -> None:
        bars_across(axes, [_short(name) for name in pairs])
        axes.axvline(0, color=Ink.FAINT)
        for place, (name, pair) in enumerate(pairs.items()):
            limit = allowed.get(name)
            low, high = found[name]
            good = low > 0 if limit is None else low >= limit
            ink = Ink.GOOD if good else Ink.BAD if high < (limit or 0) else Ink.OPEN
            axes.plot([low, high], [place, place], color=ink, linewidth=2.5)
            mark(axes, f"difference-{name}", pair.difference, place, color=ink)
            if limit is not None:
                [line] = axes.plot(
                    [limit, limit], [place - 0.35, place + 0.35], color=Ink.BAD, linestyle="--", linewidth=1.8
                )
                line.set_gid(f"margin-{name}")
        axes.set_xlabel(f"accuracy of this model less the other's, with {confidence:.0%} interval")

    rows = []
    for name, pair in pairs.items():
        low, high = found[name]
        bound = f"{allowed[name]:+.4f}" if name in allowed else "–"
        rows.append(
            (MODELS.get(name, name), f"{pair.difference:+.4f}", f"{low:+.4f}", f"{high:+.4f}", bound,
             f"{pair.better:,}", f"{pair.worse:,}")
        )  # fmt: skip
    title = "This model against others, on the same rows"
    live = pairs.get(LIVE)
    told = "There was no live model yet. " if live is None else _told(live, found[LIVE], margin)
    return Figure(
        "compared",
        title,
        f"{told}Right of the line at 0, this model is better; a dashed line is what may be lost, and the "
        "whole interval has to be right of it.",
        draw(f"{prefix}compared", title, paint, height=1.1 + 0.5 * len(pairs)),
        Grid.of(
            (
                "model",
                "difference",
                "low",
                "high",
                "may be lost",
                "only this is right",
                "only the other is right",
            ),
            rows,
            range(1, 7),
        ),
    )


def _told(live: Pairs, found: tuple[float, float], margin: float) -> str:
    low, high = found
    if low >= -margin:
        finding = "better than" if low > 0 else f"not worse by more than {margin:.4g} than"
        return f"This model is {finding} the live model. "
    if high < 0:
        return f"This model is worse than the live model, and more than {margin:.4g} worse it may be. "
    return f"This model may be more than {margin:.4g} worse than the live model: these rows cannot tell. "


def _short(name: str) -> str:
    return _SHORT.get(name, plain(name))


def _power(report: EvaluationReport, confidence: float, margin: float, prefix: str) -> Figure:
    """How many rows settle which difference, by how often the two models disagree."""
    other = LIVE if LIVE in report.overall.pairs else next(iter(report.overall.pairs))
    pairs = report.overall.pairs[other]
    needed = rows_needed(pairs.disagreement, margin=margin, confidence=confidence)
    settled = smallest_margin(pairs, confidence=confidence)
    most = max(2 * needed, 2 * pairs.rows, 100)
    counts = np.unique(np.geomspace(max(20, most / 200), most, 60).astype(int))
    margins = settled * np.sqrt(pairs.rows / counts)  # as `smallest_margin` falls with more rows

    def paint(axes: Axes) -> None:
        axes.plot(counts, margins, color=Ink.FAINT)
        axes.axhline(margin, color=Ink.BAD, linestyle="--", label=f"margin {margin:.4g}")
        mark(axes, "here", pairs.rows, settled, color=Ink.OURS, label=f"this run: {pairs.rows:,} rows")
        if needed:
            mark(axes, "needed", needed, margin, color=Ink.GOOD, marker="D", label=f"enough: {needed:,} rows")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda rows, _: f"{rows:,.0f}")
        axes.set_xlabel("held-out rows")
        axes.set_ylabel("difference that is settled")
        axes.set_ylim(bottom=0)
        axes.legend()

    verdict = "enough" if needed <= pairs.rows else f"too few: {needed:,} would settle it"
    title = "How many rows would settle the comparison"
    return Figure(
        "power",
        title,
        f"For a margin of {margin:.4g}, {pairs.rows:,} held-out rows are {verdict} ({_short(other)}; the two "
        f"are not both right or both wrong on {pairs.disagreement:.1%} of the rows).",
        draw(f"{prefix}power", title, paint),
        Grid.of(
            ("figure", "value"),
            [
                ("held-out rows", f"{pairs.rows:,}"),
                ("rows needed for the margin", f"{needed:,}"),
                ("difference that these rows settle", f"{settled:.4f}"),
                ("margin", f"{margin:.4f}"),
            ],
            (1,),
        ),
    )


def _confusion(section: ReportSection, report: EvaluationReport, prefix: str) -> None:
    if "edit_distance" in report.overall.metrics[CANDIDATE]:
        section.missing("Whole labels have no confusion matrix: nearly all of them are different.")
        return
    if not report.confusion:
        section.missing(
            "The confusion matrix is not recorded: an earlier version of maskline measured this model."
        )
        return
    cells = {(c.label, c.answer): c.rows for c in report.confusion}
    totals: dict[str, int] = {}
    for (label, answer), rows in cells.items():
        totals[label] = totals.get(label, 0) + rows
        totals.setdefault(answer, 0)
    frequent = sorted(totals, key=lambda name: (-totals[name], name))
    names = frequent[:_ANSWERS]
    shares = np.array([[cells.get((a, b), 0) / max(1, totals[a]) for b in names] for a in names])

    def paint(axes: Axes) -> None:
        axes.imshow(shares, cmap=HEAT, vmin=0, vmax=1, interpolation="none", aspect="auto").set_gid("matrix")
        axes.grid(visible=False)
        labels = [plain(name)[:8] for name in names]
        axes.set_xticks(range(len(names)), labels, fontsize=8, rotation=0 if len(names) < 14 else 90)
        axes.set_yticks(range(len(names)), labels, fontsize=8)
        axes.tick_params(length=0)
        for row, name in enumerate(names):
            for column, answer in enumerate(names):
                count = cells.get((name, answer), 0)
                if count and len(names) <= 14:
                    light = shares[row, column] > 0.45
                    axes.text(
                        column, row, f"{count:,}", ha="center", va="center", fontsize=7,
                        color="#ffffff" if light else "#1a1a1a",
                    )  # fmt: skip
        axes.set_xlabel("answer")
        axes.set_ylabel("label")

    wrong = sum(rows for (label, answer), rows in cells.items() if label != answer)
    worst = max(
        ((c.rows, c) for c in report.confusion if c.label != c.answer), key=lambda x: x[0], default=None
    )
    often = (
        f" The most frequent confusion: '{plain(worst[1].label)}' is answered '{plain(worst[1].answer)}', "
        f"{worst[0]:,} times." if worst else ""
    )  # fmt: skip
    left_out = len(frequent) - len(names)
    more = f" {left_out} rarer answers are left out of the picture." if left_out else ""
    title = "Confusion matrix"
    section.blocks.append(
        Figure(
            "confusion",
            title,
            f"Labels are lines, answers columns; right answers are on the diagonal. {wrong:,} of "
            f"{sum(cells.values()):,} rows are answered wrong.{often}{more}",
            draw(f"{prefix}confusion", title, paint, height=3.8),
            Grid.of(
                ("label", "answer", "rows"),
                [
                    (c.label, c.answer, f"{c.rows:,}")
                    for c in sorted(report.confusion, key=lambda c: -c.rows)[:400]
                ],
                (2,),
            ),
        )
    )


def _reliability(section: ReportSection, report: EvaluationReport, prefix: str) -> None:
    if CANDIDATE not in report.reliability:
        section.missing(
            "The reliability diagram is not recorded: an earlier version of maskline measured this model."
        )
        return
    bins = report.reliability[CANDIDATE]
    live = report.reliability.get(LIVE, ())
    largest = max(b.rows for b in bins)

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=Ink.FAINT, linestyle="--", label="as sure as it is right")
        if live:
            axes.plot(
                [b.probability for b in live], [b.right for b in live], color=Ink.OTHER, label="live model"
            )
        axes.plot([b.probability for b in bins], [b.right for b in bins], color=Ink.OURS, label="this model")
        for number, one in enumerate(bins):
            size = 3 + 7 * (one.rows / largest) ** 0.5
            mark(axes, f"bin-{number}", one.probability, one.right, color=Ink.OURS, markersize=size)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("probability that the model gives its answer")
        axes.set_ylabel("share that is right")
        axes.legend(loc="upper left")

    error = report.overall.metrics[CANDIDATE].get("calibration_error")
    off = f" On average it is off by {error:.4f} (expected calibration error)." if error is not None else ""
    title = "Reliability diagram"
    section.blocks.append(
        Figure(
            "reliability",
            title,
            f"Below the dashed line the model is surer than it should be, above it less sure.{off} Larger "
            "dots stand for more rows.",
            draw(f"{prefix}reliability", title, paint, height=3.4),
            Grid.of(
                ("from", "to", "rows", "probability", "right"),
                [
                    (f"{b.low:.3f}", f"{b.high:.3f}", f"{b.rows:,}", f"{b.probability:.4f}", f"{b.right:.4f}")
                    for b in bins
                ],
                range(5),
            ),
        )
    )
