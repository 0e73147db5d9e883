"""Reads and scales numeric features in a graph, as `numeric` checks them in Python. Pure tensors, and TFT's.

Shapes: b batch, k numbers of all numeric features of a row together, in the order of the settings.
"""

from collections.abc import Mapping

import tensorflow as tf
import tensorflow_transform as tft

from maskline.transform.features import SequenceSpec
from maskline.transform.numeric import BETWEEN, NUMBER
from maskline.transform.problems import Reason

# A spread below this share of the mean is what rounding makes of equal numbers.
_CONSTANT = 1e-6


def scaled(inputs: Mapping[str, tf.SparseTensor], spec: SequenceSpec) -> tf.Tensor:
    """Numbers less their mean, divided by their standard deviation; both over all train rows.

    Called where Transform makes its graph: the mean and deviation become constants of it. A number that is
    the same in all train rows becomes 0, whatever it is in other rows: no model could have learned from it.

    Args:
      inputs: feature name → sparse [b, None] float32.
      spec: names and lengths of the numeric features.

    Returns:
      [b, k] float32.

    Raises:
      InvalidArgumentError: a row holds more or fewer numbers, or one that is not finite; names the feature.
    """
    numbers_bk = tf.cast(_dense(inputs, spec), tf.float64)
    mean_k = tft.mean(numbers_bk, reduce_instance_dims=False)
    deviation_k = tf.sqrt(tft.var(numbers_bk, reduce_instance_dims=False))
    is_constant_k = deviation_k <= _CONSTANT * tf.abs(mean_k)
    zero = tf.zeros([], tf.float64)
    scaled_bk = tf.math.divide_no_nan(numbers_bk - mean_k, tf.where(is_constant_k, zero, deviation_k))
    return tf.ensure_shape(tf.cast(scaled_bk, tf.float32), [None, spec.numbers])


def _dense(inputs: Mapping[str, tf.SparseTensor], spec: SequenceSpec) -> tf.Tensor:
    """[b, k] float32 of sparse features, all of which are finite and of the right length."""
    columns = []
    for name, length in spec.numeric.items():
        values, found = inputs[name].values, _counts(inputs[name])
        good = tf.reduce_all(tf.equal(found, length)) & tf.reduce_all(tf.math.is_finite(values))
        message = f"feature '{name}' holds {length} finite numbers in each row; found numbers of each row:"
        refuse = tf.raw_ops.Assert(condition=good, data=[message, found, values], summarize=5)
        with tf.control_dependencies(
            [] if refuse is None else [refuse]
        ):  # eager execution has already run it
            columns.append(tf.reshape(tf.identity(values), [-1, length]))
    return tf.concat(columns, axis=1)


def status_of(inputs: Mapping[str, tf.SparseTensor], spec: SequenceSpec) -> list[tuple[tf.Tensor, Reason]]:
    """Which rows [b] cannot be answered for each reason, the first reason first."""
    missing, wrong, infinite = [], [], []
    for name, length in spec.numeric.items():
        found, values = _counts(inputs[name]), inputs[name].values
        bad = tf.cast(~tf.math.is_finite(values), tf.int64)
        missing.append(tf.equal(found, 0))
        wrong.append(tf.not_equal(found, length) & (found > 0))
        of_row = tf.math.unsorted_segment_sum(bad, inputs[name].indices[:, 0], inputs[name].dense_shape[0])
        infinite.append(of_row > 0)
    return [
        (tf.reduce_any(tf.stack(missing), axis=0), Reason.MISSING),
        (tf.reduce_any(tf.stack(wrong), axis=0), Reason.NUMBERS),
        (tf.reduce_any(tf.stack(infinite), axis=0), Reason.NOT_A_NUMBER),
    ]


def in_place_of(
    inputs: Mapping[str, tf.SparseTensor], bad: tf.Tensor, spec: SequenceSpec
) -> dict[str, tf.SparseTensor]:
    """The numeric features, with zeros in those rows [b] that are bad."""
    found = {}
    for name, length in spec.numeric.items():
        rows = tf.RaggedTensor.from_sparse(inputs[name])
        zeros = tf.RaggedTensor.from_tensor(tf.zeros([tf.size(bad), length]))
        order = tf.where(bad, tf.range(tf.size(bad)) + tf.size(bad), tf.range(tf.size(bad)))
        found[name] = tf.gather(tf.concat([rows, zeros], axis=0), order).to_sparse()
    return found


def split(text: tf.Tensor, spec: SequenceSpec) -> tuple[tf.Tensor, dict[str, tf.SparseTensor]]:
    """Texts [b] without the numbers behind them, and these by feature, sparse [b, None] float32.

    Raises:
      InvalidArgumentError: a text is followed by more or fewer numbers, or by something else.
    """
    parts = tf.strings.split(text, BETWEEN)
    needed = spec.numbers
    good = tf.reduce_all(tf.equal(parts.row_lengths(), needed + 1))
    message = f"a text is followed by {needed} numbers, each behind a tab; found:"
    refuse = tf.raw_ops.Assert(condition=good, data=[message, text], summarize=5)
    with tf.control_dependencies([] if refuse is None else [refuse]):
        table = tf.reshape(tf.identity(parts.flat_values), [-1, needed + 1])
    numbers, found, begin = tf.strings.to_number(table[:, 1:]), {}, 0
    for name, length in spec.numeric.items():
        rows = tf.RaggedTensor.from_tensor(numbers[:, begin : begin + length])
        found[name] = rows.to_sparse()
        begin += length
    return table[:, 0], found


def status_of_texts(text: tf.Tensor, spec: SequenceSpec) -> tuple[tf.Tensor, list[tuple[tf.Tensor, Reason]]]:
    """Texts [b] without what is behind their first tab, and which rows [b] cannot be answered, and why."""
    parts = tf.strings.split(text, BETWEEN)
    numbers = parts[:, 1:]
    is_one = tf.strings.regex_full_match(numbers.flat_values, NUMBER)
    read = tf.strings.to_number(tf.where(is_one, numbers.flat_values, "0"))
    bad = numbers.with_flat_values(tf.cast(~is_one | ~tf.math.is_finite(read), tf.int64))
    return parts[:, :1].flat_values, [
        (tf.not_equal(numbers.row_lengths(), spec.numbers), Reason.NUMBERS),
        (tf.reduce_sum(bad, axis=1) > 0, Reason.NOT_A_NUMBER),
    ]


def texts_with_numbers(
    text: tf.Tensor, inputs: Mapping[str, tf.RaggedTensor], spec: SequenceSpec
) -> tf.Tensor:
    """Texts [b] with the numbers of ragged features [b, None] behind them, as `split` reads them."""
    parts = [text]
    for name in spec.numeric:
        numbers = inputs[name].with_flat_values(
            tf.strings.as_string(inputs[name].flat_values, precision=9, scientific=True)
        )
        parts.append(tf.strings.reduce_join(numbers, axis=1, separator=BETWEEN))
    return tf.strings.join(parts, separator=BETWEEN)


def _counts(sparse: tf.SparseTensor) -> tf.Tensor:
    """How many values [b] int64 each row has."""
    row = sparse.indices[:, 0]
    return tf.math.unsorted_segment_sum(tf.ones_like(row), row, sparse.dense_shape[0])
