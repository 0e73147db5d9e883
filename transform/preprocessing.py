"""Transform's entry point. Thin on purpose: TFX may reload this module."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from maskline.transform import computed, fitting_graph, numeric_graph, sequences
from maskline.transform.features import NUMERIC, ROW, TARGET, SequenceSpec


def preprocessing_fn(
    inputs: Mapping[str, tf.SparseTensor], custom_config: Mapping[str, Any]
) -> dict[str, tf.Tensor]:
    """Joins and pads the inputs; takes of the label what is to be predicted.

    Args:
      inputs: feature name → sparse [batch, None] int64; of features that hold text, the symbols, string;
        of numeric ones float32.
      custom_config: `sequence` is the `SequenceSpec` as a dictionary.

    Returns:
      `x` [batch, length] int64 and `y`, the label's first id or its class, [batch] int64, or its ids,
      padded, [batch, task.length] int64. Where each id of a feature has a label, `y` is [batch, length]
      int64: at the place of the id in `x` its label, and `SequenceSpec.no_label` at all others. With numeric
      features, also `numeric` [batch, numbers] float32; see `numeric_graph.scaled`.

    Raises:
      InvalidArgumentError: a feature is missing or empty, an id is not allowed, a row is too long. With
        `sequence.unknown` ids outside the vocabulary become its id, and with `sequence.too_long` rows are
        cut.
    """
    spec = SequenceSpec.model_validate(custom_config["sequence"])
    if spec.text.reads_text:
        inputs = {**inputs, **computed.ids_of(inputs, spec)}
    if spec.task.kind == "class":
        segments = sequences.check(inputs, spec.features, spec)
        target = sequences.check_class(inputs[spec.label], spec)
    elif spec.task.kind == "each":
        segments = sequences.check(inputs, spec.features, spec)
        target = sequences.each_label(inputs[spec.label], segments, spec)
    else:
        segments = sequences.check(inputs, (*spec.features, spec.label), spec)
        label = segments[spec.label]
        is_whole = spec.task.kind == "whole"
        target = sequences.whole_label(label, spec) if is_whole else sequences.first_token(label)
    ids, row = sequences.join(fitting_graph.cut(segments, spec), spec)
    rows = inputs[spec.label].dense_shape[0]
    padded = sequences.pad(ids, row, rows, length=spec.length, pad_id=spec.pad_id)
    numbers = {NUMERIC: numeric_graph.scaled(inputs, spec)} if spec.numeric else {}
    return {ROW: padded, TARGET: target, **numbers}
