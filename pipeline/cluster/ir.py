"""Compiles the pipeline to TFX's own IR, as the nodes on a cluster read it. Knows nothing of Kubeflow."""

import hashlib
import shutil
import tempfile
from pathlib import Path

from google.protobuf import json_format
from tfx.dsl.compiler.compiler import Compiler
from tfx.proto.orchestration import pipeline_pb2

from maskline.components.ingest import spans
from maskline.pipeline.cluster import buckets
from maskline.pipeline.dag import create_pipeline
from maskline.pipeline.engines.check import check_shared
from maskline.pipeline.local import inputs
from maskline.pipeline.settings.cluster import ClusterSettings
from maskline.pipeline.settings.sections import Settings
from maskline.transform import own_code
from maskline.transform.errors import InputError
from maskline.transform.names import RUN_ID_PARAMETER

IR_FILE = "pipeline.ir.json"
CODE = "code"  # folder of the user's own functions, which node.py lets Python import from
_RUNS_HERE = ("FnApiRunner", "DirectRunner")
_TYPES = {
    "string_value": pipeline_pb2.RuntimeParameter.STRING,
    "int_value": pipeline_pb2.RuntimeParameter.INT,
    "double_value": pipeline_pb2.RuntimeParameter.DOUBLE,
}


def compile_ir(settings: Settings) -> tuple[str, dict[str, str]]:
    """Compiles the pipeline for the cluster's paths.

    Args:
      settings: the run's settings; `cluster` says where things lie there.

    Returns:
      the IR as JSON, the same for the same settings and source; and the files that it needs beside it
      in the image, by name.

    Raises:
      InputError: the schema is wrong, or a setting names a node or parameter that is not there.
    """
    _check_spans(settings)
    _check_engine(settings)
    schema = inputs.read_schema(settings.data.schema_file, settings.sequence)
    schema_name = f"schema-{hashlib.sha256(schema.encode()).hexdigest()[:16]}.pbtxt"
    with tempfile.TemporaryDirectory() as folder:
        # TFX makes directories while it compiles, so it compiles for paths of this machine. Those of the
        # cluster, which may be URLs, take their place in the text.
        root, data, bundle = (str(Path(folder, name)) for name in ("root", "data", "bundle"))
        base, below = _parted(settings.cluster.data)
        local = settings.model_copy(
            update={"root": Path(root), "data": settings.data.model_copy(update={"path": Path(data, below)})}
        )
        window = settings.data.window if settings.data.window > 1 else 0
        pipeline = create_pipeline(local, schema_file=f"{bundle}/{schema_name}", window=window)
        # The store's address and credentials reach a node by its arguments and environment.
        pipeline.metadata_connection_config = None
        text = to_json(Compiler().compile(pipeline))
    cluster = settings.cluster
    artifacts = f"{root}/artifacts"  # before the root that it begins with
    places = (artifacts, cluster.artifacts), (root, cluster.root), (data, base)
    for here, there in (*places, (bundle, cluster.bundle)):
        text = text.replace(here, there.rstrip("/"))
    ir = json_format.Parse(text, pipeline_pb2.Pipeline())
    _declare_parameters(ir, cluster)
    _check_conditions(ir)
    return to_json(ir), {schema_name: schema, **_own_code(settings)}


def _own_code(settings: Settings) -> dict[str, str]:
    """The source of the user's own functions, by its place in the bundle."""
    found = [own_code.files(path, key) for key, path in settings.functions.items()]
    return {f"{CODE}/{name}": text for source in found for name, text in source.items()}


def _check_spans(settings: Settings) -> None:
    """What a laptop looks at before a run, nothing looks at here: no program stands before the nodes."""
    data, place = settings.data, settings.cluster.data
    if not spans.is_pattern(place) and (data.window > 1 or data.span != spans.LATEST):
        asked = "window" if data.window > 1 else "span"
        raise InputError(
            f"cluster.data: data.{asked} needs a path with {{SPAN}} or {{YYYY}}-{{MM}}-{{DD}}; it is {place}"
        )
    if data.window > 1 and not data.allow_fewer:
        raise InputError(
            "data.window: on a cluster, each run ingests one span, and the ones before it are those that "
            "earlier runs ingested, which may be fewer; set data.allow_fewer=true"
        )


def _parted(place: str) -> tuple[str, str]:
    """The cluster's path of the data: the folder that exists, and what stands for spans below it."""
    if not spans.is_pattern(place):
        return place, ""
    base, names = spans.split_pattern(place)
    return str(base), "/".join(names)


def to_json(ir: pipeline_pb2.Pipeline) -> str:
    """The IR as text, the same bytes for the same content."""
    return json_format.MessageToJson(ir, sort_keys=True, indent=1) + "\n"


def ir_digest(text: str) -> str:
    """What a node checks the IR in its image against."""
    return hashlib.sha256(text.encode()).hexdigest()


def write_bundle(folder: Path, ir_text: str, files: dict[str, str]) -> None:
    """Writes what the image holds in its bundle."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / CODE, ignore_errors=True)  # that of an earlier bundle
    for name, text in {IR_FILE: ir_text, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def nodes_of(ir: pipeline_pb2.Pipeline) -> dict[str, pipeline_pb2.PipelineNode]:
    """The nodes by id, in the order in which they can run."""
    return {node.pipeline_node.node_info.id: node.pipeline_node for node in ir.nodes}


def runtime_parameters(ir: pipeline_pb2.Pipeline) -> dict[str, pipeline_pb2.RuntimeParameter]:
    """The parameters that a run can be given, by name; without the run's id."""
    found = {
        value.runtime_parameter.name: value.runtime_parameter
        for node in nodes_of(ir).values()
        for value in node.parameters.parameters.values()
        if value.WhichOneof("value") == "runtime_parameter"
    }
    found.pop(RUN_ID_PARAMETER, None)
    return found


def _declare_parameters(ir: pipeline_pb2.Pipeline, settings: ClusterSettings) -> None:
    """Turns constants of the IR into runtime parameters, with the constants as defaults."""
    nodes = nodes_of(ir)
    for name, place in settings.parameters.items():
        node, _, key = place.partition(".")
        if node not in nodes:
            raise InputError(f"cluster.parameters.{name}: no node '{node}'; there are {', '.join(nodes)}")
        values = nodes[node].parameters.parameters
        if key not in values:
            known = ", ".join(sorted(values))
            raise InputError(f"cluster.parameters.{name}: {node} has no parameter '{key}', but {known}")
        constant = values[key].field_value
        parameter = pipeline_pb2.RuntimeParameter(
            name=name, type=_TYPES[constant.WhichOneof("value")], default_value=constant
        )
        values[key].runtime_parameter.CopyFrom(parameter)
    if unknown := sorted(set(settings.nodes) - set(nodes)):
        raise InputError(f"cluster.nodes.{unknown[0]}: no such node; there are {', '.join(nodes)}")


def _check_engine(settings: Settings) -> None:
    """Workers of an engine see what the nodes see: a volume, and neither a pod's disk nor a laptop's."""
    beam, cluster = settings.beam, settings.cluster
    given = [argument for argument in beam.args if argument.startswith("--runner=")]
    elsewhere = [f"beam.engine={beam.engine}"] if beam.engine != "local" else given
    if buckets.is_bucket(cluster.artifacts) and any(
        name.removeprefix("--runner=") not in _RUNS_HERE for name in elsewhere
    ):
        raise InputError(
            f"beam: {elsewhere[0]} works on machines that do not see a pod's disk; with a bucket as "
            "cluster.pipeline_root use beam.engine=local, or lay the artifacts in a volume"
        )
    places = {"cluster.root": cluster.root, "cluster.data": _parted(cluster.data)[0]}
    check_shared(beam, {name: Path(place) for name, place in places.items()})


def _check_conditions(ir: pipeline_pb2.Pipeline) -> None:
    """A skipped node makes nothing, so a node that reads from it fails unless it is skipped as well."""
    nodes = nodes_of(ir)
    for name, node in nodes.items():
        for upstream in node.upstream_nodes:
            missing = set(nodes[upstream].inputs.conditionals) - set(node.inputs.conditionals)
            if missing:
                raise InputError(
                    f"{name} reads from {upstream}, which a condition may skip; put {name} inside it"
                )
