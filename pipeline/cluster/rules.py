"""What the open-source Kubeflow Pipelines backend takes. A document that breaks a rule is refused there.

The rules are those of the backend's source, release 2.16: `apiserver/template/v2_template.go` (what an
upload must hold), `v2/compiler/visitor.go` and `v2/compiler/argocompiler` (what can be compiled to Argo),
`v2/driver` (what the driver resolves).
"""

import graphlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2 as kubernetes_pb2
from kfp.pipeline_spec import pipeline_spec_pb2 as kfp_pb2

# Linux' limit for one argument of a program (MAX_ARG_STRLEN).
LONGEST_ARGUMENT = 128 * 1024
_ARGO_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
# Driver placeholders, which only a task's inputs may hold.
_PLACEHOLDER = re.compile(r"\{\{\$\.(?!inputs\.|outputs\.)[^}]*\}\}")
_INPUT = re.compile(r"\{\{\$\.inputs\.parameters\['([^']+)'\]\}\}")


def document_problems(text: str) -> list[str]:
    """Says why the backend would refuse a document, or fail to run it.

    Args:
      text: YAML or JSON.

    Returns:
      one line for each rule that is broken; none where all hold.
    """
    try:
        documents = [document for document in yaml.safe_load_all(text) if document]
    except yaml.YAMLError as error:
        return [f"not YAML: {' '.join(str(error).split())}"]
    if any(not isinstance(document, dict) for document in documents):
        return ["a document is not a mapping"]
    specs = [d for d in documents if "platforms" not in d]
    platforms = [d for d in documents if "platforms" in d]
    if len(specs) != 1 or len(platforms) > 1:
        return [f"{len(specs)} pipeline specs and {len(platforms)} platform specs; one, and at most one"]
    if "pipelineSpec" in specs[0]:
        return ["is wrapped in a PipelineJob; only the pipeline spec itself is taken"]
    try:
        spec = json_format.ParseDict(specs[0], kfp_pb2.PipelineSpec())
        pods = _pods(platforms[0]) if platforms else {}
    except json_format.ParseError as error:
        return [f"invalid v2 pipeline spec: {error}"]
    return [*_header(spec), *_tasks(spec), *_executors(spec, pods)]


def _pods(platform: dict[str, Any]) -> dict[str, kubernetes_pb2.KubernetesExecutorConfig]:
    parsed = json_format.ParseDict(platform, kfp_pb2.PlatformSpec())
    executors = parsed.platforms["kubernetes"].deployment_spec.executors
    return {
        label: json_format.ParseDict(
            json_format.MessageToDict(value), kubernetes_pb2.KubernetesExecutorConfig()
        )
        for label, value in executors.items()
    }


def _header(spec: kfp_pb2.PipelineSpec) -> Iterator[str]:
    if spec.schema_version != "2.1.0":
        yield f"schema version is '{spec.schema_version}'; only 2.1.0 is taken"
    if not _ARGO_NAME.fullmatch(spec.pipeline_info.name):
        yield f"pipeline name '{spec.pipeline_info.name}' is not lower case letters, digits and dashes"
    if not spec.root.dag.tasks:
        yield "the root has no tasks"


def _tasks(spec: kfp_pb2.PipelineSpec) -> Iterator[str]:
    tasks = spec.root.dag.tasks
    for name, task in tasks.items():
        if not _ARGO_NAME.fullmatch(name) or len(name) > 63 - len("-driver"):
            yield f"task '{name}': the name does not suit Argo"
        if task.component_ref.name not in spec.components:
            yield f"task '{name}': no component '{task.component_ref.name}'"
        for other in task.dependent_tasks:
            if other not in tasks:
                yield f"task '{name}': depends on '{other}', which is not there"
        if task.caching_options.enable_cache:
            yield f"task '{name}': the backend's own cache is on"
        if task.inputs.artifacts:
            yield f"task '{name}': passes artifacts, of which the backend's launcher knows nothing here"
        yield from _inputs(spec, name, task)
        if task.HasField("retry_policy") and not task.retry_policy.backoff_max_duration.seconds:
            yield f"task '{name}': retries without backoffMaxDuration end at once"
    if _has_cycle({name: set(task.dependent_tasks) for name, task in tasks.items()}):
        yield "the tasks depend on each other in a circle"


def _inputs(spec: kfp_pb2.PipelineSpec, name: str, task: kfp_pb2.PipelineTaskSpec) -> Iterator[str]:
    wanted = set(spec.components[task.component_ref.name].input_definitions.parameters)
    given = set(task.inputs.parameters)
    if wanted != given:
        yield f"task '{name}': inputs {sorted(given)} given, {sorted(wanted)} wanted"
    for key, value in task.inputs.parameters.items():
        source = value.component_input_parameter
        if source and source not in spec.root.input_definitions.parameters:
            yield f"task '{name}': input '{key}' is read from '{source}', which the pipeline has not"


def _executors(
    spec: kfp_pb2.PipelineSpec, pods: Mapping[str, kubernetes_pb2.KubernetesExecutorConfig]
) -> Iterator[str]:
    # The deployment spec is a free-form Struct; as the backend, read it leaving out what is unknown.
    deployment = json_format.ParseDict(
        json_format.MessageToDict(spec.deployment_spec),
        kfp_pb2.PipelineDeploymentConfig(),
        ignore_unknown_fields=True,
    )
    for name, component in spec.components.items():
        label = component.executor_label
        if not label:
            yield f"component '{name}': has no executor"
        elif label not in deployment.executors:
            yield f"component '{name}': executor '{label}' is not there"
        elif deployment.executors[label].WhichOneof("spec") != "container":
            kind = deployment.executors[label].WhichOneof("spec")
            yield f"executor '{label}': {kind} executors are not implemented"
        else:
            yield from _container(label, component, deployment.executors[label].container)
    for label in set(pods) - set(deployment.executors):
        yield f"platform spec: executor '{label}' is not there"
    for label, pod in pods.items():
        for secret in pod.secret_as_env:
            if not secret.secret_name and not secret.HasField("secret_name_parameter"):
                yield f"platform spec: executor '{label}' mounts a secret without a name"


def _container(
    label: str,
    component: kfp_pb2.ComponentSpec,
    container: kfp_pb2.PipelineDeploymentConfig.PipelineContainerSpec,
) -> Iterator[str]:
    if not container.image:
        yield f"executor '{label}': no image"
    if not container.command:
        yield f"executor '{label}': no command; the image's ENTRYPOINT is not used"
    for argument in (*container.command, *container.args):
        if len(argument.encode()) >= LONGEST_ARGUMENT:
            yield f"executor '{label}': an argument of {len(argument.encode())} bytes; 128 KiB is the limit"
        if placeholder := _PLACEHOLDER.search(argument):
            yield f"executor '{label}': {placeholder[0]} is not filled in here, only as a task's input"
        for name in _INPUT.findall(argument):
            if name not in component.input_definitions.parameters:
                yield f"executor '{label}': input '{name}' is not declared"


def _has_cycle(upstream: dict[str, set[str]]) -> bool:
    try:
        graphlib.TopologicalSorter(upstream).prepare()
    except graphlib.CycleError:
        return True
    return False
