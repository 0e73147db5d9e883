"""ExampleGen for TFRecord shards: reads them itself, so that it can name file and record."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import tensorflow as tf
from apache_beam.io import fileio
from apache_beam.metrics import Metrics, MetricsFilter
from google.protobuf.message import DecodeError
from google.protobuf.wrappers_pb2 import StringValue
from tfx import types
from tfx.components import FileBasedExampleGen
from tfx.components.example_gen.base_example_gen_executor import BaseExampleGenExecutor
from tfx.dsl.components.base import executor_spec
from tfx.proto import example_gen_pb2
from tfx.utils import proto_utils

from components.shards import read_shard
from transform.errors import InputError
from transform.features import SequenceSpec, row_problem

# The examples artifact's property, and the Beam counter behind it.
ROWS_READ = "rows_read"


class ReadShard(beam.DoFn):
    """Reads one shard and checks each of its rows.

    Args:
      spec: what a row may hold.

    Input: a path. Output: serialized tf.Examples.

    Raises:
      InputError: the file is not readable to its end, or a row is bad; names file, record, feature,
        value and what is allowed.
    """

    def __init__(self, spec: SequenceSpec) -> None:
        super().__init__()
        self._spec = spec
        self._rows = Metrics.counter(type(self), ROWS_READ)

    def process(self, path: str) -> Iterator[bytes]:
        """Yields the shard's records."""
        for record in read_shard(path):
            self._rows.inc()
            problem = record_problem(record.data, self._spec)
            if problem:
                raise InputError(f"{path}: record {record.number}: {problem}")
            yield record.data


def record_problem(data: bytes, spec: SequenceSpec) -> str | None:
    """Says what is wrong with a serialized tf.Example, or None."""
    try:
        example = tf.train.Example.FromString(data)
    except DecodeError:
        return "is not a tf.Example"
    values = {name: _int64s(feature) for name, feature in example.features.feature.items()}
    return row_problem(values, (*spec.features, spec.label), spec)


def _int64s(feature: tf.train.Feature) -> Sequence[int] | None:
    kind = feature.WhichOneof("kind")
    return feature.int64_list.value if kind == "int64_list" else () if kind is None else None


@beam.ptransform_fn
def _shards_to_examples(
    pipeline: beam.Pipeline, exec_properties: Mapping[str, Any], split_pattern: str
) -> beam.PCollection:
    spec = SequenceSpec.model_validate(unpack_config(exec_properties["custom_config"])["sequence"])
    pattern = f"{exec_properties['input_base']}/{split_pattern}"
    return (
        pipeline
        | "Pattern" >> beam.Create([pattern])
        | "Match" >> fileio.MatchAll()
        | "Path" >> beam.Map(lambda match: match.path)
        | "Spread" >> beam.Reshuffle()
        | "Read" >> beam.ParDo(ReadShard(spec))
    )


class Executor(BaseExampleGenExecutor):
    """Splits by hash and writes as TFX does; only the reading is ours."""

    def GetInputSourceToExamplePTransform(self) -> beam.PTransform:
        """The reader of one input split."""
        return _shards_to_examples

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See TFX's; the artifact also tells how many rows were read."""
        super().Do(input_dict, output_dict, exec_properties)
        counters = self._pipeline.result.metrics().query(MetricsFilter().with_name(ROWS_READ))
        rows = sum(counter.result for counter in counters["counters"])
        for artifact in output_dict["examples"]:
            artifact.set_int_custom_property(ROWS_READ, rows)

    def _make_beam_pipeline(self) -> beam.Pipeline:
        # The counters can be asked for only after the run, through the pipeline that ran.
        self._pipeline = super()._make_beam_pipeline()
        return self._pipeline


class ShardExampleGen(FileBasedExampleGen):
    """Ingests TFRecord shards, plain or gzip, and splits them by hash into train and eval.

    Args:
      folder: where the shards lie.
      pattern: which of its files are shards.
      eval_percent: share of the records that becomes the eval split.
      custom_config: `sequence` is the `SequenceSpec` as a dictionary; whatever else it holds makes
        part of the cache key.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self, folder: str, *, pattern: str, eval_percent: int, custom_config: Mapping[str, Any]
    ) -> None:
        split = example_gen_pb2.SplitConfig.Split
        super().__init__(
            input_base=folder,
            input_config=example_gen_pb2.Input(
                splits=[example_gen_pb2.Input.Split(name="all", pattern=pattern)]
            ),
            output_config=example_gen_pb2.Output(
                split_config=example_gen_pb2.SplitConfig(
                    splits=[
                        split(name="train", hash_buckets=100 - eval_percent),
                        split(name="eval", hash_buckets=eval_percent),
                    ]
                )
            ),
            custom_config=pack_config(custom_config),
        )


def pack_config(config: Mapping[str, Any]) -> example_gen_pb2.CustomConfig:
    """Puts a JSON-able configuration into the message that ExampleGen carries."""
    packed = example_gen_pb2.CustomConfig()
    # As text: protobuf's own Struct would turn whole numbers into floating point.
    packed.custom_config.Pack(StringValue(value=json.dumps(config, sort_keys=True)))
    return packed


def unpack_config(text: str) -> dict[str, Any]:
    """Reads what `pack_config` packed, from the JSON that TFX hands to an executor."""
    packed, value = example_gen_pb2.CustomConfig(), StringValue()
    proto_utils.json_to_proto(text, packed)
    packed.custom_config.Unpack(value)
    return json.loads(value.value)
