"""Reads transformed examples into memory, in an order that depends on their content alone."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from transform.features import ROW, TARGET, SequenceSpec


class Rows(NamedTuple):
    """Padded rows and their targets.

    Attributes:
      x: [n, length] int32 ids.
      y: [n] int32 ids.
    """

    x: NDArray[np.int32]
    y: NDArray[np.int32]

    def digest(self) -> str:
        """SHA-256 of the rows; the same rows in another order give the same digest."""
        return hashlib.sha256(self.x.tobytes() + self.y.tobytes()).hexdigest()


def read_rows(patterns: Sequence[str], spec: SequenceSpec) -> Rows:
    """Reads the examples that Transform wrote, sorted.

    Beam writes records in an order that changes from run to run; sorting makes training repeatable.

    Args:
      patterns: glob patterns of gzip TFRecord files of tf.Examples with `x` and `y`.
      spec: the length of a row.

    Returns:
      all rows.
    """
    files = sorted(file for pattern in patterns for file in tf.io.gfile.glob(pattern))
    parse = {
        ROW: tf.io.FixedLenFeature([spec.length], tf.int64),
        TARGET: tf.io.FixedLenFeature([], tf.int64),
    }
    batches = list(
        tf.data.TFRecordDataset(files, compression_type="GZIP")
        .batch(4096)
        .map(lambda serialized: tf.io.parse_example(serialized, parse))
        .as_numpy_iterator()
    )
    empty = np.zeros((0, spec.length)), np.zeros(0)
    x = np.concatenate([b[ROW] for b in batches] or [empty[0]]).astype(np.int32)
    y = np.concatenate([b[TARGET] for b in batches] or [empty[1]]).astype(np.int32)
    order = np.lexsort((y, *x.T[::-1]))
    return Rows(x[order], y[order])


def batches(rows: Rows, *, batch_size: int, seed: int) -> tf.data.Dataset:
    """Shuffled batches of one epoch, in another order each epoch, the last smaller one left out.

    Args:
      rows: what to train on.
      batch_size: examples in each batch; fewer where there are fewer rows.
      seed: same seed, same order in each epoch.

    Returns:
      dataset of (x [batch, length] int32, y [batch] int32).
    """
    count = len(rows.y)
    x, y = tf.constant(rows.x), tf.constant(rows.y)
    # Shuffling and batching numbers, and gathering whole batches, is twice as fast as doing it to rows.
    return (
        tf.data.Dataset.range(count)
        .shuffle(count, seed=seed, reshuffle_each_iteration=True)
        .batch(min(batch_size, count), drop_remainder=True)
        .map(lambda chosen: (tf.gather(x, chosen), tf.gather(y, chosen)))
        .prefetch(tf.data.AUTOTUNE)
    )
