"""Checks one serialized row and keeps of it what the settings name."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf
from google.protobuf.message import DecodeError

from maskline.components.ingest.encoding import is_sequence_example, oddity
from maskline.transform.features import Reason, RowProblem, SequenceSpec, row_problem

_KINDS = {"int64_list": "int64", "float_list": "float", "bytes_list": "bytes", None: "empty"}


class Row(NamedTuple):
    """What the ingest makes of a record.

    Attributes:
      problem: why it cannot be used; None for a good row.
      data: the tf.Example with the features that the settings name, and no others.
      unnamed: name and kind (`int64`, `float`, `bytes`, `empty`) of the features that were dropped.
    """

    problem: RowProblem | None
    data: bytes
    unnamed: tuple[tuple[str, str], ...] = ()


def read_row(data: bytes, spec: SequenceSpec, names: Sequence[str] = ()) -> Row:
    """Reads a serialized tf.Example as the served graph reads it.

    Args:
      data: the record as it was delivered. A good row that holds nothing else stays as it is, byte for byte.
      spec: names the features, and says what they may hold.
      names: the features that are needed; by default the inputs and the label.
    """
    try:
        example = tf.train.Example.FromString(data)
    except DecodeError:
        return Row(RowProblem(Reason.NOT_AN_EXAMPLE, "is not a tf.Example"), data)
    names = names or (*spec.features, spec.label)
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
    values = {name: _int64s(features[name]) for name in names if name in features}
    problem = row_problem(values, names, spec)
    if problem or len(values) == len(features):
        return Row(problem, data)
    unnamed = tuple(
        (name, _KINDS[features[name].WhichOneof("kind")]) for name in sorted(features) if name not in values
    )
    for name, _ in unnamed:
        del features[name]
    return Row(None, example.SerializeToString(deterministic=True), unnamed)


def _int64s(feature: tf.train.Feature) -> Sequence[int] | None:
    kind = feature.WhichOneof("kind")
    return feature.int64_list.value if kind == "int64_list" else () if kind is None else None
