"""What a model must reach to be released: settings, and the rules that apply them. Pure; no TFX."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from maskline.components.evaluation.paired import Finding, compare, mcnemar
from maskline.components.evaluation.report import BASELINE, BEST, CANDIDATE, OVERALL, Report, SliceReport
from maskline.components.verdict import Check, Outcome, Verdict
from maskline.transform.settings import Section, refusal, setting

Metric = Literal["accuracy", "loss", "top3_accuracy", "calibration_error"]
_LOWER_IS_BETTER = ("loss", "calibration_error")
_NAMES = {BASELINE: "the live model", BEST: "the best released model"}


class Requirement(StrEnum):
    """What the paired test must find."""

    NOT_WORSE = "not-worse"
    BETTER = "better"


class Threshold(Section):
    """A further bar for one metric, over all rows or in a slice."""

    metric: Metric = setting(..., "the metric that the bar is for")
    slice: str = setting(OVERALL, "the slice, as `operator=+`; `operator` means each of its slices")
    min: float | None = setting(None, "lowest value that is allowed", unit="of the metric")
    max: float | None = setting(None, "highest value that is allowed", unit="of the metric")
    max_worse: Annotated[float, Field(ge=0)] | None = setting(
        None, "how much worse than the live model the value may be", unit="of the metric"
    )

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.min is None and self.max is None and self.max_worse is None:
            raise refusal("metric", f"the threshold of {self.metric} needs one of min, max, max_worse")
        return self

    def applies_to(self, name: str) -> bool:
        """Whether a slice is meant."""
        return name == self.slice or (self.slice != OVERALL and name.startswith(f"{self.slice}="))


class ReleaseGateSettings(Section):
    """What a model must reach to be released."""

    min_accuracy: float = setting(
        0.55, "accuracy on the eval rows that every released model reaches", unit="share", ge=0, le=1
    )
    require: Requirement = setting(
        Requirement.NOT_WORSE, "what the paired test against the live model must find"
    )
    margin: float = setting(0.035, "accuracy that `not-worse` may lose", unit="share", ge=0, le=1)
    slice_margin: float = setting(0.05, "accuracy that one slice may lose", unit="share", ge=0, le=1)
    confidence: float = setting(0.95, "confidence level of each comparison", unit="share", ge=0.5, lt=1)
    min_slice_rows: int = setting(
        100, "a slice with fewer rows informs and does not block", unit="rows", ge=1, le=10**12
    )
    thresholds: tuple[Threshold, ...] = setting((), "further bars, over all rows or in a slice")


def judge(report: Report, rules: ReleaseGateSettings) -> Verdict:
    """Applies all rules to what was measured.

    Without a live model to compare with, the thresholds alone decide.
    """
    return Verdict(
        checks=(
            _accuracy(report.overall, rules),
            *_against_released(report.overall, rules),
            *_slices(report, rules),
            *_thresholds(report, rules),
        )
    )


def _accuracy(overall: SliceReport, rules: ReleaseGateSettings) -> Check:
    accuracy = overall.metrics[CANDIDATE]["accuracy"]
    return Check(
        name="accuracy",
        asked=f"at least {rules.min_accuracy:.4f} is needed",
        measured=f"{accuracy:.4f}",
        outcome=_blocked_unless(accuracy >= rules.min_accuracy),
    )


def _against_released(overall: SliceReport, rules: ReleaseGateSettings) -> Iterator[Check]:
    if BASELINE in overall.pairs:
        yield _paired(overall, BASELINE, rules.margin, rules.require, rules.confidence)
    if BEST in overall.pairs:
        # Each release may be a little worse than the one before; a chain of them may not.
        yield _paired(overall, BEST, 2 * rules.margin, Requirement.NOT_WORSE, rules.confidence)


def _paired(
    overall: SliceReport, model: str, margin: float, require: Requirement, confidence: float
) -> Check:
    pairs, unread = overall.pairs[model], overall.unread.get(model)
    found = compare(pairs, margin=margin, confidence=confidence)
    enough = found.finding is Finding.BETTER or (
        found.finding is Finding.NOT_WORSE and require is Requirement.NOT_WORSE
    )
    wanted = "better" if require is Requirement.BETTER else f"not worse by more than {margin:.4g}"
    few = (
        f"{pairs.rows:,} eval rows are too few for a margin of {margin:.4g} where the models disagree on "
        f"{pairs.disagreement:.1%} of them; {found.rows_needed:,} are needed: more data, the rows of "
        "more spans (evaluation.pool_window), or a wider margin"
    )
    return Check(
        name=f"accuracy against {_NAMES[model]}",
        asked=f"{wanted} is needed, at {confidence:.0%}",
        measured=f"{found.finding}: {pairs.difference:+.4f}, between {found.low:+.4f} and {found.high:+.4f} "
        f"on {pairs.rows:,} rows (McNemar p {found.p:.2g})"
        + (f"; {_NAMES[model]} has another `sequence`: {unread}" if unread else ""),
        outcome=_blocked_unless(enough),
        # More rows would not help a model that is worse for certain.
        details=(few,) if found.rows_needed > pairs.rows and found.high > -margin else (),
    )


def _slices(report: Report, rules: ReleaseGateSettings) -> Iterator[Check]:
    """A slice blocks where it lost more than its margin, and not by chance.

    The level is shared among the slices that can block (Bonferroni), or a model that is equal would fall
    over one slice or another.
    """
    compared = [s for s in report.slices if s.name != OVERALL and BASELINE in s.pairs]
    able = sum(s.rows >= rules.min_slice_rows for s in compared)
    for part in compared:
        pairs = part.pairs[BASELINE]
        p = mcnemar(pairs, alternative="less")
        lost = pairs.difference < -rules.slice_margin and p < (1 - rules.confidence) / max(1, able)
        outcome, details = _outcome(part, rules, passed=not lost)
        yield Check(
            name="accuracy",
            subject=part.name,
            asked=f"a loss of up to {rules.slice_margin:.4g}, or one that may be chance, is allowed",
            measured=f"{pairs.difference:+.4f} against the live model on {part.rows:,} rows (p {p:.2g})",
            outcome=outcome,
            details=details,
        )


def _thresholds(report: Report, rules: ReleaseGateSettings) -> Iterator[Check]:
    for threshold in rules.thresholds:
        parts = [part for part in report.slices if threshold.applies_to(part.name)]
        if not parts:
            yield Check(
                name=threshold.metric,
                subject=threshold.slice,
                asked="a threshold is set for it",
                measured="no eval row belongs to it",
                outcome=Outcome.WARNED,
            )
        for part in parts:
            yield from _bars(part, threshold, rules)


def _bars(part: SliceReport, threshold: Threshold, rules: ReleaseGateSettings) -> Iterator[Check]:
    name: str = threshold.metric
    value = part.metrics[CANDIDATE][name]
    bars = []
    if threshold.min is not None:
        asked = f"at least {threshold.min:.4f} is needed"
        bars.append((name, f"{value:.4f}", asked, value >= threshold.min))
    if threshold.max is not None:
        asked = f"at most {threshold.max:.4f} is allowed"
        bars.append((name, f"{value:.4f}", asked, value <= threshold.max))
    if threshold.max_worse is not None and BASELINE in part.metrics:
        change = value - part.metrics[BASELINE][name]
        worse = change if name in _LOWER_IS_BETTER else -change
        asked = f"worse than the live model by up to {threshold.max_worse:.4f} is allowed"
        bars.append((f"change of {name}", f"{change:+.4f}", asked, worse <= threshold.max_worse))
    for what, measured, asked, passed in bars:
        outcome, details = _outcome(part, rules, passed=passed)
        yield Check(
            name=what, subject=part.name, measured=measured, asked=asked, outcome=outcome, details=details
        )


def _outcome(
    part: SliceReport, rules: ReleaseGateSettings, *, passed: bool
) -> tuple[Outcome, tuple[str, ...]]:
    if passed or part.name == OVERALL or part.rows >= rules.min_slice_rows:
        return _blocked_unless(passed), ()
    few = f"informs only: {part.rows} rows, and release_gate.min_slice_rows is {rules.min_slice_rows}"
    return Outcome.WARNED, (few,)


def _blocked_unless(passed: bool) -> Outcome:
    return Outcome.PASSED if passed else Outcome.BLOCKED
