"""Names the features and symbols of the data, and says what is allowed in a row. No tensors, no files."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, NamedTuple, Self

from pydantic import ConfigDict, StringConstraints, model_validator
from tensorflow_metadata.proto.v0 import schema_pb2

from maskline.transform import symbols
from maskline.transform.errors import InputError
from maskline.transform.settings import Section, refusal, setting
from maskline.transform.shown import shown

# The names of the transformed features: the padded row of ids, and the first token of the label.
ROW = "x"
TARGET = "y"

# Features carry letters, digits and underscores so that they can name tensors in a graph.
FeatureName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]

# The input of the signature that TFMA asks: it would hand a feature of that name to the model.
RESERVED_NAMES = ("examples",)

_EXERCISE_SYMBOLS = (" ", ":", "|", "x", "y", "=", ",", "+", "-", "*", *"0123456789")


class SequenceSpec(Section):
    """Names, order, symbols and length of the data.

    A symbol's id is its position in `vocabulary`. A row is the features' ids in the order of
    `features`, with the separator's id between them, padded to `length` with the padding's id.
    """

    model_config = ConfigDict(ignored_types=(cached_property,))

    features: tuple[FeatureName, ...] = setting(
        ("defs", "op"), "int64 lists, joined in this order with the separator between them", min_length=1
    )
    label: FeatureName = setting("res", "int64 list; the model predicts its first id")
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
        return self

    @classmethod
    def of_export(cls, values: Mapping[str, Any]) -> Self:
        """Reads the spec of an exported model from JSON values.

        It is not validated, so that models of earlier releases, which had other rules for names, can be used.
        """
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls.model_construct(**{**values, **lists})  # type: ignore[return-value]

    @cached_property
    def digest(self) -> str:
        """A hash; with the same digest, every id has the same meaning."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    def vocabulary_digest(self, size: int | None = None) -> str:
        """A hash of the first `size` symbols; with equal hashes, their ids mean the same symbols."""
        return hashlib.sha256(json.dumps(self.vocabulary[:size]).encode()).hexdigest()[:16]

    @property
    def size(self) -> int:
        """Number of symbols, and so of ids: 0…size-1."""
        return len(self.vocabulary)

    @property
    def pad_id(self) -> int:
        """The id that marks padding; no feature may hold it."""
        return self.ids[self.padding]

    @property
    def separator_id(self) -> int:
        """The id that stands between two joined features."""
        return self.ids[self.separator]

    @cached_property
    def splits_on_spaces(self) -> bool:
        """Whether a symbol has several characters. Text is then read as symbols between spaces."""
        return any(len(symbol) > 1 for symbol in self.vocabulary)

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """Symbol → id."""
        return {symbol: index for index, symbol in enumerate(self.vocabulary)}

    @cached_property
    def allowed(self) -> frozenset[int]:
        """The ids that a label may contain. A feature may not contain the separator's id either."""
        return frozenset(range(self.size)) - {self.pad_id}

    @cached_property
    def allowed_in_features(self) -> frozenset[int]:
        """The ids that a feature may contain."""
        return self.allowed - {self.separator_id}

    @property
    def allowed_ids(self) -> str:
        """The allowed ids in words."""
        return f"0…{self.size - 1} without the padding id {self.pad_id}"


class Reason(StrEnum):
    """Why a row cannot be used."""

    MISSING = "missing"
    NOT_INT64 = "not int64"
    OUTSIDE_VOCABULARY = "outside vocabulary"
    TOO_LONG = "too long"
    HOLDS_SEPARATOR = "holds the separator"
    NOT_AN_EXAMPLE = "not a tf.Example"
    SEQUENCE_EXAMPLE = "a tf.SequenceExample"
    AMBIGUOUS = "ambiguous encoding"
    # Of rows that a model is asked about:
    NOT_TEXT = "not UTF-8 text"
    NOT_JSON = "not a JSON object"
    SEGMENTS = "wrong number of segments"
    REFUSED = "refused by the model"


class RowProblem(NamedTuple):
    """What is wrong with a row: the kind, and a phrase with the feature, the value and what is allowed."""

    reason: Reason
    text: str


def row_problem(
    values: Mapping[str, Sequence[int] | None], names: Sequence[str], spec: SequenceSpec
) -> RowProblem | None:
    """Says what is wrong with a record, or returns None.

    Args:
      values: feature name → int64 ids; None where the record holds something other than integers.
        A feature that is absent or empty counts as missing.
      names: the features that must be present: the inputs, and the label if it is needed.
      spec: what is allowed.

    Returns:
      reason, and a phrase with feature, value and what is allowed; None for a good record.
    """
    for name in names:
        ids = values.get(name, ())
        if ids is None:
            return RowProblem(Reason.NOT_INT64, f"feature '{name}' is not a list of int64 ids")
        if not ids:
            text = f"feature '{name}' is missing or empty; at least one id is needed"
            return RowProblem(Reason.MISSING, text)
        allowed = spec.allowed if name == spec.label else spec.allowed_in_features
        if not allowed.issuperset(ids):
            bad = next(i for i in ids if i not in allowed)
            if bad == spec.separator_id:
                text = f"feature '{name}' holds the separator, id {bad}, which only stands between features"
                return RowProblem(Reason.HOLDS_SEPARATOR, text)
            text = f"feature '{name}' holds id {bad}; allowed are ids {spec.allowed_ids}"
            return RowProblem(Reason.OUTSIDE_VOCABULARY, text)
    lengths = {name: len(values[name] or ()) for name in spec.features}
    joined = sum(lengths.values()) + len(lengths) - 1
    if joined > spec.length:
        parts = ", ".join(f"'{name}' {length}" for name, length in lengths.items())
        text = f"the joined row holds {joined} ids ({parts}, and separators); allowed are {spec.length}"
        return RowProblem(Reason.TOO_LONG, text)
    return None


def tokenize(text: str, spec: SequenceSpec) -> dict[str, list[int]]:
    """Reads a text such as `x=-12,y=24:y+x` as the exported model does.

    Args:
      text: one segment for each feature, separators between them.
      spec: names, order and symbols.

    Returns:
      feature name → ids.

    Raises:
      InputError: wrong number of segments, a symbol outside the vocabulary, a row too long.
    """
    found = _read_text(text, spec)
    if isinstance(found, RowProblem):
        raise InputError(f"{shown(text)}: {found.text}")
    return found


def text_problem(
    text: str, spec: SequenceSpec, unknown: Callable[[str], str] | None = None
) -> RowProblem | None:
    """Says why the exported model refuses a text, or None; see `tokenize`.

    Args:
      text: as there.
      spec: as there.
      unknown: says that a symbol is not in the vocabulary; by default it names those that are nearest.
    """
    found = _read_text(text, spec, unknown)
    return found if isinstance(found, RowProblem) else None


def _read_text(
    text: str, spec: SequenceSpec, unknown: Callable[[str], str] | None = None
) -> dict[str, list[int]] | RowProblem:
    # As `tf.strings.split` does; `str.split` knows further spaces.
    found = re.findall(r"[^ \t\n\v\f\r]+", text) if spec.splits_on_spaces else list(text)
    segments: list[list[str]] = [[]]
    for symbol in found:
        if symbol == spec.separator:
            segments.append([])
        else:
            segments[-1].append(symbol)
    if len(segments) != len(spec.features):
        return RowProblem(
            Reason.SEGMENTS,
            f"has {len(segments)} segments; {len(spec.features)} are needed "
            f"({', '.join(spec.features)}), with '{spec.separator}' between them",
        )
    for symbol in found:
        if symbol == spec.padding:
            padding = f"{shown(symbol)} is the padding, which only fills up rows"
            return RowProblem(Reason.OUTSIDE_VOCABULARY, padding)
        if symbol not in spec.ids:
            said = unknown(symbol) if unknown else symbols.not_in_vocabulary(symbol, spec.vocabulary)
            return RowProblem(Reason.OUTSIDE_VOCABULARY, said)
    ids = {
        name: [spec.ids[symbol] for symbol in segment]
        for name, segment in zip(spec.features, segments, strict=True)
    }
    return row_problem(ids, spec.features, spec) or ids


def example_text(spec: SequenceSpec) -> str:
    """Returns a short text that `tokenize` accepts, as an example for a person."""
    if spec == SequenceSpec():
        return "x=-12,y=24:y+x"
    # On a command line a text that begins with a dash would be an option.
    others = [symbol for symbol in spec.vocabulary if symbol not in (spec.padding, spec.separator)]
    symbols = [symbol for symbol in others if not symbol.startswith("-")] or ["TEXT"]
    parts = [symbols[index % len(symbols)] for index in range(len(spec.features))]
    between = f" {spec.separator} " if spec.splits_on_spaces else spec.separator
    return between.join(parts)


def make_schema(spec: SequenceSpec) -> schema_pb2.Schema:
    """Makes the schema that follows from `spec`: every feature in every record, ids in range.

    Lengths are at least 1 and, for the inputs, at most what still fits the row beside the others.
    `is_categorical` keeps ids from being compared as numbers in drift checks.
    """
    schema = schema_pb2.Schema()
    lowest = 1 if spec.pad_id == 0 else 0
    # One id from each other feature and the separators share the row.
    longest = spec.length - 2 * (len(spec.features) - 1)
    for name in (*spec.features, spec.label):
        feature = schema.feature.add(name=name, type=schema_pb2.INT)
        feature.presence.min_fraction = 1.0
        feature.presence.min_count = 1
        feature.value_count.min = 1
        if name != spec.label:
            feature.value_count.max = longest
        feature.int_domain.name = f"{name}_ids"
        feature.int_domain.min = lowest
        feature.int_domain.max = spec.size - 1
        feature.int_domain.is_categorical = True
    return schema


def schema_problem(schema: Any, spec: SequenceSpec) -> str | None:
    """Says where a curated schema and `spec` disagree, or None.

    The schema may be narrower than the spec (fewer ids, shorter lists), never wider, and it must
    leave every feature of uneven length: a fixed shape would break the text signature.
    """
    found = {feature.name: feature for feature in schema.feature}
    if others := sorted(found.keys() - {*spec.features, spec.label}):
        return f"it names feature '{others[0]}', which sequence does not; the ingest drops such features"
    for name in (*spec.features, spec.label):
        feature = found.get(name)
        if feature is None:
            return f"it has no feature '{name}'"
        if feature.type != schema_pb2.INT:
            return f"feature '{name}' is not of type INT"
        if feature.HasField("shape"):
            return f"feature '{name}' has a fixed shape; use value_count"
        if feature.HasField("int_domain") and feature.int_domain.max > spec.size - 1:
            return (
                f"feature '{name}' allows ids up to {feature.int_domain.max}, "
                f"the vocabulary ends at {spec.size - 1}"
            )
        if not feature.int_domain.is_categorical:
            return f"feature '{name}' has no int_domain with is_categorical: true, so its drift would read 0"
    return None
