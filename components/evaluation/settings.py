"""Settings of the evaluation: which rows it reads, and how it divides them."""

from typing import Literal, Self

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

    baselines: tuple[Literal["majority", "linear"], ...] = setting(
        ("majority", "linear"),
        "what models are compared with besides each other: the most frequent answer of the training rows, "
        "and a linear model on counts of ids; see `release_gate.min_gain`",
    )
    threshold: float = setting(
        0.5,
        "where there are two answers, the probability from which on the rarer one is given in `at_threshold`",
        unit="probability",
        ge=0,
        le=1,
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [s.name for s in self.slices or ()]
        if len(set(names)) < len(names):
            raise refusal("slices", f"{shown(names)} hold a name twice")
        return self
