"""The section `sequence` of the settings: names, order and symbols of the data. No tensors, no files."""

from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from maskline.transform import symbols
from maskline.transform.settings import Section, refusal, setting
from maskline.transform.shown import shown
from maskline.transform.text import TextSettings

# Features carry letters, digits and underscores so that they can name tensors in a graph.
FeatureName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]

# The input of the signature that TFMA asks: it would hand a feature of that name to the model.
RESERVED_NAMES = ("examples",)

# With a computed vocabulary, where nothing else is set.
_SPECIAL = {"padding": "<pad>", "separator": "<sep>", "unknown": "<unk>"}
_EXERCISE_SYMBOLS = (" ", ":", "|", "x", "y", "=", ",", "+", "-", "*", *"0123456789")


class SequenceSettings(Section):
    """Names, order, symbols and length of the data.

    A symbol's id is its position in `vocabulary`. A row is the features' ids in the order of
    `features`, with the separator's id between them, padded to `length` with the padding's id.
    """

    model_config = ConfigDict(ignored_types=(cached_property,))

    features: tuple[FeatureName, ...] = setting(
        ("defs", "op"),
        "int64 lists, or texts where `text.split` says so; joined in this order with the separator between "
        "them",
        min_length=1,
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

    text: TextSettings = TextSettings()
    numeric: dict[FeatureName, Annotated[int, Field(ge=1, le=10_000)]] = setting(
        {},
        "float lists beside the ids: the name of each, and its length, the same in each row; Transform "
        "scales them",
        unit="numbers",
    )

    @cached_property
    def splits_on_spaces(self) -> bool:
        """Whether a symbol has several characters. Text is then read as symbols between spaces."""
        if self.text.reads_text:
            return self.text.split == "words"
        return any(len(symbol) > 1 for symbol in self.vocabulary)

    @model_validator(mode="after")
    def _before_computing(self) -> Self:
        """A vocabulary that is computed begins with the symbols that have a meaning of their own."""
        if self.text.size:
            # Not a validator "before": JSON that it hands on would be read as Python, lists not as tuples.
            for name, symbol in _SPECIAL.items():
                if name not in self.model_fields_set or not getattr(self, name):
                    self.__dict__[name] = symbol
            if "vocabulary" not in self.model_fields_set:
                self.__dict__["vocabulary"] = (self.padding, self.separator, self.unknown)
        return self

    @model_validator(mode="after")
    def _text_agrees(self) -> Self:
        if not self.text.reads_text:
            set_otherwise = next(
                (name for name, value in self.text if value != getattr(TextSettings(), name)), None
            )
            if set_otherwise:
                raise refusal(
                    f"text.{set_otherwise}",
                    "features hold ids, not text; set sequence.text.split to words or characters",
                )
            return self
        special = (self.padding, self.separator, self.unknown)
        if self.text.size and self.vocabulary[: len(special)] != special:
            raise refusal(
                "vocabulary", "is computed, since text.size is set; leave out one of vocabulary and text.size"
            )
        for name, symbol in zip(_SPECIAL, special, strict=True):
            if symbol != " " and self.text.normal(symbol) != symbol:
                raise refusal(name, f"{shown(symbol)} is written {shown(self.text.normal(symbol))} in texts")
        for symbol in self.vocabulary:
            if symbol not in special and (problem := self.text.problem(symbol)):
                raise refusal("vocabulary", f"symbol {shown(symbol)}: {problem}")
        return self

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        if len(set(self.features)) < len(self.features):
            raise refusal("features", f"{shown(self.features)} name a feature twice")
        if self.label in self.features:
            raise refusal("label", f"{shown(self.label)} is also an input in features")
        for name in self.numeric:
            if name in (*self.features, self.label):
                raise refusal("numeric", f"{shown(name)} is also in features or label; it holds ids there")
        if self.numeric and any("\t" in symbol for symbol in self.vocabulary):
            raise refusal("vocabulary", "a tab is no symbol here: in texts it stands before each number")
        named = ("features", self.features), ("label", (self.label,)), ("numeric", tuple(self.numeric))
        for key, names in named:
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
