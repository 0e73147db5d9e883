"""Reads shards, checks every row, writes good rows by split and bad ones to quarantine. In Beam."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import AsIter, AsSingleton, TaggedOutput
from tfx.dsl.io import fileio

from maskline.components.ingest.listing import Listing, Shard
from maskline.components.ingest.quarantine import (
    EXAMPLES_EACH,
    CorruptFile,
    IngestedShard,
    IngestReport,
    NamedRow,
    QuarantinedRow,
)
from maskline.components.ingest.rows import read_row
from maskline.components.ingest.shards import CorruptShard, read_shard
from maskline.transform.errors import InputError
from maskline.transform.features import Reason, SequenceSpec
from maskline.transform.names import QUARANTINE_REPORT_FILE, SPLITS

# As TFX's ExampleGen calls its files.
_EXAMPLES_PREFIX = "data_tfrecord"
_QUARANTINED, _SHARDS = "quarantined", "shards"
_DROPPED_NAMES = 100  # of features that are counted in one shard: each row might hold another one


class ShardResult(NamedTuple):
    """What was read of one shard; `dropped` counts rows by name and kind of a feature that was dropped."""

    shard: Shard
    rows: int
    corrupt: CorruptFile | None
    dropped: Mapping[tuple[str, str], int] = {}


class ReadShard(beam.DoFn):
    """Reads one shard, checks each of its rows and deals it out.

    Args:
      folder: of the list that the shards are from.
      spec: what a row may hold.
      train_percent: share of the rows that becomes the train split, by a hash of the row, as in TFX.
      keep_readable: of a corrupt shard, keep the rows before the damage.

    Input: a shard of the list.
    Output: serialized tf.Examples tagged `train` and `eval`, `QuarantinedRow`s tagged `quarantined`, and one
    `ShardResult` a shard, tagged `shards`.

    Raises:
      InputError: the shard is not readable to its end, and that is not allowed; or it is not as it was when
        it was listed.
    """

    def __init__(
        self, folder: str, spec: SequenceSpec, *, train_percent: int = 80, keep_readable: bool = False
    ) -> None:
        super().__init__()
        self._folder = folder
        self._spec = spec
        self._train_percent = train_percent
        self._keep_readable = keep_readable

    def process(self, shard: Shard) -> Iterator[TaggedOutput]:
        """Yields the shard's rows, then what was read of it."""
        shard = Shard(*shard)  # Beam may hand on a plain tuple
        path = os.path.join(self._folder, shard.name)
        rows, corrupt, dropped = 0, None, Counter[tuple[str, str]]()
        check_unchanged(path, shard)
        try:
            for number, data, offset in read_shard(path):
                rows += 1
                row = read_row(data, self._spec)
                if row.problem:
                    yield TaggedOutput(_QUARANTINED, QuarantinedRow(data, *row.problem, path, number, offset))
                else:
                    yield TaggedOutput(shard.split or self._split(data), row.data)
                dropped.update(key for key in row.unnamed if key in dropped or len(dropped) < _DROPPED_NAMES)
        except CorruptShard as error:
            if not self._keep_readable:
                # Beam makes a copy of what is raised, from its text alone.
                raise InputError(str(error)) from error
            corrupt = CorruptFile(
                file=path, offset=error.offset, unread_bytes=error.unread_bytes, reason=error.reason
            )
        check_unchanged(path, shard)
        yield TaggedOutput(_SHARDS, ShardResult(shard, rows, corrupt, dict(dropped)))

    def _split(self, data: bytes) -> str:
        bucket = int.from_bytes(hashlib.sha256(data).digest(), "big") % 100
        return SPLITS[bucket >= self._train_percent]


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
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(self._reader).with_outputs(*SPLITS, _QUARANTINED, _SHARDS)
        )
        # TFX would shuffle rows here, which keeps all of them in memory; training brings its own order.
        for split, folder in self._folders.items():
            _ = read[split] | f"Write[{split}]" >> _write(f"{folder}/{_EXAMPLES_PREFIX}", ".gz")
        bad = read[_QUARANTINED]
        _ = (
            bad
            | "Pack" >> beam.Map(QuarantinedRow.pack)
            | "Write[bad]" >> _write(f"{self._quarantine}/rows", ".tfrecord.gz")
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
                **{name: AsSingleton(read[name] | f"Count[{name}]" >> beam.combiners.Count.Globally())
                   for name in self._folders},
            )
            | "WriteReport" >> beam.Map(_write_report, f"{self._quarantine}/{QUARANTINE_REPORT_FILE}")
        )  # fmt: skip


def _write(prefix: str, suffix: str) -> beam.PTransform:
    return beam.io.WriteToTFRecord(prefix, file_name_suffix=suffix)


def _report(
    listing: Listing,
    results: Iterable[ShardResult],
    quarantined: Iterable[tuple[Reason, int]],
    named: Iterable[tuple[Reason, Sequence[tuple[str, int, str]]]],
    **splits: int,
) -> IngestReport:
    """What was read is counted in the readers; what was written, behind them."""
    results = sorted(results, key=lambda result: result.shard)
    _check_all_read(listing, results)
    dropped: dict[str, Counter[str]] = {}
    for result in results:
        for (name, kind), rows in result.dropped.items():
            dropped.setdefault(name, Counter())[kind] += rows
    report = IngestReport(
        rows_in=sum(result.rows for result in results),
        splits={name: splits[name] for name in SPLITS},
        folder=listing.folder,
        shards=tuple(IngestedShard(**result.shard._asdict(), rows=result.rows) for result in results),
        dropped=dict(sorted(dropped.items())),
        quarantined=dict(sorted(quarantined)),
        corrupt=tuple(result.corrupt for result in results if result.corrupt),
        examples=tuple(
            NamedRow(kind=reason, file=file, record=record, reason=text)
            for reason, rows in sorted(named)
            for file, record, text in sorted(rows)
        ),
        span=listing.span,
        version=listing.version,
    )
    report.check()
    return report


def _check_all_read(listing: Listing, results: Sequence[ShardResult]) -> None:
    """Makes sure that each shard of the list was read, once, and no other.

    Raises:
      RuntimeError: names those that were not.
    """
    read = Counter(result.shard.name for result in results)
    listed = Counter(shard.name for shard in listing.shards)
    if wrong := sorted((read - listed) + (listed - read)):
        names = ", ".join(str(Path(listing.folder, name)) for name in wrong[:5])
        raise RuntimeError(f"{len(wrong)} shards were not read exactly once: {names}")


def _write_report(report: IngestReport, path: str) -> None:
    with fileio.open(path, "w") as file:
        file.write(report.model_dump_json(indent=1))
