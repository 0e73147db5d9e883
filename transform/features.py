"""Names the features and symbols of the data, and says what is allowed in a row. No tensors, no files."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, Self

from pydantic import SerializerFunctionWrapHandler, model_serializer
from tensorflow_metadata.proto.v0 import schema_pb2

from maskline.transform import symbols
from maskline.transform.errors import InputError
from maskline.transform.numeric import split_numbers, with_numbers
from maskline.transform.problems import Reason, RowProblem
from maskline.transform.sequence_settings import SequenceSettings
from maskline.transform.settings import Section
from maskline.transform.shown import shown
from maskline.transform.task import TaskSpec
from maskline.transform.text import TextSettings

# The names of the transformed features: the padded row of ids, and what is to be predicted.
ROW = "x"
TARGET = "y"
NUMERIC = "numeric"  # numbers of a row, scaled, where `sequence.numeric` names some
_LATER = ("unknown", "too_long", "text", "numeric")  # settings of `sequence` that came after the first models


class SequenceSpec(SequenceSettings):
    """The language of the data, and what is predicted from them: all that the rooms need to know of a row.

    `sequence` and `task` are two sections of the settings; whoever reads a row or a model needs both.
    """

    task: TaskSpec = TaskSpec()

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out later settings where they are the default, so that hashes are as before them."""
        values: dict[str, Any] = write(self)
        if self.task == TaskSpec():
            values.pop("task", None)
        for name in _LATER:
            if name in values and getattr(self, name) == SequenceSettings.model_fields[name].default:
                del values[name]
        return values

    @classmethod
    def of_export(cls, values: Mapping[str, Any]) -> Self:
        """Reads the spec of an exported model from JSON values.

        It is not validated, so that models of earlier releases, which had other rules for names, can be used.
        """
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        sections: dict[str, type[Section]] = {"task": TaskSpec, "text": TextSettings}
        read = {name: kind.model_validate(values[name]) for name, kind in sections.items() if name in values}
        return cls.model_construct(**{**values, **lists, **read})  # type: ignore[return-value]

    @property
    def inputs(self) -> tuple[str, ...]:
        """All features that a model reads: those of symbols, and the numeric ones."""
        return (*self.features, *self.numeric)

    @property
    def numbers(self) -> int:
        """The count of numbers that a row has beside its symbols."""
        return sum(self.numeric.values())

    @property
    def is_computed(self) -> bool:
        """Whether Transform computes the vocabulary; `vocabulary` may have no more than special symbols."""
        return self.text.size > 0

    def resolved(self, computed: Iterable[str]) -> Self:
        """With the vocabulary that Transform computed, behind the special symbols."""
        if not self.is_computed:
            return self
        return self._with_vocabulary((*self.special, *computed))

    @property
    def special(self) -> tuple[str, str, str]:
        """The symbols that a computed vocabulary begins with."""
        return self.padding, self.separator, self.unknown

    def _with_vocabulary(self, vocabulary: tuple[str, ...]) -> Self:
        # Not `model_copy`, which keeps what was cached of the other vocabulary.
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self).model_construct(**{**values, "vocabulary": vocabulary})  # type: ignore[return-value]

    @property
    def as_set(self) -> Self:
        """As the settings have it, without a computed vocabulary: what rows mean before Transform."""
        return self._with_vocabulary(self.special) if self.is_computed else self

    @property
    def size_at_most(self) -> int:
        """Number of symbols, at most; a vocabulary that is not computed yet may be as large as is set."""
        unknown_yet = self.is_computed and self.size == len(self.special)
        return self.size + self.text.size if unknown_yet else self.size

    @cached_property
    def digest(self) -> str:
        """A hash; with the same digest, every id has the same meaning."""
        return hashlib.sha256(self.undecided.as_set.model_dump_json().encode()).hexdigest()[:16]

    @cached_property
    def undecided(self) -> Self:
        """What a row means: without what is decided of an answer, so that it asks for no other rows."""
        return self.model_copy(update={"task": self.task.undecided})

    def vocabulary_digest(self, size: int | None = None) -> str:
        """A hash of the first `size` symbols and of all classes; with equal hashes, ids mean the same."""
        named = [self.vocabulary[:size], self.task.classes] if self.task.classes else self.vocabulary[:size]
        return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:16]

    @property
    def answers(self) -> tuple[str, ...]:
        """What the model chooses from, by id: the classes, or the symbols of the vocabulary."""
        return self.task.classes or self.vocabulary

    @cached_property
    def answer_ids(self) -> Mapping[str, int]:
        """Answer → id."""
        return {answer: index for index, answer in enumerate(self.answers)}

    def ids_of(self, feature: str) -> Mapping[str, int]:
        """Symbol → id of a feature, or answer → id where it is the label."""
        return self.answer_ids if feature == self.label else self.ids

    def text_of(self, ids: Iterable[int]) -> str:
        """Symbols as text, as `maskline predict` takes it, without padding."""
        between = " " if self.splits_on_spaces else ""
        return between.join(self.vocabulary[i] for i in ids if i != self.pad_id)

    def named(self, feature: str, value: int) -> str | None:
        """The symbol, or for the label the answer, that an id stands for; None outside of them."""
        names: Sequence[str] = self.answers if feature == self.label else self.vocabulary
        return names[value] if 0 <= value < len(names) else None

    def shown_value(self, feature: str, value: str) -> str:
        """A value as statistics count it, for a person: an id with its symbol, or a symbol of a text."""
        if self.text.reads_text and feature != self.label:
            return f"'{value}'"
        named = self.named(feature, int(value)) if value.isdecimal() else None
        return f"id {value}" + ("" if named is None else f" '{named}'")

    @property
    def positions(self) -> int:
        """How many answers a row has room for: 1 where it is a symbol or a class.

        With `whole` they are those of the longest label, with its end; with `each` those of the joined row.
        """
        return {"whole": self.task.length, "each": self.length}.get(self.task.kind, 1)

    @property
    def tagged(self) -> str:
        """The feature whose ids have labels, with the task `each`."""
        return self.task.feature or self.features[0]

    @property
    def no_label(self) -> int | None:
        """With the task `each`, what stands at the positions of a row that have no label."""
        return len(self.answers) if self.task.kind == "each" else None

    @property
    def size(self) -> int:
        """Number of symbols, and so of ids: 0…size-1."""
        return len(self.vocabulary)

    @property
    def pad_id(self) -> int:
        """The id that marks padding; no feature may hold it."""
        return self.ids[self.padding]

    @property
    def unknown_id(self) -> int | None:
        """The id that stands for every symbol outside the vocabulary; None where such rows are refused."""
        return self.ids[self.unknown] if self.unknown else None

    @property
    def separator_id(self) -> int:
        """The id that stands between two joined features."""
        return self.ids[self.separator]

    @cached_property
    def encoded_ids(self) -> Mapping[bytes, int]:
        """Symbol, UTF-8 → id."""
        return {symbol.encode(): index for symbol, index in self.ids.items()}

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


def text_task_problem(spec: SequenceSpec) -> str | None:
    """Says that labels are symbols of a vocabulary that is not known when rows are read, or None."""
    if spec.is_computed and not spec.task.classes:
        return (
            f"{spec.task.kind} predicts symbols, whose ids must be known when rows are read, and "
            "sequence.text.size computes them later; give sequence.vocabulary instead, or set "
            "task.kind=class or each"
        )
    return None


def numeric_task_problem(spec: SequenceSpec) -> str | None:
    """Says that numbers of a row have no place in the task, or None."""
    if spec.numeric and spec.task.kind == "each":
        return "each labels ids, and numbers belong to a row; with sequence.numeric set another kind"
    return None


def tagged_problem(spec: SequenceSpec) -> str | None:
    """Says that `task.feature` is missing or no input feature, or None."""
    there = f"sequence.features has {', '.join(spec.features)}"
    if spec.task.kind == "each" and not spec.task.feature and len(spec.features) > 1:
        return f"say whose ids have labels; {there}"
    if spec.task.feature and spec.task.feature not in spec.features:
        return f"{shown(spec.task.feature)} is not one of the inputs; {there}"
    return None


def row_problem(
    values: Mapping[str, Sequence[int] | None], names: Sequence[str], spec: SequenceSpec
) -> RowProblem | None:
    """Says what is wrong with a record, or returns None.

    Args:
      values: feature name → int64 ids; None where the record holds something other than integers.
        A feature that is absent or empty counts as missing. Names of classes are ids by then; see
        `maskline.transform.labels`.
      names: the features that must be present: the inputs, and the label if it is needed.
      spec: what is allowed.

    Returns:
      reason, and a phrase with feature, value and what is allowed; None for a good record. What
      `maskline.transform.fitting` changes in rows must be changed before and after: ids outside the
      vocabulary before, where there is an unknown symbol; and a row that may be cut passes in full.
    """
    for name in names:
        ids = values.get(name, ())
        if ids is None:
            return RowProblem(Reason.NOT_INT64, f"feature '{name}' is not a list of int64 ids")
        if not ids:
            text = f"feature '{name}' is missing or empty; at least one id is needed"
            return RowProblem(Reason.MISSING, text)
        if name == spec.label and spec.task.classes:
            if problem := class_id_problem(ids, spec, len(values.get(spec.tagged) or ())):
                return problem
            continue
        allowed = spec.allowed if name == spec.label else spec.allowed_in_features
        if not allowed.issuperset(ids):
            bad = next(i for i in ids if i not in allowed)
            if bad == spec.separator_id:
                text = f"feature '{name}' holds the separator, id {bad}, which only stands between features"
                return RowProblem(Reason.HOLDS_SEPARATOR, text)
            text = f"feature '{name}' holds id {bad}; allowed are ids {spec.allowed_ids}"
            return RowProblem(Reason.OUTSIDE_VOCABULARY, text)
        if name == spec.label and spec.task.kind == "whole" and len(ids) > spec.task.length:
            text = f"feature '{name}' holds {len(ids)} ids; allowed are {spec.task.length} (task.length)"
            return RowProblem(Reason.LABEL_LENGTH, text)
    lengths = {name: len(values[name] or ()) for name in spec.features}
    joined = sum(lengths.values()) + len(lengths) - 1
    if joined > spec.length and spec.too_long == "refuse":
        parts = ", ".join(f"'{name}' {length}" for name, length in lengths.items())
        text = f"the joined row holds {joined} ids ({parts}, and separators); allowed are {spec.length}"
        return RowProblem(Reason.TOO_LONG, text)
    return None


def class_id_problem(ids: Sequence[int], spec: SequenceSpec, labelled: int = 0) -> RowProblem | None:
    """Says what is wrong with a label that holds classes as their ids, or None.

    Args:
      ids: of the label.
      spec: with the classes.
      labelled: how many ids the feature holds that has a label for each.
    """
    if spec.task.kind == "each" and len(ids) != labelled:
        text = f"feature '{spec.label}' holds {len(ids)} labels, and '{spec.tagged}' {labelled} ids"
        return RowProblem(Reason.LABEL_LENGTH, f"{text}; each id has one label")
    if spec.task.kind == "class" and len(ids) > 1:
        text = f"feature '{spec.label}' holds {len(ids)} classes ({shown(list(ids[:9]))}); a row has one"
        return RowProblem(Reason.LABEL_LENGTH, text)
    for value in ids:
        if not 0 <= value < len(spec.answers):
            allowed = f"allowed are 0…{len(spec.answers) - 1}, the places in task.classes"
            return RowProblem(Reason.NOT_A_CLASS, f"feature '{spec.label}' holds id {value}; {allowed}")
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
    text, problem = split_numbers(text, spec.numeric)
    if problem:
        return problem
    segments: list[list[str]] = [[]]
    if spec.text.reads_text:
        segments = spec.text.segments(text, spec.separator)
    else:
        # As `tf.strings.split` does; `str.split` knows further spaces.
        for symbol in re.findall(r"[^ \t\n\v\f\r]+", text) if spec.splits_on_spaces else text:
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
    for symbol in chain.from_iterable(segments):
        if symbol == spec.padding:
            padding = f"{shown(symbol)} is the padding, which only fills up rows"
            return RowProblem(Reason.OUTSIDE_VOCABULARY, padding)
        if symbol not in spec.ids and not spec.unknown:
            said = unknown(symbol) if unknown else symbols.not_in_vocabulary(symbol, spec.vocabulary)
            return RowProblem(Reason.OUTSIDE_VOCABULARY, said)
    unknown_id = spec.ids.get(spec.unknown, -1)
    ids = {
        name: [spec.ids.get(symbol, unknown_id) for symbol in segment]
        for name, segment in zip(spec.features, segments, strict=True)
    }
    return row_problem(ids, spec.features, spec) or ids


def example_text(spec: SequenceSpec) -> str:
    """Returns a short text that `tokenize` accepts, as an example for a person."""
    return with_numbers(_example_text(spec), [0.0] * spec.numbers)


def _example_text(spec: SequenceSpec) -> str:
    if spec == SequenceSpec():
        return "x=-12,y=24:y+x"
    if spec.is_computed:
        return f" {spec.separator} ".join(f"the {name}" for name in spec.features)
    # On a command line a text that begins with a dash would be an option.
    special = (spec.padding, spec.separator, spec.unknown)
    others = [symbol for symbol in spec.vocabulary if symbol not in special]
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
        if name != spec.label and spec.text.reads_text:
            feature.type = schema_pb2.BYTES
            continue
        feature.int_domain.name = f"{name}_ids"
        feature.int_domain.min = lowest
        feature.int_domain.max = spec.size - 1
        feature.int_domain.is_categorical = True
        if name == spec.label and spec.task.classes:
            feature.value_count.max = longest if spec.task.kind == "each" else 1
            feature.int_domain.min = 0
            feature.int_domain.max = len(spec.answers) - 1
        if name == spec.label and spec.task.kind == "whole":
            feature.value_count.max = spec.task.length
    for name, length in spec.numeric.items():
        feature = schema.feature.add(name=name, type=schema_pb2.FLOAT)
        feature.presence.min_fraction, feature.presence.min_count = 1.0, 1
        feature.value_count.min = feature.value_count.max = length
    return schema


def schema_problem(schema: Any, spec: SequenceSpec) -> str | None:
    """Says where a curated schema and `spec` disagree, or None.

    The schema may be narrower than the spec (fewer ids, shorter lists), never wider, and it must
    leave every feature of uneven length: a fixed shape would break the text signature.
    """
    found = {feature.name: feature for feature in schema.feature}
    if others := sorted(found.keys() - {*spec.inputs, spec.label}):
        return f"it names feature '{others[0]}', which sequence does not; the ingest drops such features"
    for name in (*spec.inputs, spec.label):
        feature = found.get(name)
        if feature is None:
            return f"it has no feature '{name}'"
        if name in spec.numeric:
            if feature.type != schema_pb2.FLOAT:
                return f"feature '{name}' is not of type FLOAT"
            if feature.HasField("shape"):
                return f"feature '{name}' has a fixed shape; use value_count"
            continue
        is_text = spec.text.reads_text and name != spec.label
        if feature.type != (schema_pb2.BYTES if is_text else schema_pb2.INT):
            return f"feature '{name}' is not of type {'BYTES' if is_text else 'INT'}"
        if feature.HasField("shape"):
            return f"feature '{name}' has a fixed shape; use value_count"
        if is_text:
            continue
        last = len(spec.ids_of(name)) - 1
        if feature.HasField("int_domain") and feature.int_domain.max > last:
            ends = "task.classes end" if name == spec.label and spec.task.classes else "the vocabulary ends"
            return f"feature '{name}' allows ids up to {feature.int_domain.max}, {ends} at {last}"
        if not feature.int_domain.is_categorical:
            return f"feature '{name}' has no int_domain with is_categorical: true, so its drift would read 0"
    return None
