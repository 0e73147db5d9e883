"""StatisticsGen: TFDV's statistics of each split, and beside them what chance makes of its counts of ids."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

# TFX first: it stands in for a module of tfx-bsl that TensorFlow Data Validation looks for.
from tfx import types

# isort: split
import apache_beam as beam
import pyarrow as pa
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics.stats_impl import GenerateSlicedStatisticsImpl
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.components.statistics_gen.executor import DEFAULT_FILE_NAME
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import io_utils
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from maskline.components.data_gate import resampling
from maskline.components.data_gate.resampling import Parts
from maskline.components.ingest.framed import rows_counter
from maskline.components.ingest.shards import read_blocks
from maskline.transform.features import SequenceSpec
from maskline.transform.names import VOCABULARY_DIGEST, VOCABULARY_SIZE


class StatisticsGenSpec(ComponentSpec):
    """Examples and their schema in, statistics out."""

    PARAMETERS = {
        "sequence": ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "schema": ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {"statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics)}


class Executor(base_beam_executor.BaseBeamExecutor):
    """As TFX's, which takes no counters of one's own: each split is read once for both.

    TFX also hands on each row for itself, to make batches of them behind that; here whole blocks are decoded.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `FeatureStats.pb` and `parts.npz` into each split's folder."""
        [examples], [statistics] = input_dict["examples"], output_dict["statistics"]
        statistics.split_names, statistics.span = examples.split_names, examples.span
        folder = artifact_utils.get_single_uri(input_dict["schema"])
        spec = SequenceSpec.model_validate_json(exec_properties["sequence"])
        statistics.set_int_custom_property(VOCABULARY_SIZE, spec.size)
        statistics.set_string_custom_property(VOCABULARY_DIGEST, spec.vocabulary_digest())
        options = statistics_options(spec)
        # With the schema, ids are counted as categories; as numbers, their drift would read 0.
        options.schema = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(folder))
        splits = artifact_utils.decode_split_names(examples.split_names)
        files = [
            (split, file)
            for split in splits
            for file in sorted(fileio.glob(f"{artifact_utils.get_split_uri([examples], split)}/*"))
        ]
        targets = {split: artifact_utils.get_split_uri([statistics], split) for split in splits}
        for target in targets.values():
            fileio.makedirs(target)
        with self._make_beam_pipeline() as pipeline:
            batches = (
                pipeline
                | "Files" >> beam.Create(files)
                | "Spread" >> beam.Reshuffle()
                | "Read" >> beam.ParDo(_Read())
            )
            # A split is a slice to TFDV: one graph of steps for all, which Beam takes a second to make.
            _ = (
                batches
                | "Rows" >> beam.MapTuple(lambda split, batch: (split, resampling.without_group(batch)))
                | "Statistics" >> GenerateSlicedStatisticsImpl(options, is_slicing_enabled=True)
                | "Write" >> beam.Map(_write_statistics, targets)
            )
            _ = (
                batches
                | "Parts" >> beam.CombinePerKey(_CountParts())
                | "BySplit" >> beam.combiners.ToDict()
                | "WriteParts" >> beam.Map(_write_parts, targets)
            )


class _Read(beam.DoFn):
    """Reads a split's file of tf.Examples, about a megabyte of them at a time, as Arrow record batches."""

    def setup(self) -> None:
        self._decoder = ExamplesToRecordBatchDecoder()
        self._rows = rows_counter()

    def process(self, split_and_file: tuple[str, str]) -> Iterator[tuple[str, pa.RecordBatch]]:
        split, file = split_and_file
        for block in read_blocks(file):
            rows = range(len(block.starts))
            self._rows.inc(len(rows))
            yield split, self._decoder.DecodeBatch([block.data(row) for row in rows])


def statistics_options(spec: SequenceSpec) -> tfdv.StatsOptions:
    """What TFDV is asked for: every id's count. By itself it keeps those of 1,000 ids."""
    # Where the vocabulary is not computed yet, held-out rows may hold as many others.
    most = max(1000, spec.size, 2 * spec.text.size, len(spec.answers))
    return tfdv.StatsOptions(num_rank_histogram_buckets=most)


class _CountParts(beam.CombineFn):
    """Counts Arrow record batches into one `Parts`."""

    def create_accumulator(self) -> Parts:
        return Parts()

    def add_input(self, accumulator: Parts, batch: pa.RecordBatch) -> Parts:
        accumulator.add(batch)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Parts]) -> Parts:
        merged = Parts()
        for parts in accumulators:
            merged.merge(parts)
        return merged

    def extract_output(self, accumulator: Parts) -> Parts:
        return accumulator


def _write_statistics(found: statistics_pb2.DatasetFeatureStatisticsList, targets: Mapping[str, str]) -> None:
    """Writes each split's statistics as TFDV writes those of a data set; also of a split without rows."""
    by_split = {one.name: one for one in found.datasets}
    for split, target in targets.items():
        one = by_split.get(split, statistics_pb2.DatasetFeatureStatistics())
        one.name = ""
        with fileio.open(f"{target}/{DEFAULT_FILE_NAME}", "wb") as file:
            file.write(statistics_pb2.DatasetFeatureStatisticsList(datasets=[one]).SerializeToString())


def _write_parts(found: Mapping[str, Parts], targets: Mapping[str, str]) -> None:
    for split, target in targets.items():
        with fileio.open(f"{target}/{resampling.FILE}", "wb") as file:
            found.get(split, Parts()).write(file)


class StatisticsGen(base_beam_component.BaseBeamComponent):
    """Makes statistics of each split of the examples.

    Args:
      examples: the ingest.
      schema: says that ids are categories.
      sequence: names of the data, and the size of the vocabulary.
      fingerprint: of the source; part of the cache key.
    """

    SPEC_CLASS = StatisticsGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        *,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        sequence: SequenceSpec,
        fingerprint: str,
    ) -> None:
        spec = StatisticsGenSpec(
            examples=examples,
            schema=schema,
            sequence=sequence.model_dump_json(),
            fingerprint=fingerprint,
            statistics=types.Channel(type=standard_artifacts.ExampleStatistics),
        )
        super().__init__(spec=spec)
