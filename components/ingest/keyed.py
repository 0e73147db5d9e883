"""Gives rows that are surely good the key of `data.split_by`, a block at a time.

The row is not parsed: the key is one more entry behind the features that it holds. A feature's key is
computed once for each value; a function is called for each row, with lists that are cut from the block's.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from maskline.components.ingest.groups import Values, key_of
from maskline.components.ingest.plain import Good, Stretch, good_rows
from maskline.components.ingest.rows import KEY_MASK, feature_values
from maskline.components.ingest.shards import Block
from maskline.transform import own_code
from maskline.transform.features import SequenceSpec
from maskline.transform.names import GROUP
from maskline.transform.problems import RowProblem
from maskline.transform.splits import DIGEST_BYTES

_REMEMBERED = 1 << 16  # values of a feature whose digests are kept
_MOST_BYTES = 9  # that a number of 63 bits takes, seven in each


class Keyed:
    """Finds the key of each good row, and writes it into the row.

    Args:
      spec: what a row may hold.
      split_by: what the key is; see `groups.key_of`.
    """

    def __init__(self, spec: SequenceSpec, split_by: str) -> None:
        self._spec, self._split_by = spec, split_by
        self._feature = "" if own_code.is_path(split_by) else split_by
        self._known: dict[bytes, bytes | None] = {}  # not lru_cache: this travels to Beam's workers

    def rows(self, block: Block) -> tuple[NDArray[np.bool_], list[bytes], list[bytes]]:
        """What becomes of the rows of a block.

        Returns:
          [records] bool: which rows are surely good and have a key; of these, the digests of the keys, and
          the serialized rows with their keys.
        """
        good = good_rows(block, self._spec, self._feature)
        at = np.flatnonzero(good.rows)
        found = list(self._of_features(block, good, at) if self._feature else self._of_rows(good, at))
        have = np.array([digest is not None for digest in found], bool)
        with_key = at[have]
        rows: NDArray[np.bool_] = np.zeros(len(good.rows), bool)
        rows[with_key] = True
        digests = [digest for digest in found if digest is not None]
        return rows, digests, list(self._written(block, good, with_key, digests))

    def _of_features(self, block: Block, good: Good, at: NDArray[np.int64]) -> Iterator[bytes | None]:
        starts, ends = good.values[self._feature]
        for start, end in zip(starts[at].tolist(), ends[at].tolist(), strict=True):
            written = block.content[start:end]
            if written not in self._known:
                if len(self._known) == _REMEMBERED:
                    self._known.clear()
                values = feature_values(written)
                digest = None if values is None else _digest({self._feature: values}, self._split_by)
                self._known[written] = digest
            yield self._known[written]

    def _of_rows(self, good: Good, at: NDArray[np.int64]) -> Iterator[bytes | None]:
        # A row's lists are made when it is its turn: many at once would keep the garbage collector busy.
        found = [
            (name, ids.values.tolist(), ids.starts[at].tolist(), ids.ends[at].tolist())
            for name, ids in good.ids.items()
        ]
        for row in range(len(at)):
            values = {name: all_values[starts[row] : ends[row]] for name, all_values, starts, ends in found}
            yield _digest(values, self._split_by)

    def _written(
        self, block: Block, good: Good, at: NDArray[np.int64], digests: list[bytes]
    ) -> Iterator[bytes]:
        """The rows, without the feature that was only asked for, and with the key behind the others."""
        features = good.features
        cut = Stretch(features.ends, features.ends)
        if self._feature and self._feature not in good.ids:
            cut = good.entries[self._feature]
        places = (each[at].tolist() for each in (features.starts, cut.starts, cut.ends, features.ends))
        for start, cut_start, cut_end, end, key in zip(*places, _entries(digests), strict=True):
            row = block.content[start:cut_start] + block.content[cut_end:end] + key
            yield b"\n" + _size(len(row)) + row


def _digest(values: Values, split_by: str) -> bytes | None:
    key = key_of(values, split_by)
    return None if isinstance(key, RowProblem) else key.to_bytes(DIGEST_BYTES, "big")


def _entries(digests: list[bytes]) -> Iterator[bytes]:
    """The entry of the key in a tf.Example, as https://protobuf.dev/programming-guides/encoding has it."""
    lowest = np.frombuffer(b"".join(digests), ">u8").reshape(-1, DIGEST_BYTES // 8)[:, -1]
    keys = lowest.astype(np.uint64) & np.uint64(KEY_MASK)
    groups = keys[:, None] >> (7 * np.arange(_MOST_BYTES, dtype=np.uint64))
    count = np.maximum((groups > 0).sum(axis=1), 1)
    going = np.arange(_MOST_BYTES) < count[:, None] - 1
    written = ((groups & 127) | np.where(going, 128, 0).astype(np.uint64)).astype(np.uint8).tobytes()
    before = [_before_number(size) for size in range(_MOST_BYTES + 1)]
    for number, size in enumerate(count.tolist()):
        start = number * _MOST_BYTES
        yield before[size] + written[start : start + size]


def _before_number(size: int) -> bytes:
    name = GROUP.encode()
    feature = bytes((3 << 3 | 2, size + 2, 1 << 3 | 2, size))
    entry = bytes((1 << 3 | 2, len(name))) + name + bytes((2 << 3 | 2, size + len(feature))) + feature
    return bytes((1 << 3 | 2, size + len(entry))) + entry


@lru_cache(maxsize=1 << 12)
def _size(number: int) -> bytes:
    """A number as protobuf writes the size of a message."""
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    return bytes((*written, number))
