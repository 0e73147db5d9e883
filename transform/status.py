"""Says of each row of a request whether it can be answered, so that one bad row spoils no other.

Pure tensors; no files, no TFX. The reasons are those of `Reason`. A row that cannot be answered is put aside:
a row that is good stands in for it in the graph, which refuses a batch as a whole.

Shapes: b batch.
"""

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from maskline.transform import fitting_graph, numeric, numeric_graph, sequences
from maskline.transform.features import SequenceSpec
from maskline.transform.problems import Reason
from maskline.transform.text_graph import TextReader

ANSWERED = "answered"


def of_texts(
    text: tf.Tensor,
    spec: SequenceSpec,
    id_of: Callable[[tf.Tensor], tf.Tensor],
    *,
    limit: int,
    reader: TextReader | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The status of each text, in the order in which `maskline predict` finds what is wrong.

    Args:
      text: [b] string.
      spec: names, order and symbols.
      id_of: gives the ids of symbols, negative for those that are not in the vocabulary.
      limit: bytes of one text; of longer ones nothing is made.
      reader: divides them where features hold text.

    Returns:
      status [b] string, `answered` or a reason; and texts [b] that can be answered, another one where the
      status is a reason.
    """
    over = tf.strings.length(text) > limit
    stand_in = _text(spec)
    text = given = tf.where(over, stand_in, text)
    wrong_numbers: list[tuple[tf.Tensor, Reason]] = []
    if spec.numeric:
        text, wrong_numbers = numeric_graph.status_of_texts(given, spec)
    symbols = sequences.split_symbols(text, spec, reader)
    row = symbols.value_rowids()
    rows = tf.size(text, tf.int64)
    is_separator = tf.equal(symbols.flat_values, spec.separator)
    ids = id_of(symbols.flat_values)
    unknown = tf.equal(ids, spec.pad_id)
    if not spec.unknown:
        unknown |= ids < 0
    separators = _of_row(is_separator, row, rows)
    segment = sequences.segment_of(symbols, is_separator)
    parts = len(spec.features)
    inside = (segment >= 0) & (segment < parts)
    place = tf.boolean_mask(row * parts + segment, inside)
    sizes = tf.reshape(tf.math.unsorted_segment_sum(tf.ones_like(place), place, rows * parts), [rows, parts])
    status = _first(
        rows,
        (over, Reason.TOO_LONG),
        *wrong_numbers,
        (tf.not_equal(separators, parts - 1), Reason.SEGMENTS),
        (_of_row(unknown, row, rows) > 0, Reason.OUTSIDE_VOCABULARY),
        (tf.reduce_any(tf.equal(sizes, 0), axis=1), Reason.MISSING),
        (_too_long(symbols.row_lengths(), spec), Reason.TOO_LONG),
    )
    return status, tf.where(tf.equal(status, ANSWERED), given, stand_in)


def of_segments(
    segments: Mapping[str, tf.SparseTensor], spec: SequenceSpec
) -> tuple[tf.Tensor, dict[str, tf.SparseTensor]]:
    """The status of each row of ids.

    Args:
      segments: feature name → sparse [b, None] int64; of numeric features, float32.
      spec: what is allowed.

    Returns:
      status [b] string; and features of rows that can be answered, other ones where the status is a reason.
    """
    rows = segments[spec.features[0]].dense_shape[0]
    counts, outside, separators = [], [], []
    for name in spec.features:
        ids, row = fitting_graph.known(segments[name].values, spec), segments[name].indices[:, 0]
        is_separator = tf.equal(ids, spec.separator_id)
        counts.append(_of_row(tf.ones_like(ids, tf.bool), row, rows))
        outside.append(_of_row((ids < 0) | (ids >= spec.size) | tf.equal(ids, spec.pad_id), row, rows))
        separators.append(_of_row(is_separator, row, rows))
    status = _first(
        rows,
        (tf.reduce_any(tf.equal(counts, 0), axis=0), Reason.MISSING),
        (tf.add_n(outside) > 0, Reason.OUTSIDE_VOCABULARY),
        (tf.add_n(separators) > 0, Reason.HOLDS_SEPARATOR),
        (_too_long(tf.add_n(counts) + len(spec.features) - 1, spec), Reason.TOO_LONG),
        *(numeric_graph.status_of(segments, spec) if spec.numeric else []),
    )
    bad = tf.not_equal(status, ANSWERED)
    order = tf.where(bad, tf.range(rows) + rows, tf.range(rows))
    stand_in = tf.RaggedTensor.from_tensor(tf.fill([rows, 1], tf.constant(_allowed(spec), tf.int64)))
    good = {
        name: tf.gather(
            tf.concat([tf.RaggedTensor.from_sparse(segments[name]), stand_in], axis=0), order
        ).to_sparse()
        for name in spec.features
    }
    return status, good | numeric_graph.in_place_of(segments, bad, spec)


def _too_long(lengths: tf.Tensor, spec: SequenceSpec) -> tf.Tensor:
    """Which rows [b] are refused for the number of their ids."""
    return (lengths > spec.length) & (spec.too_long == "refuse")


def _first(rows: tf.Tensor, *reasons: tuple[tf.Tensor, Reason]) -> tf.Tensor:
    """The first reason that holds for each row [b], else that it is answered."""
    status = tf.fill([rows], ANSWERED)
    for holds, reason in reversed(reasons):
        status = tf.where(holds, str(reason), status)
    return status


def _of_row(which: tf.Tensor, row: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """How many are true in each row [b] int64, from flags [n] and the row [n] of each."""
    return tf.math.unsorted_segment_sum(tf.cast(which, tf.int64), row, rows)


def _allowed(spec: SequenceSpec) -> int:
    return min(spec.allowed_in_features)


def _text(spec: SequenceSpec) -> str:
    """A text that every model of the language answers."""
    between = " " if spec.splits_on_spaces else ""
    symbols: Sequence[str] = [spec.vocabulary[_allowed(spec)]] * len(spec.features)
    return numeric.with_numbers(f"{between}{spec.separator}{between}".join(symbols), [0.0] * spec.numbers)
