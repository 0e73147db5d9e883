"""Checks one serialized row and keeps of it what the settings name."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
from google.protobuf.message import DecodeError

from maskline.components.ingest.encoding import is_sequence_example, oddity
from maskline.components.ingest.texts import Texts, read_texts
from maskline.transform import fitting
from maskline.transform.features import SequenceSpec, row_problem
from maskline.transform.labels import label_ids, takes_names
from maskline.transform.names import GROUP
from maskline.transform.numeric import numeric_problem
from maskline.transform.problems import Reason, RowProblem

_KINDS = {"int64_list": "int64", "float_list": "float", "bytes_list": "bytes", None: "empty"}

KEY_MASK = (1 << 63) - 1  # of a digest, what an int64 has room for


class Row(NamedTuple):
    """What the ingest makes of a record.

    Attributes:
      problem: why it cannot be used; None for a good row.
      data: the tf.Example with the features that the settings name, and no others; a label that it held by
        name or as text is ids there, an id outside the vocabulary that of `sequence.unknown`, and a row that
        was too long is cut.
      unknown: how many ids of each feature were outside the vocabulary.
      cut: whether the row was too long.
      unnamed: name and kind (`int64`, `float`, `bytes`, `empty`) of the features that were dropped.
    """

    problem: RowProblem | None
    data: bytes
    unnamed: tuple[tuple[str, str], ...] = ()
    unknown: tuple[tuple[str, int], ...] = ()
    cut: bool = False


def read_row(data: bytes, spec: SequenceSpec, names: Sequence[str] = ()) -> Row:
    """Reads a serialized tf.Example as the served graph reads it.

    Args:
      data: the record as it was delivered. A good row that holds nothing else stays as it is, byte for byte.
      spec: names the features, and says what they may hold.
      names: the features that are needed; by default the inputs, numbers among them, and the label.
    """
    try:
        example = tf.train.Example.FromString(data)
    except DecodeError:
        return Row(RowProblem(Reason.NOT_AN_EXAMPLE, "is not a tf.Example"), data)
    names = names or (*spec.inputs, spec.label)
    features = example.features.feature
    example.DiscardUnknownFields()
    # What is written as protobuf itself would write it, every reader reads alike.
    if example.SerializeToString(deterministic=True) != data:
        if is_sequence_example(data):
            text = "is a tf.SequenceExample; write its lists as int64 features of a tf.Example"
            return Row(RowProblem(Reason.SEQUENCE_EXAMPLE, text), data)
        if odd := oddity(data, names):
            text = f"{odd}, which readers of tf.Examples understand differently; write each feature once"
            return Row(RowProblem(Reason.AMBIGUOUS, text), data)
    symbolic = [name for name in names if name not in spec.numeric]
    values = {name: _int64s(features[name]) for name in symbolic if name in features}
    named = _label_by_name(features, names, spec)
    if isinstance(named, RowProblem):
        return Row(named, data)
    if spec.text.reads_text:
        lists = {name: _texts(features[name]) for name in spec.features if name in features}
        texts = read_texts(lists, spec)
    else:
        texts = _fitted(values, spec)
    if isinstance(texts, RowProblem):
        return Row(texts, data)
    # All that comes behind the ingest reads what is allowed.
    changed: dict[str, Sequence[Any]] = {**texts.symbols, **({spec.label: named} if named else {})}
    values |= {**texts.ids, **({} if named is None else {spec.label: named})}
    numbers = {name: _floats(features[name]) for name in spec.numeric if name in features}
    if problem := row_problem(values, symbolic, spec) or numeric_problem(numbers, spec.numeric):
        return Row(problem, data)
    shorter = fitting.cut({name: changed.get(name) or values[name] or () for name in symbolic}, spec)
    changed |= shorter
    if len(values) + len(numbers) == len(features) and not changed:
        return Row(None, data)
    for name, found in changed.items():
        features[name].Clear()
        if isinstance(found[0], str):
            features[name].bytes_list.value.extend(symbol.encode() for symbol in found)
        else:
            features[name].int64_list.value.extend(found)
    unnamed = tuple(
        (name, _KINDS[features[name].WhichOneof("kind")]) for name in sorted(features) if name not in names
    )
    for name, _ in unnamed:
        del features[name]
    written = example.SerializeToString(deterministic=True)
    return Row(None, written, unnamed, tuple(texts.unknown.items()), bool(shorter))


def _fitted(values: Mapping[str, Sequence[int] | None], spec: SequenceSpec) -> Texts:
    """The features whose ids are changed as there is an unknown symbol."""
    found = Texts({}, {}, {})
    for name in spec.features:
        ids = values.get(name) or ()
        if (known := fitting.known(ids, spec)) is not ids:
            found.symbols[name] = found.ids[name] = known
            found.unknown[name] = sum(not 0 <= value < spec.size for value in ids)
    return found


def values_of(data: bytes) -> dict[str, list[int] | list[float] | list[str]]:
    """What a serialized tf.Example holds; bytes as text, with surrogates where they are not UTF-8."""
    features = tf.train.Example.FromString(data).features.feature
    return {name: _values(feature) for name, feature in features.items()}


def feature_values(written: bytes) -> list[int] | list[float] | list[str] | None:
    """What a serialized tf.train.Feature holds, as `values_of`; None where it cannot be parsed."""
    try:
        return _values(tf.train.Feature.FromString(written))
    except DecodeError:
        return None


def with_key(data: bytes, key: int) -> bytes:
    """A row with the digest of its key, so that what comes behind the ingest knows what belongs together."""
    example = tf.train.Example.FromString(data)
    example.features.feature[GROUP].int64_list.value.append(key & KEY_MASK)
    return example.SerializeToString(deterministic=True)


def _values(feature: tf.train.Feature) -> list[int] | list[float] | list[str]:
    if feature.WhichOneof("kind") == "bytes_list":
        return [value.decode("utf-8", "surrogateescape") for value in feature.bytes_list.value]
    return list(feature.int64_list.value) or list(feature.float_list.value)


def _label_by_name(
    features: Mapping[str, tf.train.Feature], names: Sequence[str], spec: SequenceSpec
) -> Sequence[int] | RowProblem | None:
    """The ids of a label that holds names of classes, or text; None where it holds ids, or is not needed."""
    if not takes_names(spec) or spec.label not in names or spec.label not in features:
        return None
    if features[spec.label].WhichOneof("kind") != "bytes_list":
        return None
    return label_ids(features[spec.label].bytes_list.value, spec)


def _texts(feature: tf.train.Feature) -> Sequence[bytes] | None:
    kind = feature.WhichOneof("kind")
    return feature.bytes_list.value if kind == "bytes_list" else () if kind is None else None


def _floats(feature: tf.train.Feature) -> Sequence[float] | None:
    kind = feature.WhichOneof("kind")
    return feature.float_list.value if kind == "float_list" else () if kind is None else None


def _int64s(feature: tf.train.Feature) -> Sequence[int] | None:
    kind = feature.WhichOneof("kind")
    return feature.int64_list.value if kind == "int64_list" else () if kind is None else None
