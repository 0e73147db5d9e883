"""Reads shards, checks every row, writes good rows by split and bad ones to quarantine. In Beam."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import tensorflow as tf
from apache_beam.io.filesystems import FileSystems
from apache_beam.pvalue import AsIter, AsSingleton, TaggedOutput
from google.protobuf.message import DecodeError
from tfx.dsl.io import fileio

from maskline.components.ingest.quarantine import EXAMPLES_EACH, CorruptFile, NamedRow, QuarantinedRow, Report
from maskline.components.ingest.shards import CorruptShard, read_shard
from maskline.transform.errors import InputError
from maskline.transform.features import Reason, RowProblem, SequenceSpec, row_problem
from maskline.transform.names import QUARANTINE_REPORT_FILE, SPLITS

# As TFX's ExampleGen calls its files.
_EXAMPLES_PREFIX = "data_tfrecord"
_QUARANTINED, _SHARDS = "quarantined", "shards"


class ShardResult(NamedTuple):
    """What was read of one shard."""

    rows: int
    corrupt: CorruptFile | None


class ReadShard(beam.DoFn):
    """Reads one shard, checks each of its rows and deals it out.

    Args:
      spec: what a row may hold.
      train_percent: share of the rows that becomes the train split, by a hash of the row, as in TFX.
      keep_readable: of a corrupt shard, keep the rows before the damage.

    Input: a path, and the split that all its rows belong to; where that is empty, the hash decides.
    Output: serialized tf.Examples tagged `train` and `eval`, `QuarantinedRow`s tagged `quarantined`, and one
    `ShardResult` a shard, tagged `shards`.

    Raises:
      InputError: the shard is not readable to its end, and that is not allowed.
    """

    def __init__(self, spec: SequenceSpec, *, train_percent: int = 80, keep_readable: bool = False) -> None:
        super().__init__()
        self._spec = spec
        self._train_percent = train_percent
        self._keep_readable = keep_readable

    def process(self, shard: tuple[str, str]) -> Iterator[TaggedOutput]:
        """Yields the shard's rows, then what was read of it."""
        path, split = shard
        rows, corrupt = 0, None
        try:
            for number, data, offset in read_shard(path):
                rows += 1
                if problem := record_problem(data, self._spec):
                    yield TaggedOutput(_QUARANTINED, QuarantinedRow(data, *problem, path, number, offset))
                else:
                    yield TaggedOutput(split or self._split(data), data)
        except CorruptShard as error:
            if not self._keep_readable:
                # Beam makes a copy of what is raised, from its text alone.
                raise InputError(str(error)) from error
            corrupt = CorruptFile(
                file=path, offset=error.offset, unread_bytes=error.unread_bytes, reason=error.reason
            )
        yield TaggedOutput(_SHARDS, ShardResult(rows, corrupt))

    def _split(self, data: bytes) -> str:
        bucket = int.from_bytes(hashlib.sha256(data).digest(), "big") % 100
        return SPLITS[bucket >= self._train_percent]


def record_problem(data: bytes, spec: SequenceSpec) -> RowProblem | None:
    """Says what is wrong with a serialized tf.Example, or None."""
    try:
        example = tf.train.Example.FromString(data)
    except DecodeError:
        return RowProblem(Reason.NOT_AN_EXAMPLE, "is not a tf.Example")
    values = {name: _int64s(feature) for name, feature in example.features.feature.items()}
    return row_problem(values, (*spec.features, spec.label), spec)


def _int64s(feature: tf.train.Feature) -> Sequence[int] | None:
    kind = feature.WhichOneof("kind")
    return feature.int64_list.value if kind == "int64_list" else () if kind is None else None


def _files(split: str, pattern: str) -> list[tuple[str, str]]:
    [match] = FileSystems.match([pattern])
    return [(metadata.path, split) for metadata in match.metadata_list]


class Ingest(beam.PTransform):
    """Reads shards, writes good rows by split and bad ones to quarantine, and reports.

    Args:
      reader: reads one shard.
      patterns: the files of each input split; `""` for rows that are split by hash.
      folders: where each output split goes.
      quarantine: where the bad rows and the report go.
      report: with the span and version.
    """

    def __init__(
        self,
        reader: ReadShard,
        patterns: Mapping[str, str],
        folders: Mapping[str, str],
        quarantine: str,
        report: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self._reader = reader
        self._patterns = patterns
        self._folders = folders
        self._quarantine = quarantine
        self._report = report

    def expand(self, pipeline: beam.Pipeline) -> Any:
        """Applied to a pipeline."""
        read = (
            pipeline
            | "Patterns" >> beam.Create(list(self._patterns.items()))
            | "Files" >> beam.FlatMapTuple(_files)
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
            | "Once" >> beam.Create([dict(self._report)])
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
    known: Mapping[str, Any],
    shards: Iterable[ShardResult],
    quarantined: Iterable[tuple[Reason, int]],
    named: Iterable[tuple[Reason, Sequence[tuple[str, int, str]]]],
    **splits: int,
) -> Report:
    """What was read is counted in the readers; what was written, behind them."""
    shards = list(shards)
    report = Report(
        rows_in=sum(shard.rows for shard in shards),
        splits={name: splits[name] for name in SPLITS},
        quarantined=dict(sorted(quarantined)),
        corrupt=tuple(shard.corrupt for shard in shards if shard.corrupt),
        examples=tuple(
            NamedRow(kind=reason, file=file, record=record, reason=text)
            for reason, rows in sorted(named)
            for file, record, text in sorted(rows)
        ),
        **known,
    )
    report.check()
    return report


def _write_report(report: Report, path: str) -> None:
    with fileio.open(path, "w") as file:
        file.write(report.model_dump_json(indent=1))
