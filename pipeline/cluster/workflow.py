"""What Argo recorded of a run: its pods, what they wait for and how they ended. No TFX, no TensorFlow.

Kubeflow Pipelines stores Argo's workflow with each run, as it was last reported (`ReportWorkflowResource` in
backend/src/apiserver/resource/resource_manager.go), and hands it on in `GetRunV1`. So it can be read while a
run works and long after its pods are gone, by whoever may read the run.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from maskline.pipeline.cluster.last_words import LastWords, find_words

FAILED = ("Failed", "Error")


class Pod(NamedTuple):
    """One pod.

    `task` is the pipeline's name for what it works on, `node` Argo's id, and `name` what the pod is called.
    `phase` is Argo's: Pending, Running, Succeeded, Failed or Error. `message` says why it waits or failed.
    """

    task: str
    node: str
    name: str
    phase: str
    message: str
    ended: str

    @property
    def words(self) -> LastWords | None:
        """What the node itself said last."""
        return find_words(self.message)


def pods_of(workflow: Mapping[str, Any]) -> list[Pod]:
    """The pods of a run, the ones that ended last at the end.

    Args:
      workflow: Argo's, or an empty one where the backend has none to hand on.
    """
    nodes = (workflow.get("status") or {}).get("nodes") or {}
    name = (workflow.get("metadata") or {}).get("name", "")
    pods = [_pod(name, node) for node in nodes.values() if node.get("type") == "Pod"]
    return sorted(pods, key=lambda pod: (not pod.ended, pod.ended))


def _pod(workflow: str, node: Mapping[str, Any]) -> Pod:
    identity = node.get("id", "")
    number = identity.rpartition("-")[2]
    return Pod(
        task=task_of(node.get("name", "")),
        node=identity,
        # As the backend's `RetrievePodName` in backend/src/common/util/workflow.go.
        name=f"{workflow}-{node.get('templateName', '')}-{number}",
        phase=node.get("phase", ""),
        message=node.get("message") or "",
        ended=node.get("finishedAt") or "",
    )


def task_of(path: str) -> str:
    """The task in the name of one of Argo's nodes, such as `run.root.data-gate.executor(0)`."""
    steps = [step.partition("(")[0] for step in path.split(".")]
    return (steps[2] if len(steps) > 2 else steps[-1]).removesuffix("-driver")


def tasks_of(details: Sequence[Any]) -> dict[str, Any]:
    """The pipeline's own tasks among what the backend lists, in the order in which they began.

    It lists everything that Argo made of them as well; a task is what has a driver.
    """
    named = {task.display_name: task for task in details}
    own = [task for name, task in named.items() if f"{name}-driver" in named and name != "root"]
    began = [task for task in own if task.start_time]
    return {task.display_name: task for task in [*sorted(began, key=lambda task: task.start_time),
                                                 *(task for task in own if not task.start_time)]}  # fmt: skip
