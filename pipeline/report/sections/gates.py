"""The gates: each check with what it asked and what it measured, on one scale."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from maskline.components.verdict import Check, Outcome, Scale, Verdict
from maskline.pipeline.report.blocks import Figure, Grid, ReportBlock, ReportSection, Table, Words, plain
from maskline.pipeline.report.known import RunFacts
from maskline.pipeline.report.plots import WIDE, Ink, bars_across, draw, mark
from maskline.transform.names import Node

_COLORS = {
    Outcome.PASSED: Ink.GOOD,
    Outcome.WARNED: Ink.OPEN,
    Outcome.BLOCKED: Ink.BAD,
    Outcome.IGNORED: Ink.FAINT,
}
_ORDER = (Outcome.BLOCKED, Outcome.WARNED, Outcome.PASSED, Outcome.IGNORED)
_TITLES = {
    Node.DATA_GATE: "DataGate: may these rows be trained on?",
    Node.RELEASE_GATE: "ReleaseGate: may this model be released?",
    Node.MODEL_CHECKS: "ModelChecks: does the exported model do what it should?",
}
_CHECKS = 40  # in a figure
_NARROW = 12  # checks of a figure that does not take the whole line
_LABEL = 40  # characters of a check's name in a figure
_SHORT = {
    "against the live model": "vs live",
    "against always giving the most frequent answer": "vs most frequent",
    "against a linear model on counts of ids": "vs linear model",
    "against the best released model": "vs best released",
}
_FIGURES = 6


def gates(known: RunFacts, prefix: str) -> ReportSection:
    """Gates in the order of the flow; what failed comes first in each."""
    section = ReportSection("gates", "Gates")
    for gate in _TITLES:
        if gate in known.run.verdicts:
            section.blocks += _gate(gate, known.run.verdicts[gate], prefix)
        else:
            section.missing(
                f"{gate} gave no verdict in this run: the run did not get there, or the file is gone."
            )
    return section


def _gate(gate: Node, verdict: Verdict, prefix: str) -> list[ReportBlock]:
    checks = sorted(verdict.checks, key=lambda check: _ORDER.index(check.outcome))
    counted = {outcome: sum(c.outcome is outcome for c in checks) for outcome in _ORDER}
    told = ", ".join(f"{count} {outcome}" for outcome, count in counted.items() if count)
    title = _TITLES[gate]
    passed = "It passed" if verdict.passed else "It did not pass"
    blocks: list[ReportBlock] = [
        Words.of(f"{passed}: {told}.", kind="good" if verdict.passed else "bad", title=title)
    ]
    scaled = [check for check in checks if check.scale][:_CHECKS]
    if scaled:
        blocks.append(_scale(gate, scaled, prefix))
    else:
        blocks.append(
            Words.of(
                "The figures of these checks are not recorded as numbers, so there is no scale.",
                kind="missing",
            )
        )
    rows = [(c.outcome, _name(c), c.measured, c.asked, " ".join(c.details)) for c in checks]
    blocks.append(
        Table(
            f"All checks of {gate}",
            Grid.of(("outcome", "check", "measured", "asked", "more"), rows),
            folded=True,
        )
    )
    return blocks


def _scale(gate: Node, checks: Sequence[Check], prefix: str) -> Figure:
    def paint(axes: Axes) -> None:
        bars_across(axes, [_label(check) for check in checks])
        axes.axvspan(-1.05, 0, color=Ink.BAD, alpha=0.08, linewidth=0)
        axes.axvline(0, color=Ink.TEXT, linewidth=1.4)
        for place, check in enumerate(checks):
            assert check.scale
            x, ink = room(check.scale), _COLORS[check.outcome]
            axes.plot([0, x], [place, place], color=ink, linewidth=3)
            mark(axes, f"check-{place}", x, place, color=ink, markersize=7)
        axes.set_xlim(-1.05, 1.05)
        axes.set_xticks([-1, 0, 1], ["far beyond", "the bound", "far within"])
        axes.grid(axis="x", visible=False)

    title = f"{gate}: how far each value is from its bound"
    return Figure(
        f"{gate.lower()}",
        title,
        "Right of the line the value is within its bound, left of it beyond; the distance is relative to the "
        "larger of the two. Some checks also ask whether the difference may be chance: the color says the "
        "outcome.",
        draw(
            f"{prefix}{gate.lower()}",
            title,
            paint,
            height=max(1.7, 0.9 + 0.3 * len(checks)),
            width=WIDE if len(checks) > _NARROW else 6.0,
        ),
        Grid.of(
            ("check", "value", "bound", "asked", "outcome"),
            [
                (
                    _name(check),
                    _figure(check.scale.value),
                    _figure(check.scale.limit),
                    "at least" if check.scale.at_least else "at most",
                    check.outcome,
                )
                for check in checks
                if check.scale
            ],
            (1, 2),
        ),
        wide=len(checks) > _NARROW,
    )


def room(scale: Scale) -> float:
    """How far a value is within its bound, from -1 to 1: the distance by the larger of the two in size."""
    distance = scale.value - scale.limit if scale.at_least else scale.limit - scale.value
    size = max(abs(scale.value), abs(scale.limit))
    return max(-1.0, min(1.0, distance / size)) if size else 0.0


def _figure(value: float) -> str:
    return f"{value:.{_FIGURES}g}"


def _label(check: Check) -> str:
    name = f"{check.subject}: {check.name}" if check.subject else check.name
    for long, short in _SHORT.items():
        name = name.replace(long, short)
    return plain(name)[:_LABEL]


def _name(check: Check) -> str:
    return f"{check.name} of {check.subject}" if check.subject else check.name
