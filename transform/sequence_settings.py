"""The section `sequence` of the settings: names, order and symbols of the data. No tensors, no files."""

from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, StringConstraints, model_validator

from maskline.transform import symbols
from maskline.transform.settings import Section, refusal, setting
from maskline.transform.shown import shown

# Features carry letters, digits and underscores so that they can name tensors in a graph.
FeatureName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]

# The input of the signature that TFMA asks: it would hand a feature of that name to the model.
RESERVED_NAMES = ("examples",)

_EXERCISE_SYMBOLS = (" ", ":", "|", "x", "y", "=", ",", "+", "-", "*", *"0123456789")


class SequenceSettings(Section):
    """Names, order, symbols and length of the data.

    A symbol's id is its position in `vocabulary`. A row is the features' ids in the order of
    `features`, with the separator's id between them, padded to `length` with the padding's id.
    """

    model_config = ConfigDict(ignored_types=(cached_property,))

    features: tuple[FeatureName, ...] = setting(
        ("defs", "op"), "int64 lists, joined in this order with the separator between them", min_length=1
    )
    label: FeatureName = setting("res", "what the model predicts, as `task` says; by default an int64 list")
    length: int = setting(
        20, "length of a row after joining; shorter rows are padded", unit="ids", ge=1, le=100_000
    )
    vocabulary: tuple[Annotated[str, StringConstraints(min_length=1)], ...] = setting(
        _EXERCISE_SYMBOLS,
        "the symbols; a symbol's id is its position. Or the path of a text file with a symbol on each line",
        min_length=2,
    )
    separator: str = setting(":", "the symbol between two features")
    padding: str = setting(" ", "the symbol that fills up a row; no feature may hold it")
    unknown: str = setting(
        "",
        "the symbol of the vocabulary that stands for every symbol outside it; empty: rows with such symbols "
        "are refused",
    )
    too_long: Literal["refuse", "keep_start", "keep_end"] = setting(
        "refuse",
        "what becomes of a row that is longer than `length`: it is refused, or the start or the end of its "
        "longest features is kept",
    )

    @cached_property
    def splits_on_spaces(self) -> bool:
        """Whether a symbol has several characters. Text is then read as symbols between spaces."""
        return any(len(symbol) > 1 for symbol in self.vocabulary)

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        if len(set(self.features)) < len(self.features):
            raise refusal("features", f"{shown(self.features)} name a feature twice")
        if self.label in self.features:
            raise refusal("label", f"{shown(self.label)} is also an input in features")
        for key, names in (("features", self.features), ("label", (self.label,))):
            for name in set(names).intersection(RESERVED_NAMES):
                raise refusal(key, f"'{name}' is the name of an input of exported models; rename the feature")
        if problem := symbols.vocabulary_problem(self.vocabulary):
            raise refusal("vocabulary", problem)
        if self.splits_on_spaces and " " in self.vocabulary and self.padding != " ":
            long = next(symbol for symbol in self.vocabulary if len(symbol) > 1)
            reason = "no text could hold it, as spaces divide the symbols where one is longer"
            raise refusal("vocabulary", f"symbol ' ' may only be the padding: {reason} ({shown(long)})")
        for role in ("separator", "padding"):
            if (symbol := getattr(self, role)) not in self.vocabulary:
                raise refusal(role, symbols.not_in_vocabulary(symbol, self.vocabulary))
        if self.separator == self.padding:
            raise refusal("separator", f"separator and padding are both {shown(self.padding)}")
        if self.unknown and self.unknown not in self.vocabulary:
            raise refusal("unknown", symbols.not_in_vocabulary(self.unknown, self.vocabulary))
        if self.unknown in (self.separator, self.padding):
            role = "separator" if self.unknown == self.separator else "padding"
            raise refusal("unknown", f"{shown(self.unknown)} is the {role}; give a symbol of its own")
        if self.too_long != "refuse" and self.length < 2 * len(self.features) - 1:
            needed = f"{2 * len(self.features) - 1} ids, one of each feature and what stands between them"
            raise refusal("too_long", f"a row of {self.length} ids cannot be cut to; length must be {needed}")
        return self
