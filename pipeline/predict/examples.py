"""Checks tf.Examples that a model is asked about; the label is neither needed nor read."""

import tensorflow as tf

from maskline.components.ingest.rows import read_row
from maskline.pipeline.predict.rows import Found, keyed
from maskline.transform.features import SequenceSpec
from maskline.transform.problems import RowProblem


def check(data: bytes, spec: SequenceSpec, key: str) -> Found | RowProblem:
    """Checks one record as the ingest does.

    Args:
      data: a serialized tf.Example.
      spec: the model's language.
      key: the feature with the user's key; empty for none.

    Returns:
      the row, with its inputs and no other features, or what is wrong with it.
    """
    row = read_row(data, spec, spec.inputs)
    if row.problem or not key:
        return row.problem or Found(row.data)
    feature = tf.train.Example.FromString(data).features.feature[key]
    kind = feature.WhichOneof("kind")
    values = [] if kind is None else list(getattr(feature, kind).value)
    [value] = values if len(values) == 1 else [None]
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            value = None
    return keyed(row.data, value, key)
