"""What a model predicts: the kind of its label, and what belongs to it. No tensors, no files."""

from typing import Annotated, Literal, Self

from pydantic import StringConstraints, model_validator

from maskline.transform.settings import Section, refusal, setting
from maskline.transform.shown import shown
from maskline.transform.symbols import class_problem, names_problem


class TaskSpec(Section):
    """What the model predicts.

    With `first` it is the first id of the label, a symbol of `sequence.vocabulary`. With `class` it is one
    class for each row: the label holds one class, as its name or as its id, its position in `classes`. With
    `whole` it is the whole label, up to `length` ids of symbols of the vocabulary, and where it ends. With
    `each` it is one class for each id of an input feature: the label holds as many classes as `feature` ids.
    """

    kind: Literal["first", "class", "each", "whole"] = setting(
        "first",
        "what is predicted of the label: `first`, its first id, a symbol of the vocabulary; `class`, "
        "one of `task.classes`; `each`, one of them for each id of an input feature; `whole`, all of it",
    )
    length: int = setting(8, "with `whole`: the longest label that there may be", unit="ids", ge=2, le=1_000)
    feature: str = setting(
        "", "with `each`: the input feature whose ids have labels; may be left out where there is only one"
    )
    classes: tuple[Annotated[str, StringConstraints(min_length=1)], ...] = setting(
        (),
        "with `class` and `each`: the classes; a class's id is its position. Or the path of a text file with "
        "a class on each line",
    )

    threshold: float = setting(
        0.5,
        "with two `classes`: the second is the answer from this probability on",
        unit="probability",
        gt=0,
        lt=1,
    )
    abstain_below: float = setting(
        0.0,
        "signatures that answer row by row give no answer that is less probable; 0 gives every one",
        unit="probability",
        ge=0,
        lt=1,
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.kind in ("class", "each"):
            if len(self.classes) < 2:
                raise refusal("classes", f"{shown(self.classes)} are too few: give the classes, at least two")
            if problem := names_problem("class", self.classes, class_problem):
                raise refusal("classes", problem)
        elif self.classes:
            raise refusal(
                "classes", f"task.kind is {self.kind}, which has no classes; set task.kind=class or each"
            )
        if self.kind != "whole" and self.length != TaskSpec.model_fields["length"].default:
            raise refusal("length", f"task.kind is {self.kind}; only `whole` has a length")
        if self.threshold != TaskSpec.model_fields["threshold"].default and (
            self.kind != "class" or len(self.classes) != 2
        ):
            raise refusal("threshold", "only `class` with two classes has one")
        if self.kind != "each" and self.feature:
            raise refusal("feature", f"task.kind is {self.kind}; only `each` labels the ids of a feature")
        return self

    def same_answers(self, other: "TaskSpec") -> bool:
        """Whether models of both tasks answer the same questions, so that they can be compared."""
        return self.undecided == other.undecided

    @property
    def undecided(self) -> "TaskSpec":
        """Without what is decided of an answer when it is known: threshold and abstaining."""
        fields = TaskSpec.model_fields
        return self.model_copy(update={n: fields[n].default for n in ("threshold", "abstain_below")})

    @property
    def second_from(self) -> float | None:
        """The probability from which on the second of two classes is the answer, where it is not 0.5."""
        return None if self.threshold == TaskSpec.model_fields["threshold"].default else self.threshold

    @property
    def has_positions(self) -> bool:
        """Whether a label has several positions, each with an answer of its own."""
        return self.kind in ("each", "whole")
