"""Which nodes of the pipeline share a task of the cluster, and so a pod. No TFX, no TensorFlow."""

import re
from collections.abc import Iterable, Mapping, Sequence

from maskline.pipeline.settings.cluster import ClusterSettings, NodeSettings
from maskline.transform.errors import InputError
from maskline.transform.names import Node

# What a gate may stop lies behind it in another task; the data gate is ingest's last but one.
STAGES: dict[str, tuple[str, ...]] = {
    "ingest": (
        Node.EXAMPLE_GEN, Node.SCHEMA, Node.STATISTICS_GEN, Node.EXAMPLE_VALIDATOR, Node.PREVIOUS_SPAN,
        Node.DATA_GATE, Node.ACCEPTED,
    ),
    "train": (Node.WINDOW, Node.TRANSFORM, Node.BASE_MODEL, Node.TRAINER),
    "release": (Node.LIVE_MODEL, Node.EVALUATOR, Node.MODEL_CHECKS, Node.RELEASE_GATE, Node.PUSHER),
}  # fmt: skip
_STAGE_OF = {node: stage for stage, nodes in STAGES.items() for node in nodes}
# What becomes of a task's name in Argo is longer: `-driver`, and the name of the run before it.
_LONGEST = 50
_SI = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def task_names(nodes: Iterable[str]) -> dict[str, str]:
    """A name for each node that Argo takes: lower case letters, digits and dashes.

    Raises:
      InputError: two nodes would have the same, or one would have none.
    """
    names: dict[str, str] = {}
    for node_id in nodes:
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", node_id)
        name = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:_LONGEST].strip("-")
        if not name or name in names.values():
            others = [other for other, taken in names.items() if taken == name]
            raise InputError(f"node '{node_id}' has no name of its own on the cluster: '{name}' {others}")
        names[node_id] = name
    return names


def possible_tasks(node: str) -> tuple[str, str]:
    """What a node's task may be called: by the node, and by its stage."""
    return task_names([node])[node], _STAGE_OF.get(node, "")


def groups(nodes: Sequence[str], grouping: str) -> dict[str, list[str]]:
    """The tasks, and the nodes that each works on, one after the other.

    Args:
      nodes: ids, in an order in which they can run.
      grouping: `node` or `stage`. A node of no stage has a task of its own.
    """
    names = task_names(nodes)
    found: dict[str, list[str]] = {}
    for node in nodes:
        task = _STAGE_OF.get(node, names[node]) if grouping == "stage" else names[node]
        found.setdefault(task, []).append(node)
    return found


def upstream_tasks(
    task: str, tasks: Mapping[str, Sequence[str]], upstream: Mapping[str, Sequence[str]]
) -> list[str]:
    """The tasks that must have ended before a task can begin, by what its nodes read."""
    task_by_node = {node: name for name, nodes in tasks.items() for node in nodes}
    return sorted({task_by_node[other] for node in tasks[task] for other in upstream[node]} - {task})


def pod_of(settings: ClusterSettings, nodes: Sequence[str]) -> NodeSettings:
    """What the pod of a task asks for: of each kind the most that one of its nodes does, as they take turns.

    Raises:
      InputError: two nodes want machines, or accelerators, that exclude each other.
    """
    own = [settings.of_node(node) for node in nodes]
    labels: dict[str, str] = {}
    kinds = {node.accelerator for node in own if node.accelerator}
    for name, node in zip(nodes, own, strict=True):
        for key, value in node.node_selector.items():
            if labels.setdefault(key, value) != value:
                raise InputError(
                    f"cluster.nodes.{name}.node_selector: {key}={value}, but a node of the same task wants "
                    f"{labels[key]}; set cluster.grouping=node"
                )
    if len(kinds) > 1:
        raise InputError(
            f"cluster.nodes: {' and '.join(sorted(kinds))} in one task; set cluster.grouping=node"
        )
    return own[0].model_copy(
        update={
            "cpu": max((node.cpu for node in own), key=cores),
            "memory": max((node.memory for node in own), key=gigabytes),
            "accelerator": "".join(kinds),
            "accelerators": max((node.accelerators for node in own if node.accelerator), default=1),
            "retries": max(node.retries for node in own),
            "retry_deadline_hours": max(node.retry_deadline_hours for node in own),
            "node_selector": labels,
            "tolerations": tuple({t.model_dump_json(): t for node in own for t in node.tolerations}.values()),
        }
    )


def cores(cpu: str) -> float:
    """Kubernetes' text for CPUs as a number."""
    return float(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)


def gigabytes(memory: str) -> float:
    """Kubernetes' text for memory in units of 10⁹ bytes."""
    number, unit = re.fullmatch(r"([\d.]+)(.*)", memory).groups()  # type: ignore[union-attr]
    return float(number) * _SI[unit] / 1e9
