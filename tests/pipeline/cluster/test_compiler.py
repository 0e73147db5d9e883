"""From settings to what Kubeflow Pipelines takes: golden document, one task a node, the backend's traps."""

import json
import os
import re
from pathlib import Path

import pytest
import yaml
from google.protobuf import json_format
from tfx import types
from tfx.components import StatisticsGen
from tfx.dsl.compiler.compiler import Compiler
from tfx.dsl.components.common.importer import Importer
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.experimental.conditionals import conditional
from tfx.dsl.input_resolution.strategies.latest_artifact_strategy import LatestArtifactStrategy
from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import (
    KubeflowV2DagRunner,
    KubeflowV2DagRunnerConfig,
)
from tfx.orchestration.pipeline import Pipeline
from tfx.proto.orchestration import pipeline_pb2
from tfx.types import standard_artifacts

from maskline.components.artifacts import VerdictArtifact
from maskline.pipeline.cluster.compiler import Compiled, compile_pipeline
from maskline.pipeline.cluster.grouping import task_names
from maskline.pipeline.cluster.ir import _check_conditions, nodes_of
from maskline.pipeline.cluster.rules import document_problems
from maskline.pipeline.cluster.spec import make_document
from maskline.pipeline.settings.cluster import ClusterSettings, NodeSettings
from maskline.pipeline.settings.load import load
from maskline.transform.errors import InputError
from tests.support import REPOSITORY

GOLDEN = Path(__file__).parent / "golden" / "kubeflow.yaml"
SPARK = (
    "beam.engine=spark", "beam.job_endpoint=jobs:8099", "beam.environment=external:localhost:50000",
    "beam.shared_storage=[/mnt/maskline]",
)  # fmt: skip
IMAGE = "registry.example/maskline@sha256:" + "0" * 64


def compiled_with(*overrides: str) -> Compiled:
    return compile_pipeline(load(REPOSITORY / "maskline.yaml", [f"cluster.image={IMAGE}", *overrides]))


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return compiled_with("cluster.grouping=node")


@pytest.fixture(scope="module")
def document(compiled) -> str:
    return compiled.document()


@pytest.fixture(scope="module")
def spec(document) -> dict:
    return next(yaml.safe_load_all(document))


@pytest.fixture(scope="module")
def pods(document) -> dict:
    return list(yaml.safe_load_all(document))[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


@pytest.fixture(scope="module")
def nodes(compiled) -> dict[str, pipeline_pb2.PipelineNode]:
    return nodes_of(json_format.Parse(compiled.ir, pipeline_pb2.Pipeline()))


def test_document_of_the_default_settings_is_the_golden_file():
    compiled = compiled_with()
    # The digest changes with every edit of the source behind a node.
    text = compiled.document().replace(compiled.digest, "<sha256 of the compiled pipeline>")
    if os.environ.get("MASKLINE_GOLDEN") == "write":
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), "if it is meant: MASKLINE_GOLDEN=write pytest, and read the diff"


def test_every_node_is_one_container_task_with_the_same_edges(spec, nodes, compiled):
    tasks = spec["root"]["dag"]["tasks"]
    edges = {name: set(task.get("dependentTasks", [])) for name, task in tasks.items()}
    names = task_names(nodes)
    assert edges == {
        names[node_id]: {names[upstream] for upstream in node.upstream_nodes}
        for node_id, node in nodes.items()
    }
    assert compiled.tasks == {name: [node_id] for node_id, name in names.items()}
    executors = spec["deploymentSpec"]["executors"]
    assert len(executors) == len(tasks) == len(nodes) > 8
    assert all(list(executor) == ["container"] for executor in executors.values())
    assert spec["schemaVersion"] == "2.1.0"
    ran = [c["container"]["args"][c["container"]["args"].index("--node") + 1] for c in executors.values()]
    assert sorted(ran) == sorted(nodes)


def test_nodes_of_a_stage_share_a_task(nodes):
    compiled = compiled_with()  # the default
    document = compiled.document()
    assert document_problems(document) == []
    spec, _ = yaml.safe_load_all(document)
    tasks = spec["root"]["dag"]["tasks"]
    edges = {name: task.get("dependentTasks", []) for name, task in tasks.items()}
    assert edges == {"ingest": [], "train": ["ingest"], "release": ["ingest", "train"]}
    ran = []
    for name in tasks:
        container = spec["deploymentSpec"]["executors"][f"exec-{name}"]["container"]
        args = container["args"]
        own = [args[i + 1] for i, argument in enumerate(args) if argument == "--node"]
        assert own == compiled.tasks[name]
        ran += own
        memory = container["resources"]["resourceMemoryLimit"]
        assert memory == ("8Gi" if "Trainer" in own else "4Gi"), "the most that one of its nodes asks for"
    assert sorted(ran) == sorted(nodes), "each once"
    order = list(nodes)
    for own in compiled.tasks.values():
        assert own == sorted(own, key=order.index), "in an order in which they can run"
    assert set(tasks["ingest"]["inputs"]["parameters"]) == {"run-id", "data", "span"}
    assert set(tasks["train"]["inputs"]["parameters"]) == {"run-id"}


@pytest.mark.parametrize(
    ("nodes", "problem"),
    [
        (
            {"Evaluator": {"node_selector": {"a": "1"}}, "Pusher": {"node_selector": {"a": "2"}}},
            "a=2, but a node",
        ),
        ({"Evaluator": {"accelerator": "x/a"}, "Pusher": {"accelerator": "x/b"}}, "x/a and x/b in one task"),
    ],
)
def test_nodes_of_a_stage_that_exclude_each_other_are_refused(nodes, problem):
    with pytest.raises(InputError, match=problem):
        compiled_with(f"cluster.nodes={json.dumps(nodes)}").document()


def test_the_backend_would_take_it(document):
    assert document_problems(document) == []


def test_pods_run_as_the_user_and_group_that_can_write_to_the_volume(pods):
    own = {"runAsUser": "10001", "runAsGroup": "10001", "runAsNonRoot": True}
    assert all(pod["securityContext"] == own for pod in pods.values())
    ir = {"nodes": [{"pipelineNode": {"nodeInfo": {"id": "A"}}}]}
    text = make_document(ir, ClusterSettings(image=IMAGE, user=0, group=0), name="p", ir_digest="d")
    [pod] = list(yaml.safe_load_all(text))[1]["platforms"]["kubernetes"]["deploymentSpec"][
        "executors"
    ].values()
    assert pod["securityContext"] == {"runAsNonRoot": True}, "the cluster chooses"


def test_image_command_and_digest_are_in_every_container(spec, compiled):
    for executor in spec["deploymentSpec"]["executors"].values():
        container = executor["container"]
        assert container["image"] == IMAGE
        assert container["command"] == ["python", "/opt/maskline/node.py"], "ENTRYPOINT is not used"
        arguments = dict(zip(container["args"][::2], container["args"][1::2], strict=True))
        assert arguments["--sha256"] == compiled.digest
        assert arguments["--run-id"] == "{{$.inputs.parameters['run-id']}}"


def test_run_id_is_a_task_input_and_the_backends_cache_is_off(spec):
    for task in spec["root"]["dag"]["tasks"].values():
        assert task["inputs"]["parameters"]["run-id"]["runtimeValue"]["constant"] == "{{$.pipeline_job_uuid}}"
        assert task["cachingOptions"] == {}, "false is left out in proto's JSON"


def test_resources_secrets_mounts_and_placement_are_as_set():
    settings = ClusterSettings(
        image=IMAGE,
        volumes={"claim-a": "/a", "claim-b": "/b"},
        secrets=[{"secret": "s3", "key": "id", "env": "AWS_ACCESS_KEY_ID"}],
        grouping="node",
        node=NodeSettings(cpu="500m", retries=0),
        nodes={
            "Trainer": {
                "memory": "16Gi",
                "accelerator": "nvidia.com/gpu",
                "accelerators": 2,
                "retries": 5,
                "node_selector": {"pool": "gpu"},
                "tolerations": [{"key": "gpu", "effect": "NoSchedule"}],
            }
        },
    )
    ir = {"nodes": [{"pipelineNode": {"nodeInfo": {"id": name}}} for name in ("Trainer", "Pusher")]}
    text = make_document(ir, settings, name="p", ir_digest="d")
    assert document_problems(text) == []
    spec, platform = yaml.safe_load_all(text)
    executors = spec["deploymentSpec"]["executors"]
    trainer, pusher = (executors[f"exec-{n}"]["container"]["resources"] for n in ("trainer", "pusher"))
    assert (trainer["resourceCpuLimit"], trainer["resourceMemoryRequest"]) == ("500m", "16Gi")
    assert (trainer["cpuLimit"], round(trainer["memoryLimit"], 2)) == (0.5, 17.18)
    assert trainer["accelerator"]["resourceType"] == "nvidia.com/gpu"
    assert trainer["accelerator"]["resourceCount"] == "2"
    assert "accelerator" not in pusher
    tasks = spec["root"]["dag"]["tasks"]
    assert tasks["trainer"]["retryPolicy"]["maxRetryCount"] == 5
    assert "retryPolicy" not in tasks["pusher"]
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    pod = pods["exec-trainer"]
    assert pod["nodeSelector"] == {"labels": {"pool": "gpu"}}
    assert pod["tolerations"] == [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert [(m["constant"], m["mountPath"]) for m in pod["pvcMount"]] == [
        ("claim-a", "/a"),
        ("claim-b", "/b"),
    ]
    env = {pair["envVar"]: (s["secretName"], pair["secretKey"])
           for s in pod["secretAsEnv"] for pair in s["keyToEnv"]}  # fmt: skip
    assert env["AWS_ACCESS_KEY_ID"] == ("s3", "id")
    assert executors["exec-pusher"]["container"]["args"][-2:] == ["--secret", "AWS_ACCESS_KEY_ID"]
    assert env["MASKLINE_METADATA_PASSWORD"] == ("maskline-metadata", "password")
    assert "nodeSelector" not in pods["exec-pusher"]


def test_no_secret_and_no_store_in_ir_or_document(compiled, document):
    assert "connection" not in compiled.ir.lower()
    assert "sqlite" not in compiled.ir
    assert "postgresql://maskline-metadata:5432/maskline" in document, "without user and password"


def test_ir_knows_the_cluster_s_paths_and_none_of_this_machine(compiled):
    assert "/tmp" not in compiled.ir
    # From its beginning: a checkout may have a name that a path of the cluster ends with.
    assert f'"{REPOSITORY}' not in compiled.ir
    for path in ("/mnt/maskline/data", "/mnt/maskline/root/artifacts", "/mnt/maskline/root/serving/maskline"):
        assert path in compiled.ir
    [schema] = compiled.files
    assert f"/opt/maskline/bundle/{schema}" in compiled.ir


def test_compiling_twice_gives_the_same_bytes(compiled):
    assert compiled_with().ir == compiled.ir


@pytest.mark.parametrize("bucket", ["gs://bucket/maskline/", "s3://bucket"])
def test_pipeline_root_may_be_a_bucket_and_what_needs_a_volume_stays_in_it(bucket):
    compiled = compiled_with(f"cluster.pipeline_root={bucket}")
    assert f'"{bucket.rstrip("/")}"' in compiled.ir
    assert "/mnt/maskline/root/artifacts" not in compiled.ir
    for place in ("serving/maskline", "checkpoints"):
        assert f"/mnt/maskline/root/{place}" in compiled.ir
    assert document_problems(compiled.document()) == []


def test_parameter_of_a_run_is_declared_with_type_and_default(spec, compiled, nodes):
    assert spec["root"]["inputDefinitions"]["parameters"] == {
        "data": {"parameterType": "STRING", "defaultValue": "/mnt/maskline/data"},
        "span": {"parameterType": "STRING", "defaultValue": "latest"},
    }
    given = spec["root"]["dag"]["tasks"]["example-gen"]["inputs"]["parameters"]
    assert given["data"] == {"componentInputParameter": "data"}
    assert nodes["ExampleGen"].parameters.parameters["input_base"].runtime_parameter.name == "data"


WINDOW = "maskline.components.resolvers.spans.WindowStrategy"
SPANS = ("data.path='exports/{SPAN}'", "cluster.data=/mnt/maskline/exports/{SPAN}/v{VERSION}")


def test_spans_and_a_window_of_them_are_found_when_the_nodes_run():
    compiled = compiled_with(*SPANS, "data.span=7", "data.window=3", "data.allow_fewer=true")
    document = compiled.document()
    assert document_problems(document) == []
    assert next(yaml.safe_load_all(document))["root"]["inputDefinitions"]["parameters"] == {
        "data": {"parameterType": "STRING", "defaultValue": "/mnt/maskline/exports/{SPAN}/v{VERSION}"},
        "span": {"parameterType": "STRING", "defaultValue": "7"},
    }
    nodes = nodes_of(json_format.Parse(compiled.ir, pipeline_pb2.Pipeline()))
    assert list(nodes)[list(nodes).index("Window") + 1] == "Transform"
    [graph] = nodes["Window"].inputs.input_graphs.values()
    [strategy] = [n.op_node for n in graph.nodes.values() if n.op_node.op_type == WINDOW]
    assert {key: value.value.field_value.int_value for key, value in strategy.kwargs.items()} == {"size": 3}
    assert {"ExampleGen", "Accepted"} <= set(nodes["Window"].upstream_nodes)


def test_whole_number_stays_one():
    parameter = {"name": "span", "type": "INT", "defaultValue": {"intValue": "7"}}
    given = {"parameters": {"x": {"runtimeParameter": parameter}}}
    ir = {"nodes": [{"pipelineNode": {"nodeInfo": {"id": "A"}, "parameters": given}}]}
    text = make_document(ir, ClusterSettings(image=IMAGE), name="p", ir_digest="d")
    assert next(yaml.safe_load_all(text))["root"]["inputDefinitions"]["parameters"]["span"] == {
        "parameterType": "NUMBER_INTEGER", "defaultValue": 7
    }  # fmt: skip


def test_retries_outlive_an_hour(spec):
    """The SDK caps the duration at 3600 s, and Argo ends a retried pod when it is over."""
    from kfp.dsl.structures import RetryPolicy

    capped = RetryPolicy(max_retry_count=2, backoff_max_duration="604800s").to_proto()
    assert capped.backoff_max_duration.seconds == 3600
    for task in spec["root"]["dag"]["tasks"].values():
        assert task["retryPolicy"]["backoffMaxDuration"] == "604800s"


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (["cluster.image=maskline:latest"], "name the image by digest"),
        (["cluster.nodes={Trainr: {cpu: '4'}}"], "cluster.nodes.Trainr: no such node; there are ExampleGen"),
        (["cluster.nodes={Trainer: {cpus: 4}}"], "no such setting; did you mean cpu?"),
        (["cluster.parameters={x: Nobody.y}"], "cluster.parameters.x: no node 'Nobody'"),
        (["cluster.parameters={x: Trainer.y}"], "cluster.parameters.x: Trainer has no parameter 'y', but "),
        (["cluster.schedule.cron='0 3 * * *'"], "write six fields"),
        (["cluster.node.memory=lots"], "cluster.node.memory: 'lots' is not allowed"),
        (["cluster.secrets=[{secret: A_B, key: k, env: E}]"], "cluster.secrets.0.secret: 'A_B'"),
        ([*SPANS, "data.window=2"], "which may be fewer; set data.allow_fewer=true"),
        ((SPANS[0], "data.span=2"), "cluster.data: data.span needs a path with {SPAN} or {YYYY}-"),
        ((SPANS[0], "data.window=2"), "cluster.data: data.window needs a path with {SPAN} or {YYYY}-"),
        (["cluster.data=gs://b/{SPAN}"], "spans are looked for in a mounted folder, not at a URL"),
        (["cluster.data=gs://bucket/x"], "cluster.data: 'gs://bucket/x': shards are read from a volume"),
        (["cluster.root=s3://bucket/x"], "cluster.root: 's3://bucket/x': released models and"),
        (["cluster.root=root"], "cluster.root: 'root': write an absolute path"),
        (
            ["cluster.pipeline_root=s3://b", "beam.args=[--runner=FlinkRunner]"],
            "beam: --runner=FlinkRunner works on machines that do not see a pod's disk",
        ),
        (
            [*SPARK, "cluster.pipeline_root=s3://b"],
            "beam: beam.engine=spark works on machines that do not see a pod's disk",
        ),
        (
            [*SPARK, "beam.shared_storage=[/mnt/other]"],
            "cluster.root: /mnt/maskline/root is not a path on a worker: beam.engine=spark",
        ),
        (["cluster.pipeline_root=s3://"], "cluster.pipeline_root: 's3://' is not allowed"),
        (["cluster.metadata.kind=sqlite"], "cluster.metadata.kind: 'sqlite' is not allowed"),
    ],
)
def test_mistake_in_the_settings_is_one_line(overrides, problem):
    with pytest.raises(InputError, match=re.escape(problem)):
        compiled_with(*overrides)


def test_an_engine_s_options_reach_the_nodes_that_use_beam():
    ir = json.loads(compiled_with(*SPARK).ir)
    text = json.dumps(ir)
    for option in ("--runner=PortableRunner", "--job_endpoint=jobs:8099", "--environment_type=EXTERNAL"):
        assert option in text
    assert "FnApiRunner" not in text


def test_without_an_image_there_is_no_document():
    with pytest.raises(InputError, match=r"cluster\.image is not set; build the image"):
        compiled_with("cluster.image=''").document()


def test_names_suit_argo_or_are_refused():
    names = task_names(dict.fromkeys(["ExampleGen", "Model_2.checks", "X" * 80]))
    assert list(names.values()) == ["example-gen", "model-2-checks", "x" * 50]
    with pytest.raises(InputError, match="node 'a-b' has no name of its own"):
        task_names(dict.fromkeys(["a_b", "a-b"]))
    with pytest.raises(InputError, match="node 'Ü' has no name of its own"):
        task_names(dict.fromkeys(["Ü"]))


def conditional_pipeline(*, inside: bool) -> pipeline_pb2.Pipeline:
    gate = Importer("/v", artifact_type=VerdictArtifact).with_id("Gate")
    examples = Importer("/e", artifact_type=standard_artifacts.Examples).with_id("Examples")
    with conditional.Cond(gate.outputs["result"].future()[0].property("passed") == 1):
        latest = Resolver(strategy_class=LatestArtifactStrategy, examples=examples.outputs["result"]).with_id(
            "Latest"
        )
        statistics = StatisticsGen(latest.outputs["examples"]) if inside else None
    statistics = statistics or StatisticsGen(latest.outputs["examples"])
    return Compiler().compile(
        Pipeline(pipeline_name="p", pipeline_root="/r", components=[gate, examples, latest, statistics])
    )


def test_node_behind_a_condition_must_be_inside_it():
    _check_conditions(conditional_pipeline(inside=True))
    with pytest.raises(InputError, match="StatisticsGen reads from Latest, which a condition may skip"):
        _check_conditions(conditional_pipeline(inside=False))


@pytest.mark.parametrize("newer", [False, True])
def test_what_tfx_s_own_runner_emits_is_refused(tmp_path, newer):
    examples = Importer("/e", artifact_type=standard_artifacts.Examples).with_id("Examples")
    latest = Resolver(
        strategy_class=LatestArtifactStrategy, examples=types.Channel(type=standard_artifacts.Examples)
    ).with_id("Latest")
    pipeline = Pipeline(
        pipeline_name="p", pipeline_root="/r",
        components=[examples, latest, StatisticsGen(latest.outputs["examples"])],
    )  # fmt: skip
    runner = KubeflowV2DagRunner(
        KubeflowV2DagRunnerConfig(default_image="image", use_pipeline_spec_2_1=newer),
        output_dir=str(tmp_path),
        output_filename="p.json",
    )
    runner.run(pipeline, write_out=True)
    text = (tmp_path / "p.json").read_text()
    assert document_problems(text) == ["is wrapped in a PipelineJob; only the pipeline spec itself is taken"]
    unwrapped = "\n".join(document_problems(json.dumps(json.loads(text)["pipelineSpec"])))
    assert "resolver executors are not implemented" in unwrapped
    assert ("only 2.1.0 is taken" in unwrapped) is not newer


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda s: s.update(schemaVersion="2.0.0"), "schema version is '2.0.0'"),
        (lambda s: s["pipelineInfo"].update(name="Maskline"), "pipeline name 'Maskline'"),
        (lambda s: s.update(nonsense=1), "invalid v2 pipeline spec"),
        (lambda s: s["root"]["dag"].update(tasks={}), "the root has no tasks"),
        (lambda s: task(s)["dependentTasks"].append("nobody"), "depends on 'nobody'"),
        (lambda s: task(s)["componentRef"].update(name="nobody"), "no component 'nobody'"),
        (lambda s: task(s)["cachingOptions"].update(enableCache=True), "own cache is on"),
        (lambda s: task(s)["retryPolicy"].pop("backoffMaxDuration"), "retries without backoffMaxDuration"),
        (lambda s: task(s)["inputs"]["parameters"].pop("run-id"), "inputs [] given, ['run-id'] wanted"),
        (lambda s: task(s).update(dependentTasks=["trainer"]), "in a circle"),
        (lambda s: container(s).pop("command"), "ENTRYPOINT is not used"),
        (lambda s: container(s)["args"].append("x" * 128 * 1024), "128 KiB is the limit"),
        (lambda s: container(s)["args"].append("{{$.pipeline_job_uuid}}"), "only as a task's input"),
        (lambda s: container(s)["args"].append("{{$.inputs.parameters['x']}}"), "input 'x' is not declared"),
        (
            lambda s: s["deploymentSpec"]["executors"].pop("exec-trainer"),
            "executor 'exec-trainer' is not there",
        ),
        (
            lambda s: s["deploymentSpec"]["executors"].update({"exec-trainer": {"importer": {}}}),
            "importer executors are not implemented",
        ),
    ],
)
def test_rule(spec, damage, problem):
    broken = json.loads(json.dumps(spec))
    damage(broken)
    assert any(problem in line for line in document_problems(yaml.safe_dump(broken)))


def task(spec: dict) -> dict:
    return spec["root"]["dag"]["tasks"]["trainer"]


def container(spec: dict) -> dict:
    return spec["deploymentSpec"]["executors"]["exec-trainer"]["container"]


@pytest.mark.parametrize("text", ["a: [", "- 1", "", "a: 1\n---\nb: 2"])
def test_what_is_no_pipeline_is_refused(text):
    assert document_problems(text)


def test_the_bundle_holds_the_code_of_a_model_of_ones_own(tmp_path):
    builders = REPOSITORY / "examples/models/maskline.yaml"
    compiled = compile_pipeline(load(builders, [f"cluster.image={IMAGE}"]))
    (tmp_path / "code").mkdir()
    (tmp_path / "code/old.py").write_text("of an earlier bundle")
    compiled.write_bundle(tmp_path)
    assert [file.name for file in (tmp_path / "code").iterdir()] == ["builders.py"]
    assert (tmp_path / "code/builders.py").read_text() == (builders.parent / "builders.py").read_text()
    assert "builders:bidirectional_gru" in compiled.ir
