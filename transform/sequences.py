"""Joins token segments into rows of one length. Pure tensors; no files, no TFX.

Shapes: b batch, v symbols of the vocabulary. A ragged [b, None] tensor holds one row's ids, unpadded.
"""

from collections.abc import Mapping

import tensorflow as tf

from transform.features import SequenceSpec


def join(segments: Mapping[str, tf.RaggedTensor], spec: SequenceSpec) -> tf.RaggedTensor:
    """Joins each record's features with separators between them.

    Args:
      segments: feature name → ragged [b, None] int64; one entry for each of `spec.features`.
      spec: names, order and symbols.

    Returns:
      ragged [b, None] int64.

    Raises:
      InvalidArgumentError: a segment is missing or empty, or holds an id that is not allowed;
        names the feature.
    """
    first = segments[spec.features[0]]
    separator = tf.RaggedTensor.from_tensor(tf.fill([first.nrows(), 1], _int64(spec.separator_id)))
    parts: list[tf.RaggedTensor] = []
    for name in spec.features:
        parts += [separator] if parts else []
        parts.append(checked(segments[name], name, spec))
    return tf.concat(parts, axis=1)


def checked(ids: tf.RaggedTensor, name: str, spec: SequenceSpec) -> tf.RaggedTensor:
    """Passes a feature's ids on, refusing empty rows and ids that are not allowed.

    Args:
      ids: ragged [b, None] int64.
      name: the feature's name, for the error.
      spec: what is allowed.

    Returns:
      `ids`, unchanged.

    Raises:
      InvalidArgumentError: names the feature, the first bad id and what is allowed.
    """
    values = ids.flat_values
    bad = (values < 0) | (values >= spec.size) | tf.equal(values, _int64(spec.pad_id))
    lengths = ids.row_lengths()
    checks = [
        tf.debugging.Assert(
            tf.reduce_all(lengths > 0),
            [f"feature '{name}' is missing or empty in row", _first(tf.equal(lengths, 0))],
        ),
        tf.debugging.Assert(
            ~tf.reduce_any(bad),
            [f"feature '{name}' allows ids {spec.allowed_ids}; found", tf.boolean_mask(values, bad)],
        ),
    ]
    # A saved graph keeps only what its outputs need, so the checks are tied to the values.
    with tf.control_dependencies([check for check in checks if check is not None]):
        return ids.with_flat_values(tf.identity(values))


def pad(tokens: tf.RaggedTensor, *, length: int, pad_id: int) -> tf.Tensor:
    """Pads ragged rows to one length.

    Args:
      tokens: ragged [b, None] int64.
      length: ids per row after padding.
      pad_id: what stands after each row's ids.

    Returns:
      [b, length] int64.

    Raises:
      InvalidArgumentError: a row holds more than `length` ids; names the row and its length.
    """
    lengths = tokens.row_lengths()
    too_long = lengths > length
    check = tf.debugging.Assert(
        ~tf.reduce_any(too_long),
        [f"a row may hold {length} ids after joining; row", _first(too_long), "holds",
         tf.boolean_mask(lengths, too_long)],
    )  # fmt: skip
    with tf.control_dependencies([check] if check is not None else []):
        rows = tokens.to_tensor(default_value=_int64(pad_id), shape=[None, length])
    return tf.ensure_shape(rows, [None, length])


def first_token(label: tf.RaggedTensor, name: str, spec: SequenceSpec) -> tf.Tensor:
    """The first id of each label.

    Args:
      label: ragged [b, None] int64.
      name: the label feature's name, for the error.
      spec: what is allowed.

    Returns:
      [b] int64.

    Raises:
      InvalidArgumentError: a label is empty or holds an id that is not allowed.
    """
    return checked(label, name, spec)[:, :1].flat_values


def split_text(text: tf.Tensor, spec: SequenceSpec) -> dict[str, tf.RaggedTensor]:
    """Splits texts at the separator into the features' symbols.

    Args:
      text: [b] string, such as `x=-12,y=24:y+x`.
      spec: names, order and symbols. Symbols are single characters, or are divided by spaces where
        any symbol of the vocabulary is longer than one character.

    Returns:
      feature name → ragged [b, None] string, in the order of `spec.features`.

    Raises:
      InvalidArgumentError: a text has not exactly one segment for each feature.
    """
    if spec.splits_on_spaces:
        symbols = tf.strings.split(text)
    else:
        symbols = tf.strings.unicode_split(text, "UTF-8")
    is_separator = tf.cast(tf.equal(symbols.flat_values, spec.separator), tf.int64)
    counts = tf.reduce_sum(symbols.with_flat_values(is_separator), axis=1)
    bad = tf.not_equal(counts, len(spec.features) - 1)
    check = tf.debugging.Assert(
        ~tf.reduce_any(bad),
        [f"a text needs {len(spec.features)} segments ({', '.join(spec.features)}) with "
         f"'{spec.separator}' between them; found", tf.boolean_mask(text, bad)],
    )  # fmt: skip
    with tf.control_dependencies([check] if check is not None else []):
        flat = tf.identity(symbols.flat_values)
    symbols = symbols.with_flat_values(flat)
    # How many separators stand before each symbol, within its own row.
    before = tf.cumsum(is_separator, exclusive=True)
    row_start = tf.gather(tf.concat([before, [0]], 0), symbols.row_starts())
    segment = symbols.with_flat_values(before - tf.gather(row_start, symbols.value_rowids()))
    keep = tf.equal(is_separator, 0)
    return {
        name: tf.ragged.boolean_mask(
            symbols, segment.with_flat_values(tf.equal(segment.flat_values, index) & keep)
        )
        for index, name in enumerate(spec.features)
    }


def _first(flags: tf.Tensor) -> tf.Tensor:
    """Positions [n] of the true flags [b]."""
    return tf.reshape(tf.where(flags), [-1])


def _int64(value: int) -> tf.Tensor:
    return tf.constant(value, tf.int64)
