"""Measures shards for a person: rows, lengths, use of the vocabulary. Needs no TensorFlow."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tfx_bsl.coders.example_coder import ExampleToNumpyDict

from maskline.components.ingest.listing import Listing, Shard, list_shards
from maskline.components.ingest.shards import read_shard
from maskline.pipeline.settings.sections import DataSettings
from maskline.trainer.settings import Preset
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec
from maskline.transform.labels import label_ids, takes_names
from maskline.transform.problems import RowProblem

_WORDS = 100  # symbols from which on each is rare enough for the preset `text`
_UNEVEN = 0.5  # share of padding from which on buckets of lengths save most of the work


@dataclass
class FeatureStats:
    """One feature: the rows that lack it, the lengths of its lists, and how often each id occurs."""

    missing: int = 0
    lengths: Counter[int] = field(default_factory=Counter)
    ids: Counter[int] = field(default_factory=Counter)

    def add(self, values: NDArray[Any] | None) -> int:
        """Counts one row's list, int64 [length]; returns its length, 0 where the row lacks it."""
        if values is None or not len(values) or values.dtype != np.int64:
            self.missing += 1
            return 0
        self.lengths[len(values)] += 1
        self.ids.update(values.tolist())
        return len(values)


@dataclass
class DataStats:
    """What some shards hold. `lengths` are those of the joined rows, separators included."""

    spec: SequenceSpec
    shards: dict[Shard, int] = field(default_factory=dict)  # with their rows
    rows: int = 0
    unreadable: int = 0
    lengths: Counter[int] = field(default_factory=Counter)
    features: dict[str, FeatureStats] = field(default_factory=dict)
    symbols: dict[str, int] = field(default_factory=dict)  # of texts whose vocabulary is not computed yet

    def add(self, values: Mapping[str, NDArray[Any]]) -> None:
        """Counts one row."""
        self.rows += 1
        found = {name: stats.add(self._ids(name, values.get(name))) for name, stats in self.features.items()}
        parts = [found[name] for name in self.spec.features]
        if all(parts):
            self.lengths[sum(parts) + len(parts) - 1] += 1

    def _ids(self, name: str, values: NDArray[Any] | None) -> NDArray[Any] | None:
        """A feature's ids; those that the symbols of a text, or the names of classes, stand for."""
        if values is not None and self.spec.text.reads_text and name in self.spec.features:
            if values.dtype != object:
                return None
            text = self.spec.text.joined([part.decode(errors="replace") for part in values.tolist()])
            return np.array([self._id(symbol) for symbol in self.spec.text.symbols(text)], np.int64)
        if values is None or name != self.spec.label or not takes_names(self.spec) or values.dtype != object:
            return values
        ids = label_ids(values.tolist(), self.spec)
        return None if isinstance(ids, RowProblem) else np.array(ids, np.int64)

    def _id(self, symbol: str) -> int:
        """The id of a symbol; where the vocabulary is not computed yet, that of its first occurrence."""
        if self.spec.is_computed:
            return self.symbols.setdefault(symbol, len(self.symbols) + self.spec.size)
        return self.spec.ids.get(symbol, self.spec.size)

    def fits(self, share: float) -> int:
        """The smallest length that holds at least `share` (0 to 1) of the joined rows."""
        needed = math.ceil(share * self.lengths.total() - 1e-9)
        for length in sorted(self.lengths):
            needed -= self.lengths[length]
            if needed <= 0:
                return length
        return 0

    def padding(self, length: int) -> float:
        """Share of padding among all ids where the rows that fit are padded to `length`."""
        fitting = {n: rows for n, rows in self.lengths.items() if n <= length}
        total = length * sum(fitting.values())
        return 1 - sum(n * rows for n, rows in fitting.items()) / total if total else 0.0

    @property
    def preset(self) -> tuple[Preset, str]:
        """The `model.preset` to begin with, by the table in docs/models.md, and why."""
        symbols = len(set().union(*(self.features[name].ids for name in self.spec.features)))
        if self.spec.task.classes and symbols >= _WORDS:
            return "text", f"classes of rows of {symbols:,} symbols"
        padding = self.padding(max(self.lengths, default=0))
        if padding >= _UNEVEN:
            return "length-free", f"{symbols:,} symbols and rows of which {padding:.0%} would be padding"
        return "default", f"{symbols:,} symbols and rows of about the same length"


def measure_shards(listing: Listing, spec: SequenceSpec) -> DataStats:
    """Reads shards from end to end.

    Args:
      listing: the shards.
      spec: names the features, and what an id means.

    Returns:
      what they hold; a row that is not a tf.Example is counted and nothing more.

    Raises:
      InputError: a file is not TFRecord, is truncated or is damaged.
    """
    stats = DataStats(spec, features={name: FeatureStats() for name in (*spec.features, spec.label)})
    for shard, path in zip(listing.shards, listing.paths, strict=True):
        before = stats.rows
        for record in read_shard(str(path)):
            try:
                values = ExampleToNumpyDict(record.data)
            except RuntimeError:
                stats.rows += 1
                stats.unreadable += 1
                continue
            stats.add(values)
        stats.shards[shard] = stats.rows - before
    stats.spec = spec.resolved(stats.symbols)
    return stats


def shards_at(path: Path, data: DataSettings) -> Listing:
    """A file, the shards of a directory as a run lists them, or the files of a split of an Examples artifact.

    Raises:
      InputError: there is none.
    """
    if path.is_file():
        found = path.stat()
        shard = Shard(path.name, found.st_size, found.st_mtime_ns)
        return Listing(folder=str(path.parent.absolute()), shards=(shard,))
    # What TFX writes has another name than what it reads.
    if path.is_dir() and any(path.glob("data_tfrecord-*")):
        return list_shards(path, "data_tfrecord-*")
    try:
        return list_shards(path, data.pattern, presplit=data.presplit)
    except InputError as error:
        raise InputError(f"{error}; give a shard, or a directory that holds shards") from None
