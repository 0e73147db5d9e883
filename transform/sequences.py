"""Joins token segments into rows of one length. Pure tensors; no files, no TFX.

Shapes: b batch, n ids of one feature in the whole batch. A sparse [b, None] tensor holds each row's ids
from column 0 on, as `tf.io.VarLenFeature` parses them.

TFX traces these functions eight times a run, and the cost of tracing is in the number of ops: hence
sparse tensors as they come, and one check for all features.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from maskline.transform import fitting_graph
from maskline.transform.features import SequenceSpec
from maskline.transform.text_graph import TextReader


def check(
    segments: Mapping[str, tf.SparseTensor], names: Sequence[str], spec: SequenceSpec
) -> dict[str, tf.SparseTensor]:
    """Passes features on, refusing empty ones and ids that are not allowed.

    Where there is an unknown symbol, inputs have its id for each id outside the vocabulary.

    Args:
      segments: feature name → sparse [b, None] int64.
      names: which of them: the inputs, in the order of `spec`, and then perhaps a label of symbols.
      spec: what is allowed.

    Returns:
      the named features, otherwise unchanged.

    Raises:
      InvalidArgumentError: names the feature, row or id, and what is allowed.
    """
    segments = {
        name: segments[name].with_values(fitting_graph.known(segments[name].values, spec))
        if name in spec.features
        else segments[name]
        for name in names
    }
    chosen = [segments[name] for name in names]
    rows = chosen[0].dense_shape[0]
    counts = tf.stack([_count(s.indices[:, 0], rows) for s in chosen])
    empty = tf.where(tf.equal(counts, 0))
    ids = tf.concat([s.values for s in chosen], axis=0)
    ends = tf.cumsum(tf.stack([tf.size(s.values, tf.int64) for s in chosen]))
    of_input = tf.range(tf.size(ids, tf.int64)) < ends[len(spec.features) - 1]
    separator = tf.equal(ids, spec.separator_id) & of_input
    bad = tf.where((ids < 0) | (ids >= spec.size_at_most) | tf.equal(ids, spec.pad_id) | separator)[:, 0]
    feature = tf.searchsorted(ends, bad, side="right")
    name_of = tf.constant(list(names))
    checks = [
        _assert(
            tf.equal(tf.size(empty), 0),
            "a feature is missing or empty; feature and row:",
            tf.gather(name_of, empty[:, 0]),
            empty[:, 1],
        ),
        _assert(
            tf.equal(tf.size(bad), 0),
            f"ids {spec.allowed_ids} are allowed, and in inputs not the separator {spec.separator_id}; "
            "feature and id:",
            tf.gather(name_of, feature),
            tf.gather(ids, bad),
        ),
    ]
    return {name: _after(checks, segments[name]) for name in names}


def check_class(label: tf.SparseTensor, spec: SequenceSpec) -> tf.Tensor:
    """The class of each row.

    Args:
      label: sparse [b, None] int64.
      spec: with the classes.

    Returns:
      [b] int64.

    Raises:
      InvalidArgumentError: a row holds none or several, or an id that is no class; names the row or id.
    """
    counts = _count(label.indices[:, 0], label.dense_shape[0])
    wrong = tf.where(tf.not_equal(counts, 1))[:, 0]
    refuse = _assert(
        tf.equal(tf.size(wrong), 0),
        f"feature '{spec.label}' holds one class in each row; row and its number of classes:",
        wrong,
        tf.gather(counts, wrong),
    )
    return _after([refuse, _check_classes(label, spec)], label).values


def _check_classes(label: tf.SparseTensor, spec: SequenceSpec) -> list[Any]:
    """Refuses ids that are no classes."""
    last = len(spec.answers) - 1
    bad = tf.boolean_mask(label.values, (label.values < 0) | (label.values > last))
    return _assert(
        tf.equal(tf.size(bad), 0), f"feature '{spec.label}': classes 0…{last} are allowed; found:", bad
    )


def each_label(
    label: tf.SparseTensor, segments: Mapping[str, tf.SparseTensor], spec: SequenceSpec
) -> tf.Tensor:
    """The labels of a feature's ids, at the places of these ids in the joined row.

    Args:
      label: sparse [b, None] int64, a class for each id of the feature `spec.tagged`.
      segments: feature name → sparse [b, None] int64, none of them empty, before they are cut.
      spec: order of the features, classes, and length of a row.

    Returns:
      [b, length] int64; `spec.no_label` where no label is.

    Raises:
      InvalidArgumentError: a row has more or fewer labels than ids, or one that is no class; names the row
        and how many it has, or the class.
    """
    tagged, none = segments[spec.tagged], len(spec.answers)
    rows = tagged.dense_shape[0]
    labels, ids = _count(label.indices[:, 0], rows), _count(tagged.indices[:, 0], rows)
    wrong = tf.where(tf.not_equal(labels, ids))[:, 0]
    refuse = _assert(
        tf.equal(tf.size(wrong), 0),
        f"feature '{spec.label}' holds a label for each id of '{spec.tagged}'; row, labels and ids:",
        wrong,
        tf.gather(labels, wrong),
        tf.gather(ids, wrong),
    )
    label = _after([refuse, _check_classes(label, spec)], label)
    segments = fitting_graph.cut({**segments, spec.label: label}, spec)
    label = segments[spec.label]
    parts: list[tf.SparseTensor] = []
    for name in spec.features:
        parts += [column(none, rows)] if parts else []
        other = segments[name]
        parts.append(
            label if name == spec.tagged else other.with_values(tf.fill(tf.shape(other.values), _int64(none)))
        )
    return pad(*_side_by_side(parts, rows), rows, length=spec.length, pad_id=none)


def tagged_positions(row: tf.Tensor, spec: SequenceSpec) -> tf.Tensor:
    """Which positions of joined rows [b, length] belong to the feature whose ids have labels; boolean."""
    is_separator = tf.equal(row, spec.separator_id)
    before = tf.cumsum(tf.cast(is_separator, tf.int32), axis=1)
    place = spec.features.index(spec.tagged)
    return tf.equal(before, place) & ~is_separator & tf.not_equal(row, spec.pad_id)


def join(segments: Mapping[str, tf.SparseTensor], spec: SequenceSpec) -> tuple[tf.Tensor, tf.Tensor]:
    """Joins each record's features, in the order of `spec`, with separators between them.

    Args:
      segments: feature name → sparse [b, None] int64, none of them empty.
      spec: order and symbols.

    Returns:
      ids [m] int64 of all rows, one row after the other, and the row [m] int64 that each belongs to.
    """
    rows = segments[spec.features[0]].dense_shape[0]
    separator = column(spec.separator_id, rows)
    parts: list[tf.SparseTensor] = []
    for name in spec.features:
        parts += [separator] if parts else []
        parts.append(segments[name])
    return _side_by_side(parts, rows)


def _side_by_side(parts: Sequence[tf.SparseTensor], rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Values of all parts, row by row, and their rows; each part has the same rows, in order."""
    # `tf.sparse.concat` sorts all values again, which takes five times as long.
    ragged = [
        tf.RaggedTensor.from_value_rowids(part.values, part.indices[:, 0], nrows=rows, validate=False)
        for part in parts
    ]
    joined = tf.concat(ragged, axis=1)
    return joined.values, joined.value_rowids()


def column(token: int, rows: tf.Tensor) -> tf.SparseTensor:
    """One and the same id in each row.

    Args:
      token: the id.
      rows: scalar int64, the number of rows b.

    Returns:
      sparse [b, 1] int64.
    """
    return tf.SparseTensor(
        indices=tf.stack([tf.range(rows), tf.zeros([rows], tf.int64)], axis=1),
        values=tf.fill([rows], _int64(token)),
        dense_shape=[rows, 1],
    )


def pad(
    ids: tf.Tensor,
    row: tf.Tensor,
    rows: tf.Tensor,
    *,
    length: int,
    pad_id: int,
    of: str = "a row",
) -> tf.Tensor:
    """Lays ids out in rows of one length, padding behind each row's ids.

    Args:
      ids: [m] int64, one row after the other.
      row: [m] int64, the row of each id, not decreasing.
      rows: scalar int64, the number of rows b.
      length: ids per row after padding.
      pad_id: what stands behind each row's ids.
      of: what is padded, for the error.

    Returns:
      [b, length] int64.

    Raises:
      InvalidArgumentError: a row holds more than `length` ids; names the row and its length.
    """
    lengths = _count(row, rows)
    long = tf.where(lengths > length)[:, 0]
    refuse = _assert(
        tf.equal(tf.size(long), 0),
        f"{of} may hold {length} ids{' after joining' if of == 'a row' else ''}; row and its length:",
        long,
        tf.gather(lengths, long),
    )
    with tf.control_dependencies(refuse):
        ragged = tf.RaggedTensor.from_value_rowids(tf.identity(ids), row, nrows=rows, validate=False)
    padded = ragged.to_tensor(default_value=_int64(pad_id), shape=[None, length])
    return tf.ensure_shape(padded, [None, length])


def first_token(label: tf.SparseTensor) -> tf.Tensor:
    """The first id of each label.

    Args:
      label: sparse [b, None] int64, none of its rows empty.

    Returns:
      [b] int64.
    """
    return tf.gather(label.values, tf.where(tf.equal(label.indices[:, 1], 0))[:, 0])


def whole_label(label: tf.SparseTensor, spec: SequenceSpec) -> tf.Tensor:
    """The whole of each label, padded.

    Args:
      label: sparse [b, None] int64, none of its rows empty.
      spec: the longest label, and the padding.

    Returns:
      [b, task.length] int64.

    Raises:
      InvalidArgumentError: a label is longer; names the row and its length.
    """
    rows, length = label.dense_shape[0], spec.task.length
    return pad(label.values, label.indices[:, 0], rows, length=length, pad_id=spec.pad_id, of="a label")


def split_text(
    text: tf.Tensor, spec: SequenceSpec, reader: TextReader | None = None
) -> dict[str, tf.SparseTensor]:
    """Splits texts at the separator into the features' symbols.

    Args:
      text: [b] string, such as `x=-12,y=24:y+x`.
      spec: names, order and symbols. Symbols are single characters, or are divided by spaces where
        any symbol of the vocabulary is longer than one character.
      reader: divides them where features hold text.

    Returns:
      feature name → sparse [b, None] string, in the order of `spec.features`.

    Raises:
      InvalidArgumentError: a text has not exactly one segment for each feature.
    """
    symbols = split_symbols(text, spec, reader)
    is_separator = tf.equal(symbols.flat_values, spec.separator)
    separators = tf.reduce_sum(symbols.with_flat_values(tf.cast(is_separator, tf.int64)), 1)
    wrong = separators != len(spec.features) - 1
    refuse = _assert(
        ~tf.reduce_any(wrong),
        f"a text needs {len(spec.features)} segments ({', '.join(spec.features)}) with "
        f"'{spec.separator}' between them; found",
        tf.boolean_mask(text, wrong),
    )
    with tf.control_dependencies(refuse):
        segment = segment_of(symbols, tf.identity(is_separator))
    return {
        name: tf.ragged.boolean_mask(symbols, symbols.with_flat_values(tf.equal(segment, index))).to_sparse()
        for index, name in enumerate(spec.features)
    }


def split_symbols(text: tf.Tensor, spec: SequenceSpec, reader: TextReader | None = None) -> tf.RaggedTensor:
    """The symbols of texts [b], separators among them, as ragged [b, None] string."""
    if reader:
        return reader.split(text)
    return tf.strings.split(text) if spec.splits_on_spaces else tf.strings.unicode_split(text, "UTF-8")


def segment_of(symbols: tf.RaggedTensor, is_separator: tf.Tensor) -> tf.Tensor:
    """The number of the segment of each symbol [n] int64, and -1 for separators.

    It is how many separators stand before it in its own row.

    Args:
      symbols: ragged [b, None].
      is_separator: [n] which of them are.
    """
    before = tf.cumsum(tf.cast(is_separator, tf.int64), exclusive=True)
    before_row = tf.gather(tf.concat([before, [0]], axis=0), symbols.row_starts())
    segment = before - tf.gather(before_row, symbols.value_rowids())
    return tf.where(is_separator, _int64(-1), segment)


def _count(row: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """How many ids [b] int64 each row has, from the row [n] of each id."""
    return tf.math.unsorted_segment_sum(tf.ones_like(row), row, rows)


def _assert(holds: tf.Tensor, message: str, *data: tf.Tensor) -> list[Any]:
    """Fails with the message and the data unless `holds`; gives what must run first.

    The raw op: `tf.debugging.Assert` wraps it in a conditional of a dozen ops.
    """
    operation = tf.raw_ops.Assert(condition=holds, data=[message, *data], summarize=5)
    return [] if operation is None else [operation]  # eager execution has already run it


def _after(checks: Sequence[Any], sparse: tf.SparseTensor) -> tf.SparseTensor:
    """Ties values to checks: a saved graph keeps only what its outputs need."""
    with tf.control_dependencies([operation for check in checks for operation in check]):
        return sparse.with_values(tf.identity(sparse.values))


def _int64(value: int) -> tf.Tensor:
    return tf.constant(value, tf.int64)


def bounded(values: tf.Tensor, limit: int, name: str) -> tf.Tensor:
    """Refuses texts or messages that are too long to be a row, before anything is made of them.

    Without it one request takes the memory of a server, and comes back whole within the error.

    Args:
      values: [batch] string.
      limit: bytes of one value.
      name: what it is, for the error.

    Returns:
      `values`.

    Raises:
      InvalidArgumentError: a value is longer; says how long, and not what it holds.
    """
    longest = tf.reduce_max(tf.concat([[0], tf.strings.length(values)], 0))
    refuse = tf.raw_ops.Assert(
        condition=longest <= limit, data=[f"{name} holds", longest, f"bytes; at most {limit} are allowed"]
    )
    with tf.control_dependencies([refuse]):
        return tf.identity(values)
