"""Applies the release gate's rules to what was measured. Pure; no TFX."""

from collections.abc import Iterator
from statistics import NormalDist

from maskline.components.evaluation.intervals import metric_interval, wilson
from maskline.components.evaluation.paired import (
    Comparison,
    Finding,
    Pairs,
    compare,
    mcnemar,
    smallest_margin,
)
from maskline.components.evaluation.report import (
    BASELINES,
    BEST,
    CANDIDATE,
    LINEAR,
    LIVE,
    LOWER_IS_BETTER,
    MAJORITY,
    OVERALL,
    EvaluationReport,
    SliceReport,
)
from maskline.components.release_gate.settings import (
    PER_ANSWER,
    ReleaseGateSettings,
    Requirement,
    Threshold,
)
from maskline.components.verdict import Check, Outcome, Scale, Verdict

_NAMES = {
    LIVE: "the live model",
    BEST: "the best released model",
    MAJORITY: "always giving the most frequent answer",
    LINEAR: "a linear model on counts of ids",
}
# How sure a rare answer has to be found, where accuracy alone cannot tell; see `_learned`.
_SURE = 0.999


def judge(report: EvaluationReport, settings: ReleaseGateSettings) -> Verdict:
    """Applies all rules to what was measured.

    Without a live model to compare with, bars and baselines decide.
    """
    return Verdict(
        checks=(
            _accuracy(report.overall, settings),
            *_against_baselines(report.overall, settings),
            *_against_released(report.overall, settings),
            *_of_other_tasks(report),
            *_answers(report.overall, settings),
            *_slices(report, settings),
            *_thresholds(report, settings),
        )
    )


def _accuracy(overall: SliceReport, settings: ReleaseGateSettings) -> Check:
    accuracy = overall.metrics[CANDIDATE]["accuracy"]
    return Check(
        kind="min_accuracy",
        name="accuracy",
        asked=f"at least {settings.min_accuracy:.4f} is needed",
        measured=f"{accuracy:.4f}",
        outcome=_blocked_unless(accuracy >= settings.min_accuracy),
        scale=Scale(value=accuracy, limit=settings.min_accuracy, at_least=True),
    )


def _against_baselines(overall: SliceReport, settings: ReleaseGateSettings) -> Iterator[Check]:
    """A model has to be better than a constant, for certain, and not worse than a linear model, for certain.

    A linear model is a model, too: one that is as good is released with a warning, or data on which nothing
    can be better would never be.
    """
    for name in BASELINES:
        if name not in overall.pairs:
            continue
        pairs = overall.pairs[name]
        found = compare(pairs, margin=0, confidence=settings.confidence)
        gains = found.low > settings.min_gain and (found.sign > 0 or settings.min_gain < 0)
        certain = gains or settings.min_gain <= -1
        if name == MAJORITY:
            outcome = _blocked_unless(certain or _learned(overall, settings))
        elif certain:
            outcome = Outcome.PASSED
        else:
            missed = found.high < settings.min_gain and (found.sign < 0 or settings.min_gain > 0)
            outcome = Outcome.BLOCKED if missed else Outcome.WARNED
        yield Check(
            kind="min_gain",
            name=f"accuracy against {_NAMES[name]}",
            asked=f"a gain of more than {settings.min_gain:.4g} is needed, at {settings.confidence:.0%}",
            measured=_in_words(pairs, found, settings.confidence)
            + f" ({overall.metrics[CANDIDATE]['accuracy']:.4f}, and {overall.metrics[name]['accuracy']:.4f})",
            outcome=outcome,
            details=() if outcome is Outcome.PASSED else _unsettled(overall, name, outcome),
            scale=Scale(
                value=pairs.difference, limit=settings.min_gain, at_least=True, low=found.low, high=found.high
            ),
        )


def _learned(overall: SliceReport, settings: ReleaseGateSettings) -> bool:
    """Whether a model tells rare answers that a constant never gives, though its accuracy does not show it.

    Its balanced accuracy must be better than the constant's, beyond doubt: answers that have nothing to do
    with the rows do not raise it. Its loss must be lower, and its accuracy must not be worse for certain.
    """
    if settings.min_gain > 0 or MAJORITY not in overall.losses:
        return False
    if "balanced_accuracy" not in overall.metrics[CANDIDATE]:
        return False  # whole labels are not counted by answer
    z = NormalDist().inv_cdf(_SURE)
    metrics, errors = overall.metrics, overall.standard_errors
    gain = metrics[CANDIDATE]["balanced_accuracy"] - metrics[MAJORITY]["balanced_accuracy"]
    loss = overall.losses[MAJORITY]
    rarer = gain > z * errors[CANDIDATE]["balanced_accuracy"] and loss.mean < 0
    return rarer and compare(overall.pairs[MAJORITY], margin=0, confidence=settings.confidence).sign >= 0


def _unsettled(overall: SliceReport, name: str, outcome: Outcome) -> tuple[str, ...]:
    if name == LINEAR and outcome is Outcome.WARNED:
        return ("a simpler model does as well on these rows, or they are too few to tell",)
    smallest = smallest_margin(overall.pairs[name])
    return (
        f"on these {overall.rows:,} rows a gain of about {smallest:.4f} would be settled; "
        "to let it through: --set release_gate.min_gain=-1",
    )


def _against_released(overall: SliceReport, settings: ReleaseGateSettings) -> Iterator[Check]:
    if LIVE in overall.pairs:
        yield _paired(overall, LIVE, settings.margin, settings.require, settings.confidence)
    if LIVE in overall.losses:
        yield _loss(overall, settings)
    if BEST in overall.pairs:
        # Each release may be a little worse than the one before; a chain of them may not.
        yield _paired(overall, BEST, 2 * settings.margin, Requirement.NOT_WORSE, settings.confidence)


def _of_other_tasks(report: EvaluationReport) -> Iterator[Check]:
    """A model for another task is a new one: bars and baselines decide, as where nothing is live."""
    for name, kind in report.other_task.items():
        yield Check(
            kind="require" if name == LIVE else "margin",
            name=f"accuracy against {_NAMES[name]}",
            asked="it is not judged: there is nothing to compare across tasks",
            measured=f"{_NAMES[name]} has another task ({kind})",
            outcome=Outcome.IGNORED,
        )


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
        f"{pairs.rows:,} eval rows settle a change of {smallest_margin(pairs, confidence=confidence):.4f}, "
        f"where the models disagree on {pairs.disagreement:.1%} of them; for a margin of {margin:.4g}, "
        f"{found.rows_needed:,} are needed: more data, the rows of more spans (evaluation.pool_window), or a "
        "wider margin"
    )
    return Check(
        kind="require" if model == LIVE else "margin",
        name=f"accuracy against {_NAMES[model]}",
        asked=f"{wanted} is needed, at {confidence:.0%}",
        measured=_in_words(pairs, found, confidence)
        + (f"; {_NAMES[model]} has another `sequence`: {unread}" if unread else ""),
        outcome=_blocked_unless(enough),
        # More rows would not help a model that is worse for certain.
        details=(few,) if found.rows_needed > pairs.rows and found.high > -margin else (),
        scale=Scale(value=pairs.difference, limit=-margin, at_least=True, low=found.low, high=found.high),
    )


def _in_words(pairs: Pairs, found: Comparison, confidence: float) -> str:
    """As `0.0089 higher: better, 95%: +0.0020 … +0.0160 on 2,052 rows (McNemar p 0.013)`."""
    finding = {1: "better", -1: "worse"}.get(found.sign, "no clear difference")
    return (
        f"{abs(pairs.difference):.4f} {_direction(pairs.difference)}: {finding}, {confidence:.0%}: "
        f"{found.low:+.4f} … {found.high:+.4f} on {pairs.rows:,} rows (McNemar p {found.p:.2g})"
    )


def _direction(difference: float) -> str:
    return "higher" if difference >= 0 else "lower"


def _loss(overall: SliceReport, settings: ReleaseGateSettings) -> Check:
    """The loss blocks where it rose by more than its margin, and not by chance."""
    change = overall.losses[LIVE]
    z = NormalDist().inv_cdf((1 + settings.confidence) / 2)
    low, high = change.mean - z * change.standard_error, change.mean + z * change.standard_error
    finding = "worse" if low > 0 else "better" if high < 0 else "no clear difference"
    return Check(
        kind="loss_margin",
        name=f"loss against {_NAMES[LIVE]}",
        asked=f"up to {settings.loss_margin:.4g} higher, or more by chance, is allowed",
        measured=f"{abs(change.mean):.4f} {_direction(change.mean)}: {finding}, {settings.confidence:.0%}: "
        f"{low:+.4f} … {high:+.4f}",
        outcome=_blocked_unless(low <= settings.loss_margin),
        scale=Scale(value=change.mean, limit=settings.loss_margin, at_least=False, low=low, high=high),
    )


def _answers(overall: SliceReport, settings: ReleaseGateSettings) -> Iterator[Check]:
    """An answer blocks where its recall fell by more than its margin, and not by chance.

    A rare answer may lose more: training again with another seed changes it more.
    """
    compared = {a: p for a, p in overall.answers.get(LIVE, {}).items() if p.rows >= settings.min_slice_rows}
    level = (1 - settings.confidence) / max(1, len(compared))
    for answer, pairs in compared.items():
        margin = max(settings.margin, settings.answer_margin * (1 - pairs.rows / overall.rows))
        p = mcnemar(pairs, alternative="less")
        yield Check(
            kind="answer_margin",
            name="recall against the live model",
            subject=f"answer '{answer}'",
            asked=f"up to {margin:.4f} lower, or more by chance, is allowed",
            measured=f"{abs(pairs.difference):.4f} {_direction(pairs.difference)} on {pairs.rows:,} rows "
            f"(p {p:.2g})",
            outcome=_blocked_unless(not (pairs.difference < -margin and p < level)),
            scale=Scale(value=pairs.difference, limit=-margin, at_least=True),
        )


def _slices(report: EvaluationReport, settings: ReleaseGateSettings) -> Iterator[Check]:
    """A slice blocks where it lost more than its margin, and not by chance.

    The level is shared among the slices that can block (Bonferroni), or a model that is equal would fall
    over one slice or another.
    """
    parts = [s for s in report.slices if s.name != OVERALL]
    able = sum(s.rows >= settings.min_slice_rows for s in parts if LIVE in s.pairs)
    for part in parts:
        if LIVE in part.pairs:
            pairs = part.pairs[LIVE]
            p = mcnemar(pairs, alternative="less")
            lost = pairs.difference < -settings.slice_margin and p < (1 - settings.confidence) / max(1, able)
            outcome, details = _outcome(part, settings, passed=not lost)
            yield Check(
                kind="slice_margin",
                name="accuracy against the live model",
                subject=part.name,
                asked=f"up to {settings.slice_margin:.4g} lower, or more by chance, is allowed",
                measured=f"{abs(pairs.difference):.4f} {_direction(pairs.difference)} on {part.rows:,} rows "
                f"(p {p:.2g})",
                outcome=outcome,
                details=details,
                scale=Scale(value=pairs.difference, limit=-settings.slice_margin, at_least=True),
            )
        if part.metrics[CANDIDATE].get("accuracy") == 0:
            yield Check(
                kind="slice_accuracy",
                name="accuracy",
                subject=part.name,
                asked="some right answer is expected",
                measured=f"not one of its {part.rows:,} rows is answered right",
                outcome=Outcome.WARNED,
            )


def _thresholds(report: EvaluationReport, settings: ReleaseGateSettings) -> Iterator[Check]:
    for threshold in settings.thresholds:
        parts = [part for part in report.slices if threshold.applies_to(part.name)]
        if not parts:
            yield Check(
                kind="thresholds",
                name=threshold.metric,
                subject=threshold.slice,
                asked="a bar is set for it; `optional: true` lets it pass without rows",
                measured="no eval row belongs to it",
                outcome=Outcome.IGNORED if threshold.optional else Outcome.BLOCKED,
            )
        for part in parts:
            yield from _bars(part, threshold, settings)


def _bars(part: SliceReport, threshold: Threshold, settings: ReleaseGateSettings) -> Iterator[Check]:
    name = f"{threshold.metric} of '{threshold.answer}'" if threshold.answer else threshold.metric
    value = _value(part, CANDIDATE, threshold)
    if value is None:
        yield Check(
            kind="thresholds",
            name=name,
            subject=part.name,
            asked="a bar is set for it",
            measured=_why_none(threshold),
            outcome=Outcome.IGNORED if threshold.optional else Outcome.BLOCKED,
        )
        return
    shown = f"{value:.4f}{_interval(part, threshold, value, settings.confidence)}"
    bars = []
    if threshold.min is not None:
        scale = Scale(value=value, limit=threshold.min, at_least=True)
        bars.append((name, shown, f"at least {threshold.min:.4f} is needed", value >= threshold.min, scale))
    if threshold.max is not None:
        scale = Scale(value=value, limit=threshold.max, at_least=False)
        bars.append((name, shown, f"at most {threshold.max:.4f} is allowed", value <= threshold.max, scale))
    live = _value(part, LIVE, threshold)
    if threshold.max_worse is not None and live is not None:
        change = value - live
        worse = change if threshold.metric in LOWER_IS_BETTER else -change
        finding = "worse" if worse > 0 else "better" if worse < 0 else "the same"
        asked = f"up to {threshold.max_worse:.4f} worse is allowed"
        measured = f"{abs(change):.4f} {_direction(change)}: {finding}"
        scale = Scale(value=worse, limit=threshold.max_worse, at_least=False)
        bars.append((f"{name} against the live model", measured, asked, worse <= threshold.max_worse, scale))
    for what, measured, asked, passed, scale in bars:
        outcome, details = _outcome(part, settings, passed=passed)
        yield Check(
            kind="thresholds",
            name=what,
            subject=part.name,
            measured=measured,
            asked=asked,
            outcome=outcome,
            details=details,
            scale=scale,
        )


def _value(part: SliceReport, model: str, threshold: Threshold) -> float | None:
    if threshold.metric in PER_ANSWER:
        counts = part.classes.get(model, {}).get(threshold.answer)
        return None if counts is None else float(getattr(counts, threshold.metric))
    return part.metrics.get(model, {}).get(threshold.metric)


def _why_none(threshold: Threshold) -> str:
    if threshold.answer:
        return f"no eval row has the answer '{threshold.answer}', and none was given it"
    if threshold.metric in ("roc_auc", "pr_auc"):
        return "it is defined for two answers, with rows of both"
    if threshold.metric in ("coverage", "answered_accuracy"):
        return "it is measured where task.abstain_below is not 0, and some answer is as probable"
    return "it is not defined for so few answers"


def _interval(part: SliceReport, threshold: Threshold, value: float, confidence: float) -> str:
    """As ` (0.7213 … 0.7621)`: the normal one, or for a share of rows Wilson's.

    F1 is 2s / (1 + s), where s is the share of right answers among the rows that have the answer or were
    given it, so its interval is that of s, converted.
    """
    found = None if threshold.answer else metric_interval(part, CANDIDATE, threshold.metric, confidence)
    if threshold.answer:
        counts = part.classes[CANDIDATE][threshold.answer]
        either = counts.rows + counts.answered - counts.right
        rows = {"recall": counts.rows, "precision": counts.answered, "f1": either}[threshold.metric]
        if rows and threshold.metric == "f1":
            low, high = wilson(value / (2 - value), rows, confidence)
            found = 2 * low / (1 + low), 2 * high / (1 + high)
        elif rows:
            found = wilson(value, rows, confidence)
    return f" ({found[0]:.4f} … {found[1]:.4f})" if found else ""


def _outcome(
    part: SliceReport, settings: ReleaseGateSettings, *, passed: bool
) -> tuple[Outcome, tuple[str, ...]]:
    if part.name == OVERALL or part.rows >= settings.min_slice_rows:
        return _blocked_unless(passed), ()
    few = f"informs only: {part.rows} rows, and release_gate.min_slice_rows is {settings.min_slice_rows}"
    return Outcome.IGNORED if passed else Outcome.WARNED, (few,)


def _blocked_unless(passed: bool) -> Outcome:
    return Outcome.PASSED if passed else Outcome.BLOCKED
