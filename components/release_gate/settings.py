"""Settings of the release gate: what a model must reach to be released."""

from enum import StrEnum
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from maskline.components.evaluation.report import OVERALL
from maskline.transform.settings import Section, refusal, setting

# Of every task, of labels with positions, of whole ones, of several answers together, of one answer; and
# where a row has one label, of all answers together and of two.
OfEvery = Literal["accuracy", "loss", "calibration_error", "coverage", "answered_accuracy"]
OfPositions = Literal["token_accuracy"]
OfWhole = Literal["first_accuracy", "edit_distance"]
OfSeveral = Literal["macro_f1"]
OfOne = Literal["precision", "recall", "f1"]
OfAll = Literal["top3_accuracy", "balanced_accuracy"]
OfTwo = Literal["roc_auc", "pr_auc"]
_KINDS = ("first", "class", "each", "whole")
_MEASURED = (
    (OfPositions, ("each", "whole")),
    (OfWhole, ("whole",)),
    (OfSeveral, ("first", "class", "each")),
    (OfOne, ("first", "class", "each")),
    (OfAll, ("first", "class")),
    (OfTwo, ("first", "class")),
)
PER_ANSWER = ("precision", "recall", "f1")


class Requirement(StrEnum):
    """What the paired test must find."""

    NOT_WORSE = "not-worse"
    BETTER = "better"


class Threshold(Section):
    """A further bar for one metric, over all rows or in a slice."""

    metric: OfEvery | OfSeveral | OfAll | OfTwo | OfOne | OfPositions | OfWhole = setting(
        ..., "the metric that the bar is for"
    )
    answer: str = setting("", "the answer whose precision, recall or F1 is meant")
    slice: str = setting(OVERALL, "the slice, as `operator=+`; `operator` means each of its slices")
    min: Annotated[float, Field(ge=0)] | None = setting(
        None, "lowest value that is allowed; only loss and edit distance can be above 1", unit="of the metric"
    )
    max: Annotated[float, Field(ge=0)] | None = setting(
        None, "highest value that is allowed, not below `min`", unit="of the metric"
    )
    max_worse: Annotated[float, Field(ge=0)] | None = setting(
        None, "how much worse than the live model the value may be", unit="of the metric"
    )
    optional: bool = setting(False, "pass where no eval row belongs to the slice")

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.min is None and self.max is None and self.max_worse is None:
            raise refusal("metric", f"the threshold of {self.metric} needs one of min, max, max_worse")
        if bool(self.answer) != (self.metric in PER_ANSWER):
            needed = f"{self.metric} is of one answer: name it" if not self.answer else "answer is for "
            raise refusal("answer", needed if not self.answer else needed + ", ".join(PER_ANSWER))
        return self

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        for key in ("min", "max", "max_worse"):
            if self.metric not in ("loss", "edit_distance") and (getattr(self, key) or 0) > 1:
                raise refusal(key, f"{getattr(self, key):g}: {self.metric} is a share, from 0 to 1")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise refusal("min", f"{self.min:g} is above max, which is {self.max:g}; no model could pass")
        return self

    def problem(self, kind: str) -> str | None:
        """Says that the metric is not measured for a kind of task, or None."""
        kinds = next((kinds for metrics, kinds in _MEASURED if self.metric in get_args(metrics)), _KINDS)
        return None if kind in kinds else f"{self.metric} is measured where task.kind is {' or '.join(kinds)}"

    def applies_to(self, name: str) -> bool:
        """Whether a slice is meant."""
        return name == self.slice or (self.slice != OVERALL and name.startswith(f"{self.slice}="))


class ReleaseGateSettings(Section):
    """What a model must reach to be released."""

    min_accuracy: float = setting(
        0.55, "accuracy on the eval rows that every released model reaches", unit="share", ge=0, le=1
    )
    min_gain: float = setting(
        0.0,
        "accuracy that a model must have above the better baseline (`evaluation.baselines`); -1 asks nothing",
        unit="share",
        ge=-1,
        le=1,
    )
    require: Requirement = setting(
        Requirement.NOT_WORSE, "what the paired test against the live model must find"
    )
    margin: float = setting(0.035, "accuracy that `not-worse` may lose", unit="share", ge=0, le=1)
    loss_margin: float = setting(
        0.1, "how much higher the mean loss may be with `not-worse`", unit="nats", ge=0, le=1e6
    )
    answer_margin: float = setting(
        0.15,
        "recall that one answer may lose with `not-worse`, times the share of the rows with other answers "
        "(a frequent answer may lose less), and never less than `margin`",
        unit="share",
        ge=0,
        le=1,
    )
    slice_margin: float = setting(0.05, "accuracy that one slice may lose", unit="share", ge=0, le=1)
    confidence: float = setting(0.95, "confidence level of each comparison", unit="share", ge=0.5, lt=1)
    min_slice_rows: int = setting(
        100, "a slice or answer with fewer rows informs and does not block", unit="rows", ge=1, le=10**12
    )
    thresholds: tuple[Threshold, ...] = setting((), "further bars, over all rows or in a slice")
