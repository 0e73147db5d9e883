"""Makes ids fit in a graph as `fitting` does: unknown symbols, and rows that are too long. Pure tensors.

Shapes: b batch, f features. A sparse [b, None] tensor holds each row's ids from column 0 on.
"""

from collections.abc import Mapping

import tensorflow as tf

from maskline.transform.features import SequenceSpec


def known(ids: tf.Tensor, spec: SequenceSpec) -> tf.Tensor:
    """Ids [n] int64, with that of `sequence.unknown` for each id outside the vocabulary."""
    if spec.unknown_id is None:
        return ids
    outside = (ids < 0) | (ids >= spec.size_at_most)
    return tf.where(outside, tf.constant(spec.unknown_id, tf.int64), ids)


def cut(segments: Mapping[str, tf.SparseTensor], spec: SequenceSpec) -> dict[str, tf.SparseTensor]:
    """What is left of rows that are too long, by `sequence.too_long`.

    Args:
      segments: feature name → sparse [b, None] int64, none of them empty; where each id of a feature has a
        label, perhaps with the label, as long as the feature.
      spec: which end is kept, and how much.

    Returns:
      the same features, with the ids that fit.
    """
    if spec.too_long == "refuse":
        return dict(segments)
    rows = segments[spec.features[0]].dense_shape[0]
    lengths = [_lengths(segments[name], rows) for name in spec.features]
    kept = dict(zip(spec.features, _room(lengths, spec.length), strict=True))
    totals = dict(zip(spec.features, lengths, strict=True))
    if spec.task.kind == "each" and spec.label in segments:
        kept[spec.label], totals[spec.label] = kept[spec.tagged], totals[spec.tagged]
    found = dict(segments)
    for name, of_row in kept.items():
        first = totals[name] - of_row if spec.too_long == "keep_end" else tf.zeros_like(of_row)
        row, column = segments[name].indices[:, 0], segments[name].indices[:, 1]
        column -= tf.gather(first, row)
        inside = (column >= 0) & (column < tf.gather(of_row, row))
        indices = tf.boolean_mask(tf.stack([row, column], axis=1), inside)
        found[name] = tf.SparseTensor(
            indices, tf.boolean_mask(segments[name].values, inside), segments[name].dense_shape
        )
    return found


def _lengths(segment: tf.SparseTensor, rows: tf.Tensor) -> tf.Tensor:
    row = segment.indices[:, 0]
    return tf.math.unsorted_segment_sum(tf.ones_like(row), row, rows)


def _room(lengths: list[tf.Tensor], length: int) -> list[tf.Tensor]:
    """See `fitting.room`; f times [b] int64."""
    lengths_bf = tf.stack(lengths, axis=1)
    order_bf = tf.argsort(lengths_bf, axis=1, stable=True)
    shortest_first = tf.unstack(tf.gather(lengths_bf, order_bf, batch_dims=1), axis=1)
    left = tf.fill(tf.shape(lengths[0]), tf.constant(length - (len(lengths) - 1), tf.int64))
    kept = []
    for rank, count in enumerate(shortest_first):
        kept.append(tf.minimum(count, left // (len(lengths) - rank)))
        left -= kept[-1]
    back_bf = tf.argsort(order_bf, axis=1, stable=True)
    return list(tf.unstack(tf.gather(tf.stack(kept, axis=1), back_bf, batch_dims=1), axis=1))
