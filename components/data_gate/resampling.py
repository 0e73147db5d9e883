"""Counts of ids in many random parts of a split, in which equal rows stay together. No TFX, no TensorFlow.

A comparison of two samples needs to know how far they differ by chance. Chance does not deal out single
ids: the ids of a row stay together, and equal rows go to the same split. So each row gets a key from its
content, and the bits of the key are coin flips that deal out the rows: `PARTS` times, in the one pass that
makes the statistics anyway. Only counts are kept, never rows. Where the split follows a key of the user's,
`data.split_by`, the row brings it along, and rows with the same key stay together here, too.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import scipy.sparse
from numpy.typing import NDArray

from maskline.transform.names import GROUP
from maskline.transform.versioned import FORMAT

FILE = "parts.npz"  # beside a split's statistics
PARTS = 128
HALVES, FIFTHS = slice(0, PARTS // 2), slice(PARTS // 2, PARTS)  # of the rows, in each part
# Distinct rows whose keys are kept, to see which rows two splits share; of more, a random sample of these.
KEYS = 2**16

Keys = NDArray[np.uint64]


class Parts:
    """How often each id occurs, in each random part of the rows.

    Attributes:
      rows: number of rows.
      keys, key_rows: [up to KEYS] the smallest keys of distinct rows, and how many rows have each.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.keys: Keys = np.empty(0, np.uint64)
        self.key_rows: NDArray[np.int64] = np.empty(0, np.int64)
        self._places: dict[str, dict[str, int]] = {}
        self._counts: dict[str, NDArray[np.int32]] = {}

    @property
    def values(self) -> Mapping[str, list[str]]:
        """Feature → its ids, as text."""
        return {name: list(places) for name, places in self._places.items()}

    @property
    def counts(self) -> Mapping[str, NDArray[np.int32]]:
        """Feature → [ids, PARTS] how often an id occurs in each part."""
        return {name: self._counts[name][: len(places)] for name, places in self._places.items()}

    def add(self, batch: pa.RecordBatch) -> None:
        """Counts the rows of a batch; its columns are lists of integers or of text, a row each.

        A column `GROUP` says what belongs together, and is not counted.
        """
        keys = group_keys(batch)
        if keys is None:
            keys = row_keys(batch)
        batch = without_group(batch)
        self.rows += len(keys)
        self._add_keys(*np.unique(keys, return_counts=True))
        dealt = in_parts(keys)
        for name, (lengths, values) in sorted(_columns(batch)):
            if values.dtype.kind == "f":  # which are seldom the same twice
                continue
            found, place = np.unique(values, return_inverse=True)
            row = np.repeat(np.arange(len(keys)), lengths)
            ones = np.ones(len(row), np.int32)
            counts = scipy.sparse.csr_matrix((ones, (place, row)), shape=(len(found), len(keys)))
            self._add_counts(name, _as_text(found), counts @ dealt)

    def merge(self, other: "Parts") -> None:
        """Adds what was counted elsewhere."""
        self.rows += other.rows
        self._add_keys(other.keys, other.key_rows)
        for name, counts in other.counts.items():
            self._add_counts(name, other.values[name], counts)

    def write(self, file: BinaryIO) -> None:
        """Writes everything as one compressed numpy archive."""
        arrays: dict[str, NDArray[np.generic]] = {
            FORMAT: np.array(1), "rows": np.array(self.rows), "keys": self.keys, "key_rows": self.key_rows,
        }  # fmt: skip
        for name, counts in self.counts.items():
            arrays[f"values {name}"] = np.array(self.values[name], dtype=np.str_)
            arrays[f"counts {name}"] = counts
        content = io.BytesIO()  # numpy moves back and forth in a file, which not all that Beam writes allow
        np.savez_compressed(content, allow_pickle=False, **arrays)
        file.write(content.getvalue())

    @classmethod
    def read(cls, file: BinaryIO) -> "Parts":
        """Reads what `write` wrote."""
        parts = cls()
        with np.load(file, allow_pickle=False) as arrays:
            parts.rows = int(arrays["rows"])
            parts.keys, parts.key_rows = arrays["keys"], arrays["key_rows"]
            for key in arrays.files:
                if key.startswith("values "):
                    name = key.removeprefix("values ")
                    parts._add_counts(name, arrays[key].tolist(), arrays[f"counts {name}"])
        return parts

    def _add_keys(self, keys: Keys, rows: NDArray[np.int64]) -> None:
        both, place = np.unique(np.concatenate([self.keys, keys]), return_inverse=True)
        counts = np.bincount(place, np.concatenate([self.key_rows, rows])).astype(np.int64)
        self.keys, self.key_rows = both[:KEYS], counts[:KEYS]

    def _add_counts(self, name: str, values: Iterable[str], counts: NDArray[np.int32]) -> None:
        places = self._places.setdefault(name, {})
        index = [places.setdefault(value, len(places)) for value in values]
        known = self._counts.get(name, np.zeros((0, PARTS), np.int32))
        if len(places) > len(known):
            # Twice the room each time, or a large vocabulary would be copied with every batch.
            known = np.concatenate([known, np.zeros((2 * len(places) - len(known), PARTS), np.int32)])
        known[index] += counts
        self._counts[name] = known


def row_keys(batch: pa.RecordBatch) -> Keys:
    """A key for each row, the same for equal rows.

    It follows from names, ids and their order alone, so that it does not matter how the row was serialized.

    Returns:
      [rows] uint64, evenly spread.
    """
    keys = np.zeros(batch.num_rows, np.uint64)
    for name, (lengths, values) in _columns(batch):
        ends = np.cumsum(lengths)
        position = np.arange(len(values)) - np.repeat(ends - lengths, lengths)
        seed = np.uint64(_digest(name.encode()))
        mixed = _mix(_as_numbers(values) + _mix(position.astype(np.uint64) + seed))
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)])
        own = _mix(sums[ends] - sums[ends - lengths] + lengths.astype(np.uint64))
        keys += np.where(lengths > 0, own, np.uint64(0))
    return _mix(keys)


def group_keys(batch: pa.RecordBatch) -> Keys | None:
    """A key for each row, the same for rows that `data.split_by` keeps together; None where it is not set.

    Returns:
      [rows] uint64, evenly spread.
    """
    if GROUP not in batch.schema.names:
        return None
    return _mix(_as_numbers(batch.column(GROUP).flatten().to_numpy(zero_copy_only=False)))


def without_group(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch as the user's rows were."""
    names = [name for name in batch.schema.names if name != GROUP]
    return batch if len(names) == batch.num_columns else batch.select(names)


def in_parts(keys: Keys) -> NDArray[np.int32]:
    """Whether the rows of each key are in each part.

    Returns:
      [keys, PARTS] 1 or 0.
    """
    words = np.stack([_mix(keys + np.uint64(n + 1)) for n in range(PARTS // 8)], axis=1)
    return (words.view(np.uint8) < np.repeat(np.array([128, 51], np.uint8), PARTS // 2)).astype(np.int32)


def shared_rows(ours: Parts, theirs: Parts) -> float:
    """The share of our rows that also stand among theirs.

    Beyond `KEYS` distinct rows it is estimated from those with the smallest keys, a random sample that is the
    same in both.
    """
    last = min((h.keys[-1] for h in (ours, theirs) if len(h.keys) == KEYS), default=None)
    looked_at = slice(None) if last is None else ours.keys <= last
    rows = ours.key_rows[looked_at]
    return float(rows[np.isin(ours.keys[looked_at], theirs.keys)].sum() / max(1, rows.sum()))


def _columns(batch: pa.RecordBatch) -> Iterator[tuple[str, tuple[NDArray[np.int64], NDArray[np.generic]]]]:
    """Name, and length of each row's list [rows] and all values behind one another, of each column."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_null(column.type):
            continue
        lengths = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        values = column.flatten().to_numpy(zero_copy_only=False)
        yield name, (lengths, values.astype(np.bytes_) if values.dtype == object else values)


def _as_text(values: NDArray[np.generic]) -> list[str]:
    return [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in values.tolist()]


def _as_numbers(values: NDArray[np.generic]) -> Keys:
    if values.dtype.kind == "S":
        found, place = np.unique(values, return_inverse=True)
        return np.array([_digest(v) for v in found.tolist()], np.uint64)[place]
    if values.dtype.kind == "f":
        return values.astype(np.float64).view(np.uint64)
    return values.astype(np.int64).view(np.uint64)


def _digest(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _mix(keys: Keys) -> Keys:
    """SplitMix64's finalizer: spreads what differs in one bit over all of them.

    From Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".
    """
    with np.errstate(over="ignore"):
        keys = keys + np.uint64(0x9E3779B97F4A7C15)
        keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return keys ^ (keys >> np.uint64(31))
