"""Transform's entry point. Thin on purpose: TFX may reload this module."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from maskline.transform import sequences
from maskline.transform.features import ROW, TARGET, SequenceSpec


def preprocessing_fn(
    inputs: Mapping[str, tf.SparseTensor], custom_config: Mapping[str, Any]
) -> dict[str, tf.Tensor]:
    """Joins and pads the inputs; takes the label's first token.

    Args:
      inputs: feature name → sparse [batch, None] int64.
      custom_config: `sequence` is the `SequenceSpec` as a dictionary.

    Returns:
      `x` [batch, length] int64 and `y` [batch] int64.

    Raises:
      InvalidArgumentError: a feature is missing or empty, an id is not allowed, a row is too long.
    """
    spec = SequenceSpec.model_validate(custom_config["sequence"])
    segments = sequences.check(inputs, (*spec.features, spec.label), spec)
    ids, row = sequences.join(segments, spec)
    rows = segments[spec.label].dense_shape[0]
    return {
        ROW: sequences.pad(ids, row, rows, length=spec.length, pad_id=spec.pad_id),
        TARGET: sequences.first_token(segments[spec.label]),
    }
