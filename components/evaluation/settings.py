"""Settings of the evaluation: which rows it reads, and how it divides them."""

from typing import Self

from pydantic import model_validator

from maskline.components.evaluation.slices import SliceSpec
from maskline.transform.settings import Section, refusal, setting
from maskline.transform.shown import shown


class EvaluationSettings(Section):
    """How models are measured before the release gate judges them."""

    pool_window: bool = setting(
        False, "evaluate on the eval rows of all spans of `data.window`, not of the newest alone"
    )
    slices: tuple[SliceSpec, ...] | None = setting(
        None, "how to divide the rows; where nothing is set, it follows from `sequence`"
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [s.name for s in self.slices or ()]
        if len(set(names)) < len(names):
            raise refusal("slices", f"{shown(names)} hold a name twice")
        return self
