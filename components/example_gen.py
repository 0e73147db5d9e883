"""ExampleGen for TFRecord shards: finds the span, ingests it, and tells what became of its rows."""

import glob
import json
from collections.abc import Mapping
from pathlib import Path
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
from tfx.types.component_spec import ChannelParameter
from tfx.utils import io_utils, proto_utils

from components import spans
from components.artifacts import ROWS_READ, QuarantineArtifact
from components.ingest import SPLITS, Ingest, ReadShard
from components.quarantine import REPORT_FILE, Report
from transform.features import SequenceSpec


class Driver(FileBasedDriver):
    """Finds the span; what follows, outputs with `span` and `version` and the cache, is TFX's."""

    def resolve_exec_properties(
        self, exec_properties: dict[str, Any], pipeline_info: Any, component_info: Any
    ) -> dict[str, Any]:
        """See TFX's.

        Raises:
          InputError: the span is not there or not complete.
        """
        config = unpack_config(exec_properties["custom_config"])
        if "span" not in config:
            return super().resolve_exec_properties(exec_properties, pipeline_info, component_info)
        base, given = exec_properties["input_base"], example_gen_pb2.Input()
        proto_utils.json_to_proto(exec_properties["input_config"], given)
        path = f"{base}/{config['span']['pattern']}"
        found = spans.find(path, **config["span"]["complete"])
        number, version, folder = spans.select(path, found, config["span"]["wanted"])
        fingerprints = []
        for split in given.splits:
            below = split.pattern.removeprefix(config["span"]["pattern"])
            split.pattern = f"{glob.escape(str(folder.relative_to(base)))}{below}"
            files = f"{glob.escape(base)}/{split.pattern}"
            fingerprints.append(io_utils.generate_fingerprint(split.name, files))
        return exec_properties | {
            "input_config": proto_utils.proto_to_json(given),
            "input_fingerprint": "\n".join(fingerprints),
            "span": number,
            "version": version,
        }


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
        with fileio.open(f"{quarantine.uri}/{REPORT_FILE}") as file:
            report = Report.model_validate_json(file.read())
        examples.set_int_custom_property(ROWS_READ, report.rows_in)
        examples_utils.set_payload_format(examples, exec_properties["output_data_format"])
        examples_utils.set_file_format(examples, to_file_format_str(exec_properties["output_file_format"]))


class ShardExampleGenSpec(standard_component_specs.FileBasedExampleGenSpec):
    """As TFX's file based ExampleGen, and the quarantine."""

    OUTPUTS = standard_component_specs.FileBasedExampleGenSpec.OUTPUTS | {
        "quarantine": ChannelParameter(type=QuarantineArtifact),
    }


class ShardExampleGen(base_beam_component.BaseBeamComponent):
    """Ingests one span of TFRecord shards, plain or gzip, into splits train and eval.

    Args:
      path: the folder of the shards; with placeholders (`components.spans`), of each span.
      pattern: which of its files are shards.
      eval_percent: share of the records that becomes the eval split, by a hash of the record; None
        where the folder holds `train/` and `eval/`.
      span: a number or `latest`, for a path with placeholders.
      complete: when a span is complete, see `components.spans.find`.
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
        config = dict(custom_config)
        base, below = Path(path), ""
        if spans.is_pattern(path):
            base, names = spans.split_pattern(path)
            below = "/".join(names)
            config["span"] = {"pattern": below, "wanted": span, "complete": dict(complete or {})}
        spec = ShardExampleGenSpec(
            input_base=str(base),
            input_config=_input(f"{below}/".lstrip("/"), pattern, by_hash=eval_percent is not None),
            output_config=_output(eval_percent),
            custom_config=pack_config(config),
            output_data_format=example_gen_pb2.FORMAT_TF_EXAMPLE,
            output_file_format=example_gen_pb2.FORMAT_TFRECORDS_GZIP,
            examples=types.Channel(type=standard_artifacts.Examples),
            quarantine=types.Channel(type=QuarantineArtifact),
        )
        super().__init__(spec=spec)


def _input(below: str, pattern: str, *, by_hash: bool) -> example_gen_pb2.Input:
    split = example_gen_pb2.Input.Split
    if by_hash:
        return example_gen_pb2.Input(splits=[split(name="all", pattern=f"{below}{pattern}")])
    return example_gen_pb2.Input(
        splits=[split(name=name, pattern=f"{below}{name}/{pattern}") for name in SPLITS]
    )


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
