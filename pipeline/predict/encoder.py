"""Serializes rows as tf.Examples, the same row always as the same bytes. No TensorFlow.

tfx-bsl's encoder is quicker, and writes the features of a row in another order each time; TensorFlow's own
class takes seconds to import. https://protobuf.dev/programming-guides/encoding describes the format.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pyarrow as pa

_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3  # fields of a tf.train.Feature


def examples(batch: pa.RecordBatch) -> Iterator[bytes]:
    """Serializes each row.

    Args:
      batch: columns of strings, binaries, int64, float32, and lists of float32.

    Yields:
      a tf.Example with a feature for each column, in the order of their names.
    """
    names = sorted(batch.schema.names)
    encoded = [_column(name.encode(), batch[name]) for name in names]
    for entries in zip(*encoded, strict=True):
        yield _field(1, b"".join(entries))


def _column(name: bytes, column: pa.Array) -> Iterable[bytes]:
    """The entry of one feature in the map, for each row."""

    def entry(kind: int, content: bytes) -> bytes:
        return _field(1, _field(1, name) + _field(2, _field(kind, _field(1, content))))

    if pa.types.is_list(column.type):
        flat = column.values.to_numpy().astype("<f4").tobytes()
        ends = 4 * column.offsets.to_numpy().astype(np.int64)
        return [entry(_FLOAT_LIST, flat[start:end]) for start, end in pairwise(ends)]
    if pa.types.is_floating(column.type):
        packed = column.to_numpy().astype("<f4").tobytes()
        return [entry(_FLOAT_LIST, packed[place : place + 4]) for place in range(0, len(packed), 4)]
    # Whole columns hold the same, such as the name of the file.
    if pa.types.is_integer(column.type):
        number = lru_cache(1)(lambda value: entry(_INT64_LIST, _varint(value)))
        return map(number, column.to_pylist())
    text = lru_cache(1000)(lambda value: entry(_BYTES_LIST, value))
    return map(text, column.cast(pa.binary()).to_pylist())


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; negative numbers as their 64 bits."""
    value &= (1 << 64) - 1
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)
