"""How a run on a cluster ended, in words and as an exit status. No TFX, no TensorFlow."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from maskline.pipeline.cluster import grouping
from maskline.pipeline.cluster.client import Client
from maskline.pipeline.cluster.last_words import LastWords, find_words
from maskline.pipeline.cluster.waiting import WaitingPods
from maskline.pipeline.cluster.workflow import FAILED, Pod, pods_of, tasks_of
from maskline.pipeline.errors import MissingError
from maskline.transform.errors import InputError
from maskline.transform.names import Exit

ENDED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
_WELL = ("COMPLETE", "CACHED", "SKIPPED")
_FORBIDDEN = " is forbidden: "
_MARKS = {"RUNNING": " ", "SUCCEEDED": "✓", "FAILED": "✗", "SKIPPED": "–", "CANCELED": "–"}


class Told:
    """Says each change of a task once, as one line.

    Args:
      say: takes a line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._known: dict[str, str] = {}

    def tell(self, state: Any) -> None:
        """Says what is new in a run's state."""
        for name, task in tasks_of(_details(state)).items():
            if task.state != self._known.get(name) and task.state in _MARKS:
                self._known[name] = task.state
                self._say(f"{_MARKS[task.state]} {name}{_duration(task)}")


def show_run(client: Client, run: str, say: Callable[[str], None]) -> Exit:
    """Says of a run, at any time, what `follow` would have said by now.

    Raises:
      InputError: no such run; or a node of it refused what it was given.
    """
    try:
        state = client.get(run)
    except MissingError as error:
        raise InputError(f"{error}; `maskline kubeflow submit` prints the id of a run") from None
    Told(say).tell(state)
    if state.state in ENDED:
        return tell_end(client, state, say)
    for line in WaitingPods().look(pods_of(client.workflow(run)), 0.0)[0]:
        say(line)
    say(state.state.lower())
    return Exit.OK


def tell_end(client: Client, state: Any, say: Callable[[str], None]) -> Exit:
    """Says how a run ended, with the words of what failed.

    Args:
      client: the host.
      state: the run, which has ended.
      say: takes one line.

    Returns:
      0 where it succeeded, 3 where a gate blocked, 1 for anything else.

    Raises:
      InputError: a node refused what the run was given, as data that are not there.
    """
    if state.state == "SUCCEEDED":
        say("succeeded")
        return Exit.OK
    refused: list[str] = []
    states: set[str] = set()
    for name, words in _failed(client, state):
        states.add(words.state)
        if words.state == "REFUSED":
            refused.append(f"{name}: {words.reason}")
        else:
            say(f"{name}: {'blocked: ' if words.state == 'BLOCKED' else ''}{words.reason}")
    if state.error and state.error.message:
        say(state.error.message)
    if refused:
        raise InputError("; ".join(refused))
    if states == {"BLOCKED"}:
        say("blocked by a gate")
        return Exit.BLOCKED
    say(state.state.lower())
    return Exit.ERROR


def _failed(client: Client, state: Any) -> list[tuple[str, LastWords]]:
    """What nodes of failed tasks said last: in the pod's message, else in its log, else in Argo's words."""
    details = _details(state)
    own = tasks_of(details)
    # A driver that fails leaves its task without a state.
    names = [task.display_name.removesuffix("-driver") for task in details if task.state == "FAILED"]
    every = pods_of(client.workflow(state.run_id))
    failed = [name for name in own if name in names]
    if not failed:  # not even the driver of the whole run had a pod
        failed = [pod.task for pod in every if pod.phase in FAILED][-1:]
    pods = [pod for pod in every if pod.task in failed]
    said = {pod.task: pod.words for pod in pods if pod.words}
    silent = [task for task in failed if task not in said]
    unsaid = [pod for pod in pods if pod.task in silent]
    for words in _logged(client, state.run_id, details, unsaid) if silent else ():
        said |= {task: words for task in grouping.possible_tasks(words.node) if task in silent}
    argo = {pod.task: pod.message for pod in pods if pod.phase in FAILED and pod.message}
    found = []
    for task in failed:
        if known := said.get(task):
            found.append((grouping.possible_tasks(known.node)[0], known))
        else:
            nothing = "it said nothing, and its log is not there; kubectl describe pod may tell"
            reason = " ".join(argo.get(task, nothing).split())
            # As with a quota that is full, which Kubernetes says of a pod that it does not take.
            found.append((task, LastWords(task, "REFUSED" if _FORBIDDEN in reason else "FAILED", reason, "")))
    return found


def _logged(client: Client, run: str, details: Sequence[Any], pods: Sequence[Pod]) -> list[LastWords]:
    """What nodes said last in the logs of pods that failed.

    Without Argo's record the backend names pods only as children of tasks, of the node's own or of one below
    it, and those below have the same name for all nodes. Each line of a log names the node.
    """
    named = {(pod.node, pod.name) for pod in pods if pod.phase in FAILED} or {
        (child.pod_name, "")
        for task in details
        for child in task.child_tasks or []
        if task.state == "FAILED" and child.pod_name
    }
    lines = [
        words
        for node, name in sorted(named)
        for log in client.logs(run, node, name)
        for line in log.splitlines()
        if (words := find_words(line))
    ]
    # Of several attempts the last one's; the names of pods do not say which that is. A stage's earlier nodes
    # ended well.
    return [words for words in sorted(lines, key=lambda words: words.time) if words.state not in _WELL]


def _details(state: Any) -> Sequence[Any]:
    return (state.run_details and state.run_details.task_details) or []


def _duration(task: Any) -> str:
    if task.state not in ("SUCCEEDED", "FAILED") or not isinstance(task.end_time, datetime):
        return " …" if task.state == "RUNNING" else ""
    return f"  {(task.end_time - task.start_time).total_seconds():.0f} s"
