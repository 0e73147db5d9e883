"""ExampleGen for TFRecord shards: finds the span, ingests it, and tells what became of its rows."""

import glob
import json
from collections.abc import Mapping
from typing import Any

from google.protobuf.wrappers_pb2 import StringValue
from tfx import types
from tfx.components.example_gen.driver import FileBasedDriver
from tfx.components.example_gen.write_split import to_file_format_str
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter, ExecutionParameter
from tfx.utils import io_utils, proto_utils

from maskline.components.artifacts import QuarantineArtifact
from maskline.components.ingest import spans
from maskline.components.ingest.beam import Ingest, ReadShard
from maskline.components.ingest.quarantine import Report
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec
from maskline.transform.names import QUARANTINE_REPORT_FILE, ROWS_READ, SPLITS

# The parameter that says which span to ingest; `span` is what the driver found.
WANTED_SPAN = "wanted_span"


class Driver(FileBasedDriver):
    """Finds the span and its shards; what follows, outputs with `span` and `version` and the cache, is TFX's.

    It looks when the node runs: on a cluster nothing else stands before that, and a run's parameters may name
    another place or span than the settings.
    """

    def resolve_exec_properties(
        self, exec_properties: dict[str, Any], pipeline_info: Any, component_info: Any
    ) -> dict[str, Any]:
        """See TFX's.

        Raises:
          InputError: the span is not there or not complete, no shard is, or the data are in no volume.
        """
        path, wanted = exec_properties["input_base"], exec_properties[WANTED_SPAN]
        if "://" in path:
            raise InputError(
                f"{path}: shards are read from a volume; mount the bucket as one, or copy the shards there"
            )
        number, version, folder = 0, None, path
        if spans.is_pattern(path):
            complete = unpack_config(exec_properties["custom_config"])["complete"]
            number, version, folder = _select(path, wanted, complete)
            # By its number, so that a span that was ingested as the latest comes from the cache later on.
            wanted = str(number)
        elif wanted != spans.LATEST:
            raise InputError(
                f"span {wanted} was asked for; that needs a path with {{SPAN}} or {{YYYY}}-{{MM}}-{{DD}}, "
                f"and it is {path}"
            )
        given = example_gen_pb2.Input()
        proto_utils.json_to_proto(exec_properties["input_config"], given)
        return exec_properties | {
            "input_base": folder,
            WANTED_SPAN: wanted,
            "input_fingerprint": "\n".join(_fingerprint(folder, split) for split in given.splits),
            "span": number,
            "version": version,
        }


def _select(path: str, wanted: str, complete: Mapping[str, Any]) -> tuple[int, int, str]:
    if problem := spans.pattern_problem(path):
        raise InputError(f"{path}: {problem}")
    span = spans.select(path, spans.find(path, **complete), wanted)
    return span.number, span.version, str(span.folder)


def _fingerprint(folder: str, split: example_gen_pb2.Input.Split) -> str:
    files = f"{glob.escape(folder)}/{split.pattern}"
    if not fileio.glob(files):
        if not fileio.isdir(folder):
            raise InputError(f"{folder}: no such data directory")
        raise InputError(f"{folder}: no shard matches '{split.pattern}' (data.pattern)")
    return io_utils.generate_fingerprint(split.name, files)


class Executor(base_beam_executor.BaseBeamExecutor):
    """Writes the examples as TFX does, and the quarantine beside them."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Ingests one span.

        Raises:
          InputError: a shard cannot be read to its end, and `on_corrupt` is `fail`.
          RuntimeError: rows read and rows written do not agree.
        """
        [examples], [quarantine] = output_dict["examples"], output_dict["quarantine"]
        config = unpack_config(exec_properties["custom_config"])
        given, wanted = example_gen_pb2.Input(), example_gen_pb2.Output()
        proto_utils.json_to_proto(exec_properties["input_config"], given)
        proto_utils.json_to_proto(exec_properties["output_config"], wanted)
        by_hash = {split.name: split.hash_buckets for split in wanted.split_config.splits}
        span, version = exec_properties["span"], exec_properties.get("version") or 0
        # TFX writes custom properties of these names, and reads the properties, which would be 0.
        for artifact in (examples, quarantine):
            artifact.span, artifact.version = span, version
        reader = ReadShard(
            SequenceSpec.model_validate(config["sequence"]),
            train_percent=by_hash.get("train", 0),
            keep_readable=config["on_corrupt"] == "quarantine",
        )
        patterns = {
            "" if by_hash else split.name: f"{glob.escape(exec_properties['input_base'])}/{split.pattern}"
            for split in given.splits
        }
        examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
        folders = {split: artifact_utils.get_split_uri([examples], split) for split in SPLITS}
        fileio.makedirs(quarantine.uri)
        with self._make_beam_pipeline() as pipeline:
            known = {"span": span, "version": version}
            _ = pipeline | Ingest(reader, patterns, folders, quarantine.uri, known)
        with fileio.open(f"{quarantine.uri}/{QUARANTINE_REPORT_FILE}") as file:
            report = Report.model_validate_json(file.read())
        examples.set_int_custom_property(ROWS_READ, report.rows_in)
        examples_utils.set_payload_format(examples, exec_properties["output_data_format"])
        examples_utils.set_file_format(examples, to_file_format_str(exec_properties["output_file_format"]))


class ShardExampleGenSpec(standard_component_specs.FileBasedExampleGenSpec):
    """As TFX's file based ExampleGen, the span that is asked for, and the quarantine."""

    PARAMETERS = standard_component_specs.FileBasedExampleGenSpec.PARAMETERS | {
        WANTED_SPAN: ExecutionParameter(type=str),
    }
    OUTPUTS = standard_component_specs.FileBasedExampleGenSpec.OUTPUTS | {
        "quarantine": ChannelParameter(type=QuarantineArtifact),
    }


class ShardExampleGen(base_beam_component.BaseBeamComponent):
    """Ingests one span of TFRecord shards, plain or gzip, into splits train and eval.

    Args:
      path: the folder of the shards; with placeholders (`maskline.components.ingest.spans`), of each span.
      pattern: which of its files are shards.
      eval_percent: share of the records that becomes the eval split, by a hash of the record; None
        where the folder holds `train/` and `eval/`.
      span: a number, a date or `latest`, for a path with placeholders.
      complete: when a span is complete, see `maskline.components.ingest.spans.find`.
      custom_config: `sequence` is the `SequenceSpec` as a dictionary, `on_corrupt` says what a damaged
        shard does, `fail` or `quarantine`; whatever else it holds makes part of the cache key.

    Outputs:
      `examples`, with splits train and eval; `quarantine`, the rows that were set aside, and the report.
    """

    SPEC_CLASS = ShardExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
    DRIVER_CLASS = Driver

    def __init__(
        self,
        path: str,
        *,
        pattern: str,
        eval_percent: int | None,
        custom_config: Mapping[str, Any],
        span: int | str = spans.LATEST,
        complete: Mapping[str, Any] | None = None,
    ) -> None:
        spec = ShardExampleGenSpec(
            input_base=path,
            input_config=_input(pattern, by_hash=eval_percent is not None),
            output_config=_output(eval_percent),
            custom_config=pack_config({**custom_config, "complete": dict(complete or {})}),
            output_data_format=example_gen_pb2.FORMAT_TF_EXAMPLE,
            output_file_format=example_gen_pb2.FORMAT_TFRECORDS_GZIP,
            examples=types.Channel(type=standard_artifacts.Examples),
            quarantine=types.Channel(type=QuarantineArtifact),
            **{WANTED_SPAN: str(span)},
        )
        super().__init__(spec=spec)


def _input(pattern: str, *, by_hash: bool) -> example_gen_pb2.Input:
    split = example_gen_pb2.Input.Split
    if by_hash:
        return example_gen_pb2.Input(splits=[split(name="all", pattern=pattern)])
    return example_gen_pb2.Input(splits=[split(name=name, pattern=f"{name}/{pattern}") for name in SPLITS])


def _output(eval_percent: int | None) -> example_gen_pb2.Output:
    if eval_percent is None:
        return example_gen_pb2.Output()
    split = example_gen_pb2.SplitConfig.Split
    buckets = [
        split(name="train", hash_buckets=100 - eval_percent),
        split(name="eval", hash_buckets=eval_percent),
    ]
    return example_gen_pb2.Output(split_config=example_gen_pb2.SplitConfig(splits=buckets))


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
