"""Finds the rows of a block that are surely good, all at once in numpy. No TensorFlow.

A row is plain if it holds exactly the features that the settings name, each written once, as one list of
ids in one packed chunk: every reader of tf.Examples reads it alike (see `encoding`). Rows that are written
otherwise may be good, too; `rows.read_row` looks at them one by one, and it alone says what is wrong.
"""

import numpy as np
from numpy.typing import NDArray

from maskline.components.ingest.shards import Block
from maskline.transform.features import SequenceSpec

# Tags of https://protobuf.dev/programming-guides/encoding: the number of a field, and that bytes follow.
_FIRST, _SECOND, _INT64_LIST = 1 << 3 | 2, 2 << 3 | 2, 3 << 3 | 2
_LONGEST = 4  # bytes of a number that are read here; neither a record's size nor an id needs more

_Numbers = NDArray[np.int64]
_Flags = NDArray[np.bool_]


def good_rows(block: Block, spec: SequenceSpec) -> _Flags:
    """Says of each row whether it is surely good: plain, with allowed ids, and not too long.

    Args:
      block: records of a shard.
      spec: names the features, and says what they may hold.

    Returns:
      [records] bool. Where it is True, `rows.read_row` finds no problem and drops nothing.
    """
    names = {name: name.encode() for name in (*spec.features, spec.label)}
    walk = _Walk(block, room=max(map(len, names.values())))
    starts: _Numbers = np.zeros((len(names), len(walk.rows)), np.int64)
    ends: _Numbers = np.zeros_like(starts)
    walk.keep(walk.message(_FIRST) == walk.ends)
    for _ in names:
        end = walk.message(_FIRST)
        name_end = walk.message(_FIRST)
        named = [walk.reads(name, name_end) for name in names.values()]
        walk.go_to(name_end)
        for tag in (_SECOND, _INT64_LIST, _FIRST):
            walk.keep(walk.message(tag) == end)
        new = np.array(named) & (ends == 0)
        walk.keep(new.any(axis=0))
        starts, ends = np.where(new, walk.place, starts), np.where(new, end, ends)
        walk.go_to(end)
    walk.keep(walk.place == walk.ends)
    joined = np.full(len(walk.rows), len(spec.features) - 1)
    tagged = np.zeros_like(joined)
    for name, start, end in zip(names, starts, ends, strict=True):
        # As `SequenceSpec.allowed`, but without a Python object for each id.
        if name != spec.label:
            count = _count_ids(walk, start, end, [spec.pad_id, spec.separator_id], spec.size)
            joined += count
            tagged = count if name == spec.tagged else tagged
        elif spec.task.kind == "each":
            walk.keep(_count_ids(walk, start, end, [], len(spec.answers)) == tagged)
        elif spec.task.kind == "class":
            walk.keep(_count_ids(walk, start, end, [], len(spec.answers)) == 1)
        else:
            count = _count_ids(walk, start, end, [spec.pad_id], spec.size)
            walk.keep((spec.task.kind != "whole") | (count <= spec.task.length))
    return walk.rows & (joined <= spec.length)


class _Walk:
    """One place in each row. Rows that are not written as they are asked for fall out of `rows`."""

    def __init__(self, block: Block, *, room: int) -> None:
        # With room behind the last row, to look for what it does not hold.
        self.content = np.frombuffer(block.content + bytes(room + _LONGEST), np.uint8)
        self.place, self.ends = np.array(block.starts, np.int64), np.array(block.ends, np.int64)
        self.rows = np.ones(len(block.starts), bool)
        self._last = len(block.content)

    def keep(self, rows: _Flags) -> None:
        self.rows &= rows

    def go_to(self, place: _Numbers) -> None:
        self.keep(place <= self.ends)
        self.place = np.minimum(place, self._last)

    def message(self, tag: int) -> _Numbers:
        """Steps into a field that holds bytes; gives where it ends."""
        self.keep(self.content[self.place] == tag)
        size, going = np.zeros_like(self.place), np.ones_like(self.rows)
        place = self.place + 1
        for number in range(_LONGEST):
            byte = self.content[place].astype(np.int64)
            size += np.where(going, byte & 127, 0) << 7 * number
            place = np.minimum(place + going, self._last)
            going &= byte >= 128
            if not going.any():
                break
        self.keep(~going)
        self.go_to(place)
        return self.place + size

    def reads(self, name: bytes, end: _Numbers) -> _Flags:
        """Where the bytes up to `end` are a name."""
        found = self.content[self.place[:, None] + np.arange(len(name))] == np.frombuffer(name, np.uint8)
        return (end - self.place == len(name)) & found.all(axis=1)


def _count_ids(walk: _Walk, start: _Numbers, end: _Numbers, forbidden: list[int], size: int) -> _Numbers:
    """How many ids each row's list holds. Rows with none, or with one that is not allowed, fall out."""
    walk.keep(end > start)
    sizes = np.where(walk.rows, end - start, 0)
    places = np.cumsum(sizes)
    content = walk.content[np.repeat(start - (places - sizes), sizes) + np.arange(sizes.sum())]
    is_last = content < 128  # byte of a number
    there = places[walk.rows] - 1
    walk.rows[walk.rows] = is_last[there]
    is_last[there] = True
    last = np.flatnonzero(is_last)
    first = np.concatenate([[0], last[:-1] + 1])[: len(last)]
    ids = np.zeros(len(last), np.int64)
    for number in range(_LONGEST):
        byte = content[np.minimum(first + number, last)].astype(np.int64) & 127
        ids += np.where(first + number <= last, byte, 0) << 7 * number
    is_allowed = np.ones(size + 1, bool)
    is_allowed[[*forbidden, size]] = False
    good = is_allowed[np.minimum(ids, size)] & (last - first < _LONGEST)
    count = np.concatenate([[0], np.cumsum(is_last)])
    total = count[places] - count[places - sizes]
    bad = np.repeat(np.arange(len(sizes)), total)[~good]
    walk.rows[bad] = False
    return total
