"""Reads shards in blocks, writes good rows by split and bad ones to quarantine. In Beam.

Good rows travel as they are stored, a block at a time: a Python object for each row would take most of the
time. Only a row that is not surely good (`plain`) is looked at for itself.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import AsIter, AsSingleton, TaggedOutput
from numpy.typing import NDArray
from tfx.dsl.io import fileio

from maskline.components.ingest.framed import Framed, WriteFramed, rows_counter
from maskline.components.ingest.groups import key_of
from maskline.components.ingest.keyed import Keyed
from maskline.components.ingest.listing import Listing, Shard
from maskline.components.ingest.plain import good_rows
from maskline.components.ingest.quarantine import (
    EXAMPLES_EACH,
    CorruptFile,
    IngestedShard,
    IngestReport,
    NamedRow,
    QuarantinedRow,
)
from maskline.components.ingest.rows import Row, read_row, values_of, with_key
from maskline.components.ingest.shards import WHOLE, Block, CorruptShard, Part, framed, parts, read_blocks
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec
from maskline.transform.names import QUARANTINE_REPORT_FILE, SPLITS, TEST
from maskline.transform.problems import Reason, RowProblem
from maskline.transform.splits import DIGEST_BYTES, key_digest, split_of, splits_of

# As TFX's ExampleGen calls its files.
_EXAMPLES_PREFIX = "data_tfrecord"
_QUARANTINED, _SHARDS = "quarantined", "shards"
_DROPPED_NAMES = 100  # of features that are counted in one shard: each row might hold another one
MOST_GROUPS = 10  # different keys that are counted


class _Shares(TypedDict):
    train_percent: int
    test_share: float


class ShardPart(NamedTuple):
    """A part of a shard of the list."""

    shard: Shard
    part: Part = WHOLE


class PartResult(NamedTuple):
    """What was read of a part.

    `dropped` counts rows by name and kind of a feature that was dropped; `unknown` ids outside the vocabulary
    by feature, and `cut` rows that were too long, both in rows that were kept; `groups` are digests of
    different keys of rows, up to one more than `MOST_GROUPS`.
    """

    shard: Shard
    rows: int
    corrupt: CorruptFile | None
    dropped: Mapping[tuple[str, str], int] = {}
    part: Part = WHOLE
    unknown: Mapping[str, int] = {}
    cut: int = 0
    groups: frozenset[bytes] = frozenset()


class ReadShard(beam.DoFn):
    """Reads a part of a shard, checks each of its rows and deals it out.

    Args:
      folder: of the list that the shards are from.
      spec: what a row may hold.
      train_percent: share of the rows that becomes the train split, by a hash of the row, as in TFX.
      test_share: share of the other rows that becomes the test split, by the same hash.
      split_by: what decides the split in place of the whole row; see `groups.key_of`. Rows then carry it.
      keep_readable: of a corrupt shard, keep the rows before the damage.

    Input: a `ShardPart`.
    Output: `Framed` rows tagged `train`, `eval` and `test`, `QuarantinedRow`s tagged `quarantined`, and
    one `PartResult` tagged `shards`.

    Raises:
      InputError: the shard is not readable to its end, and that is not allowed; or it is not as it was when
        it was listed.
    """

    def __init__(
        self,
        folder: str,
        spec: SequenceSpec,
        *,
        train_percent: int = 80,
        test_share: float = 0.0,
        split_by: str = "",
        keep_readable: bool = False,
    ) -> None:
        super().__init__()
        self._folder = folder
        self._spec = spec
        self._shares: _Shares = {"train_percent": train_percent, "test_share": test_share}
        self._split_by = split_by
        self._keep_readable = keep_readable
        self._rows = rows_counter()
        self._keyed = Keyed(spec, split_by) if split_by else None

    def parts(self, shard: Shard) -> Iterator[ShardPart]:
        """Divides a shard. One that may be damaged is a whole: rows behind the damage are not used."""
        shard = Shard(*shard)  # Beam may hand on a plain tuple
        path = os.path.join(self._folder, shard.name)
        check_unchanged(path, shard)
        found = [WHOLE] if self._keep_readable else parts(path, shard.size)
        yield from (ShardPart(shard, part) for part in found)

    def process(self, element: ShardPart) -> Iterator[TaggedOutput]:
        """Yields the rows, then what was read."""
        shard, part = Shard(*element[0]), Part(*element[1])
        path = os.path.join(self._folder, shard.name)
        rows, corrupt, counted = 0, None, _Counts(Counter(), Counter(), Counter(), set())
        check_unchanged(path, shard)
        try:
            for block in read_blocks(path, part):
                rows += len(block.starts)
                self._rows.inc(len(block.starts))
                yield from self._dealt(block, path, shard.split, counted)
        except CorruptShard as error:
            if not self._keep_readable:
                # Beam makes a copy of what is raised, from its text alone.
                raise InputError(str(error)) from error
            corrupt = CorruptFile(
                file=path, offset=error.offset, unread_bytes=error.unread_bytes, reason=error.reason
            )
        check_unchanged(path, shard)
        dropped, unknown, cut, groups = counted
        counts = dict(dropped), part, dict(unknown), cut.total(), frozenset(groups)
        yield TaggedOutput(_SHARDS, PartResult(shard, rows, corrupt, *counts))

    def _dealt(self, block: Block, path: str, split: str, counted: "_Counts") -> Iterator[TaggedOutput]:
        good, digests, stored = self._good(block)
        if self._keyed:
            counted.count_groups(digests)
        dealt = np.full(len(digests), split) if split else splits_of(digests, **self._shares)
        frames = {name: list(compress(stored, (dealt == name).tolist())) for name in SPLITS}
        for number in np.flatnonzero(~good).tolist():
            data = block.data(number)
            row = read_row(data, self._spec)
            key = key_digest(data)
            if self._keyed and not row.problem:
                row, key = self._grouped(row, data)
                counted.count_groups([] if row.problem else [key.to_bytes(DIGEST_BYTES, "big")])
            if row.problem:
                place = block.number + number, block.offset_of(number)
                yield TaggedOutput(_QUARANTINED, QuarantinedRow(data, *row.problem, path, *place))
            else:
                frames[split or split_of(key, **self._shares)].append(*framed([row.data]))
            dropped = counted.dropped
            dropped.update(key for key in row.unnamed if key in dropped or len(dropped) < _DROPPED_NAMES)
            counted.unknown.update(dict(row.unknown))
            counted.cut[path] += row.cut
        for name, found in frames.items():
            if found:
                yield TaggedOutput(name, Framed(len(found), b"".join(found)))

    def _good(self, block: Block) -> tuple[NDArray[np.bool_], list[bytes], list[bytes]]:
        """Which rows are surely good; of these, the digests that decide their splits, and what is stored."""
        if self._spec.numeric:  # numbers are looked at row by row
            return np.zeros(len(block.starts), bool), [], []
        if self._keyed:
            good, digests, rows = self._keyed.rows(block)
            return good, digests, framed(rows)
        good = good_rows(block, self._spec).rows
        at = np.flatnonzero(good).tolist()
        digests = [hashlib.sha256(block.data(number)).digest() for number in at]
        return good, digests, [block.frame(number) for number in at]

    def _grouped(self, row: Row, data: bytes) -> tuple[Row, int]:
        """A good row with its key in it, and the key; or with the problem that it has none."""
        key = key_of(values_of(data), self._split_by)
        if isinstance(key, RowProblem):
            return row._replace(problem=key), 0
        unnamed = tuple(each for each in row.unnamed if each[0] != self._split_by)
        return row._replace(data=with_key(row.data, key), unnamed=unnamed), key


class _Counts(NamedTuple):
    """What is counted while a part is read; see `PartResult`."""

    dropped: Counter[tuple[str, str]]
    unknown: Counter[str]
    cut: Counter[str]
    groups: set[bytes]

    def count_groups(self, digests: Iterable[bytes]) -> None:
        """Counts different keys, up to one more than `MOST_GROUPS`."""
        for digest in digests:
            if len(self.groups) > MOST_GROUPS:
                return
            self.groups.add(digest)


def check_unchanged(path: str, shard: Shard) -> None:
    """Makes sure that a shard is as it was when it was listed.

    Raises:
      InputError: it is gone, or was written to.
    """
    try:
        found = os.stat(path)
    except OSError as error:
        raise InputError(f"{path}: was listed and cannot be read now ({error.strerror}); run again") from None
    if (found.st_size, found.st_mtime_ns) != (shard.size, shard.modified):
        raise InputError(
            f"{path}: was written to after it was listed ({shard.size:,} bytes then, {found.st_size:,} now); "
            "run again when it is complete"
        )


class Ingest(beam.PTransform):
    """Reads the shards of a list, writes good rows by split and bad ones to quarantine, and reports.

    Args:
      reader: reads one shard.
      listing: the shards; no other file is read.
      folders: where each output split goes.
      quarantine: where the bad rows and the report go.
    """

    def __init__(
        self, reader: ReadShard, listing: Listing, folders: Mapping[str, str], quarantine: str
    ) -> None:
        super().__init__()
        self._reader = reader
        self._listing = listing
        self._folders = folders
        self._quarantine = quarantine

    def expand(self, pipeline: beam.Pipeline) -> Any:
        """Applied to a pipeline."""
        read = (
            pipeline
            | "Shards" >> beam.Create(self._listing.shards)
            | "Parts" >> beam.FlatMap(self._reader.parts)
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(self._reader).with_outputs(*SPLITS, _QUARANTINED, _SHARDS)
        )
        # TFX would shuffle rows here, which keeps all of them in memory; training brings its own order.
        for split, folder in self._folders.items():
            _ = read[split] | f"Write[{split}]" >> WriteFramed(f"{folder}/{_EXAMPLES_PREFIX}")
        bad = read[_QUARANTINED]
        _ = (
            bad
            | "Pack" >> beam.Map(QuarantinedRow.pack)
            | "Write[bad]"
            >> beam.io.WriteToTFRecord(f"{self._quarantine}/rows", file_name_suffix=".tfrecord.gz")
        )
        by_reason = bad | "Reason" >> beam.Map(lambda row: (row.reason, (row.file, row.record, row.text)))
        return (
            pipeline
            | "Once" >> beam.Create([self._listing])
            | "Report" >> beam.Map(
                _report,
                AsIter(read[_SHARDS]),
                AsIter(by_reason | "Count" >> beam.combiners.Count.PerKey()),
                AsIter(by_reason | "Named" >> beam.combiners.Top.SmallestPerKey(EXAMPLES_EACH)),
                **{name: AsSingleton(
                       read[name]
                       | f"Counts[{name}]" >> beam.Map(lambda framed: Framed(*framed).rows)
                       | f"Count[{name}]" >> beam.CombineGlobally(sum))
                   for name in self._folders},
            )
            | "WriteReport" >> beam.Map(_write_report, f"{self._quarantine}/{QUARANTINE_REPORT_FILE}")
        )  # fmt: skip


def _report(
    listing: Listing,
    results: Iterable[PartResult],
    quarantined: Iterable[tuple[Reason, int]],
    named: Iterable[tuple[Reason, Sequence[tuple[str, int, str]]]],
    **splits: int,
) -> IngestReport:
    """What was read is counted in the readers; what was written, behind them."""
    results = sorted(results, key=lambda result: (result.shard, result.part))
    _check_all_read(listing, results)
    dropped: dict[str, Counter[str]] = {}
    rows, unknown = Counter[Shard](), Counter[str]()
    for result in results:
        unknown.update(result.unknown)
        rows[result.shard] += result.rows
        for (name, kind), count in result.dropped.items():
            dropped.setdefault(name, Counter())[kind] += count
    report = IngestReport(
        rows_in=rows.total(),
        splits={name: splits[name] for name in SPLITS if splits[name] or name != TEST},
        folder=listing.folder,
        shards=tuple(IngestedShard(**shard._asdict(), rows=rows[shard]) for shard in listing.shards),
        dropped=dict(sorted(dropped.items())),
        unknown=dict(sorted(unknown.items())),
        cut=sum(result.cut for result in results),
        quarantined=dict(sorted(quarantined)),
        corrupt=tuple(result.corrupt for result in results if result.corrupt),
        examples=tuple(
            NamedRow(kind=reason, file=file, record=record, reason=text)
            for reason, first in sorted(named)
            for file, record, text in sorted(first)
        ),
        span=listing.span,
        version=listing.version,
        groups=len(frozenset[bytes]().union(*(result.groups for result in results))),
    )
    report.check()
    return report


def _check_all_read(listing: Listing, results: Sequence[PartResult]) -> None:
    """Makes sure that each shard of the list was read, once and whole, and no other.

    Args:
      listing: the shards.
      results: sorted by shard and part.

    Raises:
      RuntimeError: names those that were not.
    """
    next_part = dict.fromkeys(listing.shards, (0, 0))
    wrong = set[str]()
    for shard, rows, _, _, part, *_ in results:
        if next_part.pop(shard, None) != (part.offset, part.number):
            wrong.add(shard.name)
        elif part.end:
            next_part[shard] = (part.end, part.number + rows)
    if wrong := wrong.union(shard.name for shard in next_part):
        names = ", ".join(str(Path(listing.folder, name)) for name in sorted(wrong)[:5])
        raise RuntimeError(f"{len(wrong)} shards were not read exactly once: {names}")


def _write_report(report: IngestReport, path: str) -> None:
    with fileio.open(path, "w") as file:
        file.write(report.model_dump_json(indent=1))
