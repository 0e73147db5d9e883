"""Slices of the eval rows, by what the raw features hold. Settings and words; no tensors, no files."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from maskline.transform.features import SequenceSpec
from maskline.transform.settings import Section, refusal, setting
from maskline.transform.shown import shown

OTHER = "other"
SliceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]


class SliceSpec(Section):
    """One way to divide the rows; each value that occurs is a slice, written as `operator=+`."""

    name: SliceName = setting(..., "what the slices are called")
    feature: str = setting("", "the feature that is looked at; for `lengths`, empty means the joined row")
    contains: tuple[str, ...] = setting(
        (), "the slice is the first of these symbols that the feature holds, else `other`"
    )
    begins: tuple[str, ...] = setting(
        (), "the slice is the feature's first symbol if it is one of these, else `other`"
    )
    lengths: tuple[Annotated[int, Field(ge=1, le=100_000)], ...] = setting(
        (),
        "the slice is the range that holds the number of ids; `[10, 15]` gives `1-10`, `11-15` and `16+`",
        unit="ids",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(map(bool, (self.contains, self.begins, self.lengths))) != 1:
            raise refusal("name", f"slice '{self.name}' needs one of contains, begins, lengths")
        if not self.lengths and not self.feature:
            raise refusal("feature", f"slice '{self.name}' needs the feature that holds its symbols")
        if list(self.lengths) != sorted(set(self.lengths)):
            raise refusal("lengths", f"slice '{self.name}': {shown(self.lengths)} do not grow")
        return self

    def problem(self, spec: SequenceSpec) -> str | None:
        """Says where the slice names what the data do not have, or None."""
        names = (*spec.features, spec.label)
        if self.feature and self.feature not in names:
            return f"slice '{self.name}': no feature {shown(self.feature)}; there are {', '.join(names)}"
        for symbol in (*self.contains, *self.begins):
            if spec.is_computed and not self._of_class(spec):
                continue  # the vocabulary will be known when Transform has computed it
            if symbol not in spec.ids_of(self.feature):
                there = "one of task.classes" if self._of_class(spec) else "in the vocabulary"
                return f"slice '{self.name}': {shown(symbol)} is not {there}"
        return None

    @property
    def values(self) -> tuple[str, ...]:
        """Every value that a row can have."""
        if self.lengths:
            return tuple(self._bucket(length) for length in (*self.lengths, self.lengths[-1] + 1))
        return (*self.contains, *self.begins, OTHER)

    def value(self, row: Mapping[str, Sequence[int]], spec: SequenceSpec) -> str:
        """The slice that a row belongs to.

        Args:
          row: feature name → ids, of the inputs and the label.
          spec: names, order and symbols.
        """
        if self.lengths:
            return self._bucket(len(row[self.feature]) if self.feature else _joined_length(row, spec))
        names = spec.answers if self._of_class(spec) else spec.vocabulary
        symbols = [names[i] for i in row[self.feature]]
        looked_at, wanted = (symbols[:1], self.begins) if self.begins else (symbols, self.contains)
        return next((symbol for symbol in looked_at if symbol in wanted), OTHER)

    def _of_class(self, spec: SequenceSpec) -> bool:
        return self.feature == spec.label and bool(spec.task.classes)

    def _bucket(self, length: int) -> str:
        place = bisect_left(self.lengths, length)
        low = self.lengths[place - 1] + 1 if place else 1
        if place == len(self.lengths):
            return f"{low}+"
        high = self.lengths[place]
        return f"{low}" if low == high else f"{low}-{high}"


def _joined_length(row: Mapping[str, Sequence[int]], spec: SequenceSpec) -> int:
    return sum(len(row[name]) for name in spec.features) + len(spec.features) - 1


def default_slices(spec: SequenceSpec) -> tuple[SliceSpec, ...]:
    """Operator, sign of the answer and length where the data are exercises; else quarters of the length."""
    wanted = (
        SliceSpec(name="operator", feature="op", contains=("+", "-", "*")),
        SliceSpec(name="sign", feature="res", begins=("-",)),
        SliceSpec(name="length", lengths=(13, 14)),  # a third, a half and a fifth of the sample rows
    )
    exercises = SequenceSpec()
    same_names = (spec.features, spec.label) == (exercises.features, exercises.label)
    if same_names and not any(s.problem(spec) for s in wanted):
        return wanted
    quarters = {max(1, spec.length * quarter // 4) for quarter in (1, 2, 3)}
    return (SliceSpec(name="length", lengths=tuple(sorted(quarters))),)
