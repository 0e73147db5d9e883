"""Writes the KFP v2 document of a compiled pipeline: one container task a node or a stage. Imports no TFX."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2 as kubernetes_pb2
from kfp.pipeline_spec import pipeline_spec_pb2 as kfp_pb2

from maskline.pipeline.cluster.grouping import cores, gigabytes, groups, pod_of, upstream_tasks
from maskline.pipeline.settings.cluster import ClusterSettings, NodeSettings
from maskline.transform.names import METADATA_PASSWORD, METADATA_USER

_TYPES = {"STRING": "STRING", "INT": "NUMBER_INTEGER", "DOUBLE": "NUMBER_DOUBLE"}


def make_document(ir: Mapping[str, Any], settings: ClusterSettings, *, name: str, ir_digest: str) -> str:
    """Makes the document that is uploaded: the pipeline and what its pods need of Kubernetes.

    Args:
      ir: the compiled pipeline as JSON.
      settings: image, resources, secrets and places.
      name: of the pipeline.
      ir_digest: SHA-256 of the IR's file, which every node checks.

    Returns:
      two YAML documents.

    Raises:
      InputError: two nodes would have the same name on the cluster.
    """
    nodes = {node["pipelineNode"]["nodeInfo"]["id"]: node["pipelineNode"] for node in ir["nodes"]}
    tasks = groups(list(nodes), settings.grouping)
    upstream = {node_id: node.get("upstreamNodes", []) for node_id, node in nodes.items()}
    spec: dict[str, Any] = {
        "pipelineInfo": {"name": name},
        "schemaVersion": "2.1.0",
        "sdkVersion": "kfp-2.16.1",
        "deploymentSpec": {"executors": {}},
        "components": {},
        "root": {"dag": {"tasks": {}}, "inputDefinitions": {"parameters": {}}},
    }
    pods: dict[str, Any] = {}
    for task, members in tasks.items():
        own = pod_of(settings, members)
        parameters = {key: p for node_id in members for key, p in _parameters(nodes[node_id]).items()}
        spec["root"]["inputDefinitions"]["parameters"] |= parameters
        spec["components"][f"comp-{task}"] = {
            "executorLabel": f"exec-{task}",
            "inputDefinitions": {
                "parameters": {
                    "run-id": {"parameterType": "STRING"},
                    # A default is the pipeline's to give, at its root.
                    **{key: {"parameterType": p["parameterType"]} for key, p in parameters.items()},
                }
            },
        }
        spec["deploymentSpec"]["executors"][f"exec-{task}"] = {
            "container": _container(members, parameters, settings, own, ir_digest)
        }
        before = upstream_tasks(task, tasks, upstream)
        spec["root"]["dag"]["tasks"][task] = _task(task, before, parameters, own)
        pods[f"exec-{task}"] = _pod(settings, own)
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": pods}}}}
    # Through the messages, so that a misspelt field is an error here.
    pipeline = json_format.MessageToDict(json_format.ParseDict(spec, kfp_pb2.PipelineSpec()))
    platform = json_format.MessageToDict(json_format.ParseDict(platform, kfp_pb2.PlatformSpec()))
    return yaml.safe_dump_all([pipeline, platform], sort_keys=True, width=110)


def _parameters(node: Mapping[str, Any]) -> dict[str, Any]:
    """The runtime parameters of one node, as the backend declares them."""
    found: dict[str, Any] = {}
    for value in node.get("parameters", {}).get("parameters", {}).values():
        if parameter := value.get("runtimeParameter"):
            declared = found[parameter["name"]] = {"parameterType": _TYPES[parameter["type"]]}
            for kind, default in parameter.get("defaultValue", {}).items():
                # JSON carries whole numbers of 64 bits as text.
                declared["defaultValue"] = int(default) if kind == "intValue" else default
    return found


def _container(
    nodes: Sequence[str],
    parameters: Mapping[str, Any],
    settings: ClusterSettings,
    own: NodeSettings,
    ir_digest: str,
) -> dict[str, Any]:
    arguments = [
        "--ir", f"{settings.bundle}/pipeline.ir.json", "--sha256", ir_digest,
        *(text for node_id in nodes for text in ("--node", node_id)),
        "--metadata", settings.metadata.address, "--run-id", _input("run-id"),
    ]  # fmt: skip
    for name in parameters:
        arguments += ["--parameter", f"{name}={_input(name)}"]
    for value in settings.secrets:
        arguments += ["--secret", value.env]
    return {
        "image": settings.image,
        # The backend puts its own launcher before the command: the image's ENTRYPOINT is never used.
        "command": ["python", f"{settings.home}/node.py"],
        "args": arguments,
        "resources": _resources(own),
    }


def _input(name: str) -> str:
    return "{{$.inputs.parameters['" + name + "']}}"


def _resources(own: NodeSettings) -> dict[str, Any]:
    cpus, memory = cores(own.cpu), gigabytes(own.memory)
    # Backends before 2.4 read the numbers, later ones the text.
    wanted: dict[str, Any] = {
        "cpuLimit": cpus, "cpuRequest": cpus,
        "memoryLimit": memory, "memoryRequest": memory,
        "resourceCpuLimit": own.cpu, "resourceCpuRequest": own.cpu,
        "resourceMemoryLimit": own.memory, "resourceMemoryRequest": own.memory,
    }  # fmt: skip
    if own.accelerator:
        wanted["accelerator"] = {
            "type": own.accelerator, "count": str(own.accelerators),
            "resourceType": own.accelerator, "resourceCount": str(own.accelerators),
        }  # fmt: skip
    return wanted


def _task(
    task: str, before: Sequence[str], parameters: Mapping[str, Any], own: NodeSettings
) -> dict[str, Any]:
    inputs: dict[str, Any] = {name: {"componentInputParameter": name} for name in parameters}
    # The backend fills this placeholder in here and nowhere else, not in a container's arguments.
    inputs["run-id"] = {"runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}}
    described: dict[str, Any] = {
        "taskInfo": {"name": task},
        "componentRef": {"name": f"comp-{task}"},
        "dependentTasks": list(before),
        "inputs": {"parameters": inputs},
        # TFX decides what is cached; the backend would skip a node whose data have changed.
        "cachingOptions": {"enableCache": False},
    }
    if own.retries:
        described["retryPolicy"] = {
            "maxRetryCount": own.retries,
            "backoffDuration": f"{own.retry_seconds}s",
            "backoffFactor": own.retry_factor,
            # Left out it is 0 and nothing is retried; the SDK would cap it at an hour, and a pod that is
            # a retry is killed when it is over.
            "backoffMaxDuration": f"{own.retry_deadline_hours * 3600}s",
        }
    return described


def _pod(settings: ClusterSettings, own: NodeSettings) -> dict[str, Any]:
    """What the SDK's `kfp.kubernetes` functions would write for a task."""
    store = settings.metadata.secret
    secrets = [(store, "user", METADATA_USER), (store, "password", METADATA_PASSWORD)]
    secrets += [(value.secret, value.key, value.env) for value in settings.secrets]
    wanted: dict[str, Any] = {
        "secretAsEnv": [
            {
                "secretName": secret, "secretNameParameter": {"runtimeValue": {"constant": secret}},
                "keyToEnv": [{"secretKey": key, "envVar": env}], "optional": False,
            }
            for secret, key, env in secrets
        ],
        "pvcMount": [
            {
                "constant": claim, "pvcNameParameter": {"runtimeValue": {"constant": claim}},
                "mountPath": path,
            }
            for claim, path in settings.volumes.items()
        ],
        "tolerations": [toleration.model_dump() for toleration in own.tolerations],
        # The image's USER gives a pod its user alone. Backends before 2.16 pass over all of this, and the
        # group then comes from the image's /etc/passwd. There is no field for fsGroup.
        "securityContext": {"runAsNonRoot": True},
    }  # fmt: skip
    if settings.user:
        wanted["securityContext"]["runAsUser"] = str(settings.user)
    if settings.group:
        wanted["securityContext"]["runAsGroup"] = str(settings.group)
    if own.node_selector:
        wanted["nodeSelector"] = {"labels": own.node_selector}
    return json_format.MessageToDict(json_format.ParseDict(wanted, kubernetes_pb2.KubernetesExecutorConfig()))
