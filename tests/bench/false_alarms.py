"""How often drift and skew alarm where nothing changed, and how much of a change they see.

Usage: python -m tests.bench.false_alarms [TIMES [MINUTES]]   (default 1; a quarter of an hour)

It prints the table of docs/data-gate.md: `PAIRS` of spans of each kind, times TIMES. Rows are drawn and dealt
out here, not by the pipeline; they are counted and judged by the data gate's own code, at its defaults. What
was measured is kept in build/false_alarms.json: after so many minutes it stops, and goes on there when it is
called again.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from maskline.components.data_gate.divergence import IdSample, chance, jensen_shannon
from maskline.components.data_gate.resampling import Parts, row_keys
from maskline.components.data_gate.rules import DataGateSettings

TRAIN_PERCENT, TEST_PERCENT = 80, 15  # of the rows; the others choose the epoch
KEPT = Path("build/false_alarms.json")
KINDS = ("drift", "skew")
SHAPES = ("even", "long and short", "bursts", "two pages")
REPEATS = ("none", "1 %", "50 %", "90 %", "Zipf")
# Pairs of spans of each kind, by rows and vocabulary; fewer of large ones, which take long.
PAIRS = {
    (200, 20): 100,
    (200, 5_000): 100,
    (2_000, 20): 40,
    (2_000, 5_000): 10,
    (20_000, 20): 10,
    (20_000, 50_000): 2,
    (100_000, 20): 2,
    (100_000, 50_000): 1,
}
Share = tuple[float, float]  # of drift and of skew: the divergence, divided by what is allowed


class Rows(NamedTuple):
    """Rows of one feature: ids in each row [rows], and the ids of all rows behind one another."""

    lengths: NDArray[np.int64]
    ids: NDArray[np.int64]

    def take(self, which: NDArray[np.int64]) -> "Rows":
        """The rows with these numbers, in this order, some of them more than once."""
        lengths, starts = self.lengths[which], (np.cumsum(self.lengths) - self.lengths)[which]
        place = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return Rows(lengths, self.ids[np.repeat(starts, lengths) + place])

    def batch(self) -> pa.RecordBatch:
        """As TFX reads them."""
        ends = np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int32)
        return pa.RecordBatch.from_arrays([pa.ListArray.from_arrays(ends, self.ids)], ["f"])

    def sample(self) -> IdSample:
        """As the data gate sees them."""
        parts = Parts()
        parts.add(self.batch())
        values, counts = np.unique(self.ids, return_counts=True)
        return IdSample(
            dict(zip(map(str, values.tolist()), counts.tolist(), strict=True)),
            dict(zip(parts.values["f"], parts.counts["f"], strict=True)),
        )


def draw(rows: int, vocabulary: int, shape: str, rng: np.random.Generator) -> Rows:
    """Rows that are drawn for themselves; ids are Zipf distributed.

    `long and short`: one row in ten has 200 ids and the others 2. `bursts`: one row in five holds one id
    alone, up to 60 times. `two pages`: up to 60 ids of two kinds. Else rows have 5 to 14 ids.
    """
    share = 1 / np.arange(1, vocabulary + 1)
    share /= share.sum()
    if shape == "even":
        lengths = rng.integers(5, 15, rows)
    elif shape == "long and short":
        lengths = np.where(rng.random(rows) < 0.1, 200, 2)
    else:
        lengths = rng.integers(1, 61, rows)
    one, other = (np.repeat(rng.choice(vocabulary, rows, p=share), lengths) for _ in range(2))
    ids = rng.choice(vocabulary, lengths.sum(), p=share)
    if shape == "bursts":
        ids = np.where(np.repeat(rng.random(rows) < 0.2, lengths), one, ids)
    elif shape == "two pages":
        ids = np.where(rng.random(lengths.sum()) < 0.5, one, other)
    return Rows(lengths.astype(np.int64), ids.astype(np.int64))


def spans(
    count: int, rows: int, vocabulary: int, shape: str, repeats: str, rng: np.random.Generator
) -> Iterator[Rows]:
    """Spans of one source. `Zipf`: of a catalogue of rows, some are asked for far more often than others."""
    catalogue = draw(max(10, rows // 2), vocabulary, shape, rng)
    asked_for = 1 / np.arange(1, len(catalogue.lengths) + 1)
    asked_for /= asked_for.sum()
    share = {"none": 0.0, "1 %": 0.01, "50 %": 0.5, "90 %": 0.9}.get(repeats)
    for _ in range(count):
        if share is None:
            yield catalogue.take(rng.choice(len(asked_for), rows, p=asked_for))
            continue
        distinct = round(rows * (1 - share))
        again = rng.integers(0, distinct, rows - distinct)
        own = draw(distinct, vocabulary, shape, rng)
        yield own.take(np.concatenate([np.arange(distinct), again]))


def by_hash(rows: Rows) -> tuple[Rows, Rows]:
    """Train and test: equal rows go to the same split."""
    place = row_keys(rows.batch()) // np.uint64(2**32) % np.uint64(100)
    train, test = place < TRAIN_PERCENT, place >= 100 - TEST_PERCENT
    return rows.take(np.flatnonzero(train)), rows.take(np.flatnonzero(test))


def share(ours: Rows, theirs: Rows, *, limit: float) -> float:
    """The divergence of two samples, divided by what is allowed; above 1 the data gate alarms."""
    if not len(ours.ids) or not len(theirs.ids):
        return 0.0  # `empty_split` says so
    one, other = ours.sample(), theirs.sample()
    return divergence(one, other) / (limit + chance(one, other))


def too_far(ours: IdSample, theirs: IdSample, *, limit: float) -> bool:
    """Whether two samples' ids differ by more than the limit and chance."""
    return divergence(ours, theirs) > limit + chance(ours, theirs)


def divergence(ours: IdSample, theirs: IdSample) -> float:
    """Of two samples' ids, in bits."""
    values = sorted(ours.counts.keys() | theirs.counts.keys())
    return float(jensen_shannon(*(np.array([s.counts.get(v, 0) for v in values]) for s in (ours, theirs))))


def shares(
    trial: int, rows: int, vocabulary: int, shape: str, repeats: str, *, limit: float | None = None
) -> Share:
    """Of one pair of spans of one source: drift of train, and skew between train and test."""
    seed = [trial, rows, vocabulary, SHAPES.index(shape), REPEATS.index(repeats)]
    before, now = spans(2, rows, vocabulary, shape, repeats, np.random.default_rng(seed))
    train, held_out = by_hash(now)
    defaults = DataGateSettings()
    drift, skew = (defaults.max_drift, defaults.max_skew) if limit is None else (limit, limit)
    return share(train, by_hash(before)[0], limit=drift), share(train, held_out, limit=skew)


def false_alarms(
    trials: int, rows: int, vocabulary: int, shape: str, repeats: str, *, limit: float | None = None
) -> dict[str, int]:
    """In so many pairs of spans of one source, how often drift, and how often skew would alarm."""
    found = [shares(trial, rows, vocabulary, shape, repeats, limit=limit) for trial in range(trials)]
    return {
        kind: sum(s > 1 for s in some) for kind, some in zip(KINDS, zip(*found, strict=True), strict=True)
    }


def main(times: int, minutes: float) -> None:
    """Measures what is not measured yet, and prints the table of what is."""
    end = time.monotonic() + 60 * minutes
    KEPT.parent.mkdir(exist_ok=True)
    kept: dict[str, list[Share]] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    kinds = list(product(PAIRS.items(), SHAPES, REPEATS))
    for part, (((rows, vocabulary), pairs), shape, repeats) in product((0.1, 1), kinds):  # some of all first
        some = kept.setdefault(f"{rows}/{vocabulary}/{shape}/{repeats}", [])
        while len(some) < part * times * pairs and time.monotonic() < end:
            some.append(shares(len(some), rows, vocabulary, shape, repeats))
        KEPT.write_text(json.dumps(kept))
    print("\n".join(table(kept)))


def table(kept: Mapping[str, Sequence[Share]]) -> Iterator[str]:
    """How many alarms, and how near to one: by size, by shape, by repeated rows, and of all."""
    yield "| spans | pairs | alarms of drift | of skew | nearest to one: drift | skew |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for rows, vocabulary in PAIRS:
        yield _line(f"{rows:,} rows, vocabulary {vocabulary:,}", kept, f"{rows}/{vocabulary}/*")
    for shape in SHAPES:
        yield _line(f"rows: {shape}", kept, f"*/{shape}/*")
    for repeats in REPEATS:
        yield _line(f"repeated rows: {repeats}", kept, f"*/{repeats}")
    yield _line("all", kept, "*")


def _line(name: str, kept: Mapping[str, Sequence[Share]], pattern: str) -> str:
    found = np.array([pair for key, some in kept.items() if fnmatch(key, pattern) for pair in some])
    if not len(found):
        return f"| {name} | 0 | | | | |"
    alarms, nearest = (found > 1).sum(axis=0), found.max(axis=0)
    return f"| {name} | {len(found):,} | {alarms[0]} | {alarms[1]} | {nearest[0]:.2f} | {nearest[1]:.2f} |"


if __name__ == "__main__":
    given = sys.argv[1:]
    main(int(given[0]) if given else 1, float(given[1]) if len(given) > 1 else 1e6)
