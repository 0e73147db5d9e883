"""Compares two runs: data, settings, metrics and slices, with better or worse in words."""

import json
import math
from collections.abc import Iterator, Mapping
from statistics import NormalDist
from typing import Any, Literal

from pydantic import BaseModel

from maskline.components.evaluation.report import CANDIDATE, OVERALL, SliceReport
from maskline.pipeline.registry.model_facts import read_facts
from maskline.pipeline.registry.record import Run
from maskline.transform.names import Node

ChangeFinding = Literal["better", "worse", "equal", "may be chance"]
_CONFIDENCE = 0.95
_COUNT = "example_count"
_LOWER_IS_BETTER = ("loss", "error")  # at the end of a metric's name


class MetricChange(BaseModel):
    """One metric in both runs. `low` and `high` are the 95 % interval of the difference, where known."""

    metric: str
    slice: str = OVERALL
    before: float
    after: float
    low: float | None = None
    high: float | None = None
    finding: ChangeFinding

    @property
    def difference(self) -> float:
        """Of the second run less the first."""
        return self.after - self.before


class RunComparison(BaseModel):
    """Two runs. `settings` are the values that differ, by their key's path; None where one made no model."""

    runs: tuple[str, str]
    outcomes: tuple[str, str]
    rows: tuple[dict[str, int], dict[str, int]]
    held_out: tuple[int, int]
    settings: dict[str, tuple[Any, Any]] | None
    metrics: list[MetricChange]
    slices: list[MetricChange]


def compare_runs(first: Run, second: Run, outcomes: tuple[str, str]) -> RunComparison:
    """Compares what two runs measured, each on its own held-out rows.

    The intervals take the rows of the runs as drawn independently (normal approximation). Where both runs
    measured the same rows that is too wide: what is said to be better or worse then is.

    Args:
      first: the run before.
      second: the run that is judged.
      outcomes: the headline of each.
    """
    parts = [_parts(run) for run in (first, second)]
    both = [name for name in parts[0] if name in parts[1]]
    changes = {name: _changes(parts[0][name], parts[1][name]) for name in both}
    return RunComparison(
        runs=(first.run, second.run),
        outcomes=outcomes,
        rows=(_rows(first), _rows(second)),
        held_out=(_held_out(parts[0]), _held_out(parts[1])),
        settings=_differing(_settings(first), _settings(second)),
        metrics=changes.pop(OVERALL, []),
        slices=[change for found in changes.values() for change in found if change.metric == "accuracy"],
    )


def lines(found: RunComparison) -> Iterator[str]:
    """The comparison for people."""
    for run, outcome in zip(found.runs, found.outcomes, strict=True):
        yield f"{run}: {outcome}"
    yield ""
    yield f"Rows: {_counted(found.rows[0])}; then {_counted(found.rows[1])}."
    for key, (before, after) in (found.settings or {}).items():
        yield f"Setting {key}: {json.dumps(before)}; then {json.dumps(after)}."
    if not found.settings:
        same = "the same" if found.settings is not None else "not recorded for a run that made no model"
        yield f"Settings: {same}."
    if not found.metrics:
        yield "Metrics: at least one of the two runs measured no model."
        return
    yield f"Held-out rows: {found.held_out[0]:,}; then {found.held_out[1]:,}."
    for change in found.metrics:
        yield f"{_words(change)}."
    clear = [change for change in found.slices if change.finding in ("better", "worse")]
    for change in clear:
        yield f"Slice {change.slice}: {_words(change)}."
    if found.slices:
        rest = len(found.slices) - len(clear)
        yield f"Slices without a clear difference: {rest} of {len(found.slices)}."


def change_in_words(metric: str, before: float, after: float) -> str:
    """A metric's change in words: `loss 0.0064 higher: worse`."""
    difference = after - before
    if not difference:
        return f"{metric.replace('_', ' ')} equal"
    size = f"{abs(difference):.4f} {'higher' if difference > 0 else 'lower'}"
    return f"{metric.replace('_', ' ')} {size}: {_direction(metric, difference)}"


def _words(change: MetricChange) -> str:
    moved = change_in_words(change.metric, change.before, change.after)
    text = f"{moved} ({change.before:.4f}, then {change.after:.4f}"
    if change.low is not None and change.high is not None:
        text += f"; {_CONFIDENCE:.0%}: {change.low:+.4f} to {change.high:+.4f}"
        text += ", which may be chance" if change.finding == "may be chance" else ""
    return text + ")"


def _direction(metric: str, difference: float) -> Literal["better", "worse"]:
    return "better" if (difference < 0) is metric.endswith(_LOWER_IS_BETTER) else "worse"


def _changes(before: SliceReport, after: SliceReport) -> list[MetricChange]:
    ours, theirs = before.metrics[CANDIDATE], after.metrics[CANDIDATE]
    return [_change(name, before, after) for name in ours if name in theirs and name != _COUNT]


def _change(metric: str, before: SliceReport, after: SliceReport) -> MetricChange:
    values = [part.metrics[CANDIDATE][metric] for part in (before, after)]
    difference = values[1] - values[0]
    errors = [e for part in (before, after) if (e := _standard_error(part, metric)) is not None]
    low = high = None
    if len(errors) == 2:
        reach = NormalDist().inv_cdf((1 + _CONFIDENCE) / 2) * math.hypot(*errors)
        low, high = difference - reach, difference + reach
    finding: ChangeFinding = _direction(metric, difference) if difference else "equal"
    if difference and low is not None and high is not None and low <= 0 <= high:
        finding = "may be chance"
    return MetricChange(
        metric=metric,
        slice=before.name,
        before=values[0],
        after=values[1],
        low=low,
        high=high,
        finding=finding,
    )


def _standard_error(part: SliceReport, metric: str) -> float | None:
    """As measured; of accuracy, a share of the rows, as of a binomial share with a row added to each side."""
    measured = part.standard_errors.get(CANDIDATE, {}).get(metric)
    if measured is not None or not metric.endswith("accuracy") or metric.startswith("balanced"):
        return measured
    share = (part.metrics[CANDIDATE][metric] * part.rows + 1) / (part.rows + 2)
    return math.sqrt(share * (1 - share) / (part.rows + 2))


def _parts(run: Run) -> dict[str, SliceReport]:
    return {part.name: part for part in run.evaluation.slices} if run.evaluation else {}


def _held_out(parts: Mapping[str, SliceReport]) -> int:
    return parts[OVERALL].rows if parts else 0


def _rows(run: Run) -> dict[str, int]:
    trained = next((c.records_in for c in run.components if c.name == Node.TRAINER and c.records_in), None)
    return trained or next((c.records_out for c in run.components if c.name == Node.EXAMPLE_GEN), {})


def _counted(rows: Mapping[str, int]) -> str:
    return " + ".join(f"{count:,} {split}" for split, count in rows.items()) or "unknown"


def _settings(run: Run) -> dict[str, Any] | None:
    if run.facts is None or not run.facts.exists():
        return None
    return dict(_flat(read_facts(run.facts)["settings"]))


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value


def _differing(
    first: dict[str, Any] | None, second: dict[str, Any] | None
) -> dict[str, tuple[Any, Any]] | None:
    if first is None or second is None:
        return None
    keys = dict.fromkeys([*first, *second])
    return {k: (first.get(k), second.get(k)) for k in keys if first.get(k) != second.get(k)}
