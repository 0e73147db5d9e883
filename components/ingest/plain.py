"""Finds the rows of a block that are surely good, all at once in numpy. No TensorFlow.

A row is plain if it holds exactly the features that the settings name, each written once, as one list of
ids in one packed chunk: every reader of tf.Examples reads it alike (see `encoding`). Rows that are written
otherwise may be good, too; `rows.read_row` looks at them one by one, and it alone says what is wrong.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskline.components.ingest.shards import Block
from maskline.transform.features import SequenceSpec

# Tags of https://protobuf.dev/programming-guides/encoding: the number of a field, and that bytes follow.
_FIRST, _SECOND, _INT64_LIST = 1 << 3 | 2, 2 << 3 | 2, 3 << 3 | 2
_LONGEST = 4  # bytes of a number that are read here; neither a record's size nor an id needs more

_Numbers = NDArray[np.int64]
_Flags = NDArray[np.bool_]


class Stretch(NamedTuple):
    """Where something stands in a block: [records] int64 each, of its first byte and of the one behind it."""

    starts: _Numbers
    ends: _Numbers


class Ids(NamedTuple):
    """Lists of ids: all behind one another, and for each record where its list begins and ends there."""

    values: _Numbers
    starts: _Numbers
    ends: _Numbers


class Good(NamedTuple):
    """What is known of the rows of a block. Only where `rows` is True do the others mean something.

    Attributes:
      rows: [records] bool. Where it is True, `rows.read_row` finds no problem, and drops nothing but `also`.
      ids: what each feature of the settings holds.
      entries: of each feature, its name with its value.
      values: of each feature, its value: a serialized tf.train.Feature.
      features: all features, one entry behind the other.
    """

    rows: _Flags
    ids: Mapping[str, Ids]
    entries: Mapping[str, Stretch]
    values: Mapping[str, Stretch]
    features: Stretch


def good_rows(block: Block, spec: SequenceSpec, also: str = "") -> Good:
    """Says of each row whether it is surely good: plain, with allowed ids, and not too long.

    Args:
      block: records of a shard.
      spec: names the features, and says what they may hold.
      also: a feature that each row must hold beside these, whatever is in it.
    """
    names = {name: name.encode() for name in (*spec.features, spec.label)}
    if also:
        names.setdefault(also, also.encode())
    walk = _Walk(block, room=max(map(len, names.values())))
    # What is found of each name: the entry's start, the value's, and that of the ids; all three end at once.
    starts: _Numbers = np.zeros((3, len(names), len(walk.rows)), np.int64)
    ends: _Numbers = np.zeros_like(starts[0])
    walk.keep(walk.message(_FIRST) == walk.ends)
    inside = walk.place
    for _ in names:
        places = [walk.place]
        end = walk.message(_FIRST)
        name_end = walk.message(_FIRST)
        new = np.array([walk.reads(name, name_end) for name in names.values()]) & (ends == 0)
        walk.keep(new.any(axis=0))
        walk.go_to(name_end)
        walk.keep(walk.message(_SECOND) == end)
        places.append(walk.place)
        # What is in `also` does not matter here; in the others there is one packed chunk of ids.
        needed = new[: len(spec.features) + 1].any(axis=0) if also else None
        for tag in (_INT64_LIST, _FIRST):
            walk.keep((walk.message(tag, needed) == end) | (False if needed is None else ~needed))
        places.append(walk.place)
        starts, ends = np.where(new, np.array(places)[:, None], starts), np.where(new, end, ends)
        walk.go_to(end)
    walk.keep(walk.place == walk.ends)
    joined = np.full(len(walk.rows), len(spec.features) - 1)
    tagged = np.zeros_like(joined)
    ids = {}
    for name, start, end in zip((*spec.features, spec.label), starts[2], ends, strict=False):
        # As `SequenceSpec.allowed`, but without a Python object for each id.
        is_label, kind = name == spec.label, spec.task.kind
        as_answer = is_label and kind in ("each", "class")
        forbidden = [] if as_answer else [spec.pad_id] if is_label else [spec.pad_id, spec.separator_id]
        ids[name] = _ids(walk, start, end, forbidden, len(spec.answers) if as_answer else spec.size)
        count = ids[name].ends - ids[name].starts
        if not is_label:
            joined += count
            tagged = count if name == spec.tagged else tagged
        elif as_answer:
            walk.keep(count == (tagged if kind == "each" else 1))
        elif kind == "whole":
            walk.keep(count <= spec.task.length)
    return Good(
        walk.rows & (joined <= spec.length),
        ids,
        {name: Stretch(*each) for name, *each in zip(names, starts[0], ends, strict=True)},
        {name: Stretch(*each) for name, *each in zip(names, starts[1], ends, strict=True)},
        Stretch(inside, walk.ends),
    )


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

    def message(self, tag: int, where: _Flags | None = None) -> _Numbers:
        """Steps into a field that holds bytes; gives where it ends. Rows not meant stay in place."""
        before = self.place
        self.keep((self.content[before] == tag) | (False if where is None else ~where))
        size, going = np.zeros_like(self.place), np.ones_like(self.rows)
        place = self.place + 1
        for number in range(_LONGEST):
            byte = self.content[place].astype(np.int64)
            size += np.where(going, byte & 127, 0) << 7 * number
            place = np.minimum(place + going, self._last)
            going &= byte >= 128
            if not going.any():
                break
        if where is None:
            self.keep(~going)
            self.go_to(place)
        else:
            self.keep(~going | ~where)
            self.go_to(np.where(where, place, before))
        return self.place + size

    def reads(self, name: bytes, end: _Numbers) -> _Flags:
        """Where the bytes up to `end` are a name."""
        found = self.content[self.place[:, None] + np.arange(len(name))] == np.frombuffer(name, np.uint8)
        return (end - self.place == len(name)) & found.all(axis=1)


def _ids(walk: _Walk, start: _Numbers, end: _Numbers, forbidden: list[int], size: int) -> Ids:
    """The ids of each row's list. Rows with none, or with one that is not allowed, fall out."""
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
    first_id, behind = count[places - sizes], count[places]
    bad = np.repeat(np.arange(len(sizes)), behind - first_id)[~good]
    walk.rows[bad] = False
    return Ids(ids, first_id, behind)
