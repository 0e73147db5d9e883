"""Reads rows into a sorted file, and makes shuffled stacks of batches. Rows and seed decide the order."""

import hashlib
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from maskline.transform import stored, whole
from maskline.transform.features import NUMERIC, ROW, TARGET, SequenceSpec

_AT_ONCE = 8192  # rows in memory at a time
_IN_MEMORY = 32 << 20  # bytes of rows; more are sorted on disk
ClassWeights = NDArray[np.float32]
_PILES = 256  # that rows are dealt into before sorting, one for each value of a byte


class Rows(NamedTuple):
    """Padded rows and their targets, in memory or mapped from a file.

    Attributes:
      x: [n, length] integer ids.
      y: [n] integer ids, or [n, positions] where a label has several positions; see `SequenceSpec`.
      numeric: [n, numbers] float32, scaled; None where there are no numeric features.
    """

    x: NDArray[np.integer]
    y: NDArray[np.integer]
    numeric: NDArray[np.float32] | None = None

    def inputs(self, which: Any, length: int | None = None) -> Any:
        """What the model takes of some rows: ids, int32, cut to a length; with numbers, both by name."""
        x = self.x[which][:, :length].astype(np.int32)
        return x if self.numeric is None else {ROW: x, NUMERIC: np.asarray(self.numeric[which])}

    def digest(self) -> str:
        """Returns the SHA-256 of the rows in their order, in hexadecimal."""
        sha = hashlib.sha256()
        for start in range(0, len(self.y), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            sha.update(np.column_stack([self.x[part], self.y[part]]).astype("<i4").tobytes())
            if self.numeric is not None:
                sha.update(np.ascontiguousarray(self.numeric[part], "<f4").tobytes())
        return sha.hexdigest()


def read_rows(patterns: Sequence[str], spec: SequenceSpec, folder: Path) -> Rows:
    """Reads the examples that Transform wrote, once, in an order that their content alone decides.

    Beam writes records in an order that changes from run to run; sorting makes training repeatable. Rows
    that fit into 32 MiB stay in memory. Of more rows that much is in memory while they are sorted, and then
    they are in a file that is mapped, of which the system caches what fits. The order is the same.

    Args:
      patterns: glob patterns of files that `transform.stored` wrote, with `x` and `y`, perhaps `numeric`.
      spec: the length of a row and the number of ids.
      folder: for the file; it must exist as long as the rows are used.

    Returns:
      all rows, sorted.
    """
    files = sorted(file for pattern in patterns for file in tf.io.gfile.glob(pattern))
    dtype = np.min_scalar_type(max(spec.size - 1, len(spec.answers) - 1, spec.no_label or 0))
    positions = spec.positions
    # Numbers are more columns of the table, which hold their bits.
    width = spec.length + positions + spec.numbers * 4 // dtype.itemsize
    chunks = _chunks(_tables(files, spec, dtype))
    first, second = next(chunks, None), next(chunks, None)
    if first is None:
        table = np.zeros((0, width), dtype)
    elif second is None:
        table = _table(np.sort(_keys(first)), dtype)
    else:
        table = _sorted_on_disk(chain([first, second], chunks), width, dtype, folder)
    y = table[:, spec.length : spec.length + positions]
    numeric = np.ascontiguousarray(table[:, spec.length + positions :]).view(np.float32)
    return Rows(
        table[:, : spec.length],
        y if spec.task.has_positions else y[:, 0],
        numeric if spec.numeric else None,
    )


def _tables(files: list[str], spec: SequenceSpec, dtype: np.dtype[Any]) -> Iterator[NDArray[np.integer]]:
    """Yields tables of [rows, length + positions + columns of numbers]."""
    for file in files:
        for block in stored.blocks(file):
            ids = [
                block[name].reshape(-1, width).astype(dtype)
                for name, width in ((ROW, spec.length), (TARGET, spec.positions))
            ]
            numbers = [block[NUMERIC].reshape(-1, spec.numbers).view(dtype)] if spec.numeric else []
            yield np.concatenate([*ids, *numbers], axis=1)


def _chunks(tables: Iterator[NDArray[np.integer]]) -> Iterator[NDArray[np.integer]]:
    """Tables joined until they fill what may be in memory."""
    held: list[NDArray[np.integer]] = []
    for table in tables:
        held.append(table)
        if sum(each.nbytes for each in held) >= _IN_MEMORY:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)


def _keys(table: NDArray[np.integer]) -> NDArray[np.bytes_]:
    """Each row as bytes that sort as rows do: first by a hash of the content, then by the ids."""
    factors = np.random.default_rng(0).integers(2**32, size=table.shape[1], dtype=np.uint32)
    hashed = (table.astype(np.uint32) @ factors) >> np.uint32(24)
    ids = table.astype(table.dtype.newbyteorder(">")).view(np.uint8)
    keys = np.concatenate([hashed.astype(np.uint8)[:, None], ids], axis=1)
    return keys.view(f"S{keys.shape[1]}").ravel()


def _table(keys: NDArray[np.bytes_], dtype: np.dtype[Any]) -> NDArray[np.integer]:
    """The rows that `_keys` made the keys of."""
    ids = keys.view(np.uint8).reshape(len(keys), keys.itemsize)[:, 1:]
    return np.ascontiguousarray(ids).view(dtype.newbyteorder(">")).astype(dtype)


def _sorted_on_disk(
    chunks: Iterable[NDArray[np.integer]], width: int, dtype: np.dtype[Any], folder: Path
) -> NDArray[np.integer]:
    """Deals rows into a file for each hash, sorts file by file into one, and maps that into memory."""
    file = folder / uuid.uuid4().hex
    key = np.dtype(f"S{1 + width * dtype.itemsize}")
    with tempfile.TemporaryDirectory(dir=folder) as piles, open(file, "wb") as out:
        for chunk in chunks:
            keys = np.sort(_keys(chunk))
            ends = np.searchsorted(keys.view(np.uint8)[:: key.itemsize], np.arange(_PILES), "right")
            for pile, part in enumerate(np.split(keys, ends[:-1])):
                with open(Path(piles, f"{pile:03d}"), "ab") as some:
                    some.write(part.tobytes())
        for path in sorted(Path(piles).iterdir()):
            out.write(_table(np.sort(np.fromfile(path, key)), dtype).tobytes())
    # Mapped to be read only: the system may drop its pages, and memory stays flat.
    table: NDArray[np.integer] = np.memmap(file, dtype, "r").reshape(-1, width)
    return table


def longest_of(rows: Rows, pad_id: int = 0) -> int:
    """Counts the ids of the longest row, without its padding; 1 if there is none."""
    found = 1
    for start in range(0, len(rows.y), _AT_ONCE):
        found = max(found, int(_ids_of(rows.x[start : start + _AT_ONCE], pad_id).max()))
    return found


def batches_of(rows: Rows, *, batch_size: int, lengths: Sequence[int], pad_id: int = 0) -> NDArray[np.int64]:
    """Counts the batches that `stacks` yields in one epoch, for each of the lengths."""
    fitting = np.zeros(len(lengths), np.int64)
    for start in range(0, len(rows.y), _AT_ONCE):
        bucket_of = _bucket_of(rows.x[start : start + _AT_ONCE], lengths, pad_id)
        fitting += np.bincount(bucket_of, minlength=len(lengths))
    batches, left = np.zeros_like(fitting), 0
    for bucket, count in enumerate(fitting):
        batches[bucket], left = divmod(int(count) + left, batch_size)
    batches[-1] += left > 0
    return batches


def stacks(
    rows: Rows,
    *,
    steps: int,
    batch_size: int,
    lengths: Sequence[int],
    seed: int,
    epochs: Sequence[int],
    pad_id: int = 0,
    class_weights: ClassWeights | None = None,
    no_label: int | None = None,
) -> tf.data.Dataset:
    """Makes a dataset of stacks of shuffled batches, one epoch after the other, each with as many stacks.

    While the rows of one epoch are used, the first ones of the next are made. An epoch contains every row
    exactly once. Rows that do not fill a batch of their length join those of the next longer length. The
    last batch of all may be smaller; it is filled up with rows of weight 0. The order is computed from seed
    and epoch rather than stored, so that training can continue after a kill.

    Args:
      rows: the rows to train on.
      steps: number of batches in a stack.
      batch_size: number of rows in a batch.
      lengths: lengths of the buckets, ascending. Rows that fit into the same length are batched together
        and cut to it. Every row fits into the last.
      seed: with the same seed, each epoch has the same order.
      epochs: their numbers, from 0; each number has an order of its own.
      pad_id: the padding id.
      class_weights: of each id of the label, [ids] float32; by default a row counts 1.
      no_label: see `SequenceSpec.no_label`.

    Returns:
      dataset of (x [steps, batch, length] int32, y [steps, batch] int32, weights [steps, batch] float32,
      number of batches in the stack: int32). Where a label has several positions, `y` and the weights have
      them as a last axis; those behind the end of a whole label, or without a label, have weight 0. Labels of
      ids are cut as the rows are. With numeric features, x is a dictionary with `numeric`
      [steps, batch, numbers] float32, too.
    """
    stack = steps * batch_size
    weigh = partial(_weighed, class_weights=class_weights, pad_id=pad_id, no_label=no_label)

    def parts() -> Iterator[_Stack]:
        return chain.from_iterable(map(parts_of, epochs))

    def parts_of(epoch: int) -> Iterator[_Stack]:
        waiting = [_taken(rows, slice(0))] * len(lengths)
        for drawn in _shuffled(len(rows.y), seed, epoch):
            some = _taken(rows, drawn)
            bucket_of = _bucket_of(some.x, lengths, pad_id)
            for bucket, length in enumerate(lengths):
                grown = _joined(waiting[bucket], _taken(some, bucket_of == bucket))
                while len(grown.y) >= stack:
                    yield _stack(_taken(grown, slice(stack)), length, steps, batch_size, weigh)
                    grown = _taken(grown, slice(stack, None))
                waiting[bucket] = grown
        left = _taken(rows, slice(0))
        for bucket, length in enumerate(lengths):
            left = _joined(left, waiting[bucket])
            last = bucket == len(lengths) - 1
            whole = len(left.y) if last else len(left.y) // batch_size * batch_size
            for start in range(0, whole, stack):
                part = _taken(left, slice(start, min(start + stack, whole)))
                yield _stack(part, length, steps, batch_size, weigh)
            left = _taken(left, slice(whole, None))

    length = lengths[0] if len(lengths) == 1 else None
    positions = rows.y.shape[1:] if no_label is None else (length,)
    types = (
        _types(rows, [steps, batch_size], length),
        tf.TensorSpec([steps, batch_size, *positions], tf.int32),
        tf.TensorSpec([steps, batch_size, *positions], tf.float32),
        tf.TensorSpec([], tf.int32),
    )
    dataset = tf.data.Dataset.from_generator(parts, output_signature=types)
    batches = batches_of(rows, batch_size=batch_size, lengths=lengths, pad_id=pad_id)
    count = int((-(-batches // steps)).sum()) * len(epochs)
    return dataset.apply(tf.data.experimental.assert_cardinality(count)).prefetch(2)


def _types(rows: Rows, before: list[int | None], length: int | None) -> Any:
    """The types of what the model takes, with these axes before those of a row."""
    x = tf.TensorSpec([*before, length], tf.int32)
    if rows.numeric is None:
        return x
    return {ROW: x, NUMERIC: tf.TensorSpec([*before, rows.numeric.shape[1]], tf.float32)}


_Stack = tuple[Any, NDArray[np.int32], NDArray[np.float32], int]


_Weighed = tuple[NDArray[np.int32], NDArray[np.float32]]


def _weighed(
    labels: NDArray[np.integer],
    length: int,
    *,
    class_weights: ClassWeights | None,
    pad_id: int,
    no_label: int | None,
) -> _Weighed:
    """Labels, and how much each counts in the loss: 0 behind the end of a whole one, and where none is."""
    y = (labels if no_label is None else labels[:, :length]).astype(np.int32)
    if no_label is not None:
        real = y != no_label
        y = np.where(real, y, 0)  # an id that the loss can look up; its weight is 0
        weights = np.ones(y.shape, np.float32) if class_weights is None else class_weights[y]
        return y, np.where(real, weights, np.float32(0))
    if y.ndim > 1:
        return y, whole.real_positions(y, pad_id).astype(np.float32)
    return y, np.ones(len(y), np.float32) if class_weights is None else class_weights[y]


def _stack(
    rows: Rows,
    length: int,
    steps: int,
    batch_size: int,
    weigh: Callable[[NDArray[np.integer], int], _Weighed],
) -> _Stack:
    """Makes one stack of the rows. The batches that they do not fill are zero and not counted."""
    count, real = -(-len(rows.y) // batch_size), len(rows.y)
    # A batch is filled up with real rows of weight 0, as on those every model's outputs are finite.
    full = _taken(rows, np.arange(count * batch_size) % real)
    labels, counting = weigh(full.y, length)
    positions = labels.shape[1:]
    y = np.zeros((steps, batch_size, *positions), np.int32)
    weights = np.zeros((steps * batch_size, *positions), np.float32)

    def stacked(values: NDArray[Any]) -> NDArray[Any]:
        filled = np.zeros((steps, batch_size, values.shape[1]), values.dtype)
        filled[:count] = values.reshape(count, batch_size, -1)
        return filled

    x = tf.nest.map_structure(stacked, full.inputs(slice(None), length))
    y[:count] = labels.reshape(count, batch_size, *positions)
    weights[:real] = counting[:real]
    return x, y, weights.reshape(y.shape), count


def _taken(rows: Rows, which: Any) -> Rows:
    return Rows(rows.x[which], rows.y[which], None if rows.numeric is None else rows.numeric[which])


def _joined(some: Rows, more: Rows) -> Rows:
    numeric = None
    if some.numeric is not None and more.numeric is not None:
        numeric = np.concatenate([some.numeric, more.numeric])
    return Rows(np.concatenate([some.x, more.x]), np.concatenate([some.y, more.y]), numeric)


def in_order(
    rows: Rows,
    *,
    batch_size: int = 4096,
    length: int | None = None,
    fill: bool = False,
    class_weights: ClassWeights | None = None,
    pad_id: int = 0,
    no_label: int | None = None,
) -> tf.data.Dataset:
    """Makes a dataset of all rows in their order.

    Each element is (x [batch, length] int32, y [batch] int32, weights [batch] float32), `y` and the weights
    as in `stacks`. `length` is what the rows are cut to, by default their own. With `fill`, the last batch
    has as many rows as the others; those behind the end are the first ones again, with weight 0. With it, few
    rows are kept in memory as the dataset gives them.
    """
    count, length = len(rows.y), length or rows.x.shape[1]

    def parts() -> Iterator[tuple[Any, NDArray[np.int32], NDArray[np.float32]]]:
        for start in range(0, count, batch_size):
            part: Any = slice(start, start + batch_size)
            if fill and part.stop > count:
                part = np.arange(start, part.stop) % count
            y, weights = _weighed(
                rows.y[part],
                length,
                class_weights=class_weights,
                pad_id=pad_id,
                no_label=no_label,
            )
            weights[count - start :] = 0
            yield rows.inputs(part, length), y, weights

    batch = batch_size if fill else None
    positions = rows.y.shape[1:] if no_label is None else (length,)
    types = (
        _types(rows, [batch], length),
        tf.TensorSpec([batch, *positions], tf.int32),
        tf.TensorSpec([batch, *positions], tf.float32),
    )
    if fill and 0 < count * length * 4 <= _IN_MEMORY:  # a generator begins slowly
        batches = tf.nest.map_structure(lambda *each: np.stack(each), *parts())
        return tf.data.Dataset.from_tensor_slices(batches)
    dataset = tf.data.Dataset.from_generator(parts, output_signature=types)
    steps = -(-count // batch_size)
    return dataset.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(1)


def power_of_two(number: int) -> int:
    """The least one that is not smaller, from 1 on."""
    return 1 << max(0, number - 1).bit_length()


def _shuffled(count: int, seed: int, epoch: int) -> Iterator[NDArray[np.int64]]:
    """Yields the indices of all rows in the order of an epoch, some thousands at a time."""
    for start in range(0, count, _AT_ONCE):
        places = tf.range(start, min(start + _AT_ONCE, count), dtype=tf.int64)
        # Computes the permutation index by index; a shuffled list would need memory for every row.
        yield tf.random.experimental.index_shuffle(places, [seed, epoch], count - 1).numpy()


def _bucket_of(x: NDArray[np.integer], lengths: Sequence[int], pad_id: int) -> NDArray[np.intp]:
    """Returns, for each row, the index of the first length that it fits into."""
    return np.searchsorted(lengths, _ids_of(x, pad_id))


def _ids_of(x: NDArray[np.integer], pad_id: int) -> NDArray[np.intp]:
    """Counts the ids of each row, without its padding."""
    return np.count_nonzero(x != pad_id, axis=1)
