"""How often drift and skew alarm where nothing changed, and how much of a change they see.

Usage: python -m tests.bench.false_alarms [TRIALS]   (default 1,000; two hours; 20 take three minutes)

It prints the tables of docs/data-gate.md. Rows are drawn and dealt out here, not by the pipeline; they are
counted and judged by the data gate's own code, at its defaults.
"""

import sys
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from maskline.components.data_gate.divergence import IdSample, chance, jensen_shannon
from maskline.components.data_gate.resampling import Parts, row_keys
from maskline.components.data_gate.rules import DataGateSettings

EVAL_PERCENT = 20
SHAPES = ("even", "long and short", "bursts", "two pages")
REPEATS = ("none", "1 %", "50 %", "90 %", "Zipf")
SIZES = {200: (20, 5_000), 2_000: (20, 5_000), 20_000: (20, 50_000)}
LARGEST = (100_000, 50_000)


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
    """Train and eval: equal rows go to the same split."""
    held_out = row_keys(rows.batch()) // np.uint64(2**32) % np.uint64(100) < EVAL_PERCENT
    return rows.take(np.flatnonzero(~held_out)), rows.take(np.flatnonzero(held_out))


def alarm(ours: Rows, theirs: Rows, *, limit: float) -> bool:
    """Whether the data gate would find two samples of ids too far apart."""
    if not len(ours.ids) or not len(theirs.ids):
        return False  # `empty_split` says so
    size = int(max(ours.ids.max(), theirs.ids.max())) + 1
    a, b = (np.bincount(rows.ids, minlength=size) for rows in (ours, theirs))
    allowed = limit + chance(ours.sample(), theirs.sample())
    return float(jensen_shannon(a, b)) > allowed


def false_alarms(
    trials: int, rows: int, vocabulary: int, shape: str, repeats: str, *, limit: float | None = None
) -> dict[str, int]:
    """In so many pairs of spans of one source, how often drift, and how often skew would alarm."""
    found, defaults = {"drift": 0, "skew": 0}, DataGateSettings()
    for trial in range(trials):
        seed = [trial, rows, vocabulary, SHAPES.index(shape), REPEATS.index(repeats)]
        before, now = spans(2, rows, vocabulary, shape, repeats, np.random.default_rng(seed))
        train, held_out = by_hash(now)
        drift, skew = (defaults.max_drift, defaults.max_skew) if limit is None else (limit, limit)
        found["drift"] += alarm(train, by_hash(before)[0], limit=drift)
        found["skew"] += alarm(train, held_out, limit=skew)
    return found


def main(trials: int) -> None:
    print(f"| rows in a span | vocabulary | rows | repeated rows | drift, of {trials:,} | skew |")
    print("| --- | --- | --- | --- | --- | --- |")
    sizes = [(rows, size) for rows, vocabularies in SIZES.items() for size in vocabularies]
    for (rows, vocabulary), shape, repeats in product([*sizes, LARGEST], SHAPES, REPEATS):
        wanted = trials if rows < LARGEST[0] else max(1, trials // 10)
        found = false_alarms(wanted, rows, vocabulary, shape, repeats)
        of = "" if wanted == trials else f" of {wanted:,}"
        row = (f"{rows:,}", f"{vocabulary:,}", shape, repeats, *(f"{n}{of}" for n in found.values()))
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
