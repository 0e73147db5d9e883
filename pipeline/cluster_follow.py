"""Follows a run on a cluster: one line for each change of a node, and the outcome as an exit status."""

import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from pipeline.cluster_client import Client
from pipeline.cluster_compile import Compiled
from pipeline.history import Exit

_ENDED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
_MARKS = {"RUNNING": " ", "SUCCEEDED": "✓", "FAILED": "✗", "SKIPPED": "–", "CANCELED": "–"}


def follow(
    client: Client, compiled: Compiled, run: str, say: Callable[[str], None], *, seconds: float = 3.0
) -> Exit:
    """Waits for a run to end.

    Args:
      client: the host.
      compiled: names the tasks.
      run: the run's id.
      say: takes one line.
      seconds: between two looks.

    Returns:
      0 where it succeeded, 3 where a gate blocked, 1 for anything else.
    """
    known: dict[str, str] = {}
    while True:
        state = client.get(run)
        tasks = {
            task.display_name: task for task in (state.run_details and state.run_details.task_details) or []
        }
        for name in compiled.nodes.values():
            task = tasks.get(name)
            if task and task.state != known.get(name) and task.state in _MARKS:
                known[name] = task.state
                say(f"{_MARKS[task.state]} {name}{_duration(task)}")
        if state.state in _ENDED:
            return _outcome(client, compiled, run, state, tasks, say)
        time.sleep(seconds)


def _outcome(
    client: Client,
    compiled: Compiled,
    run: str,
    state: Any,
    tasks: dict[str, Any],
    say: Callable[[str], None],
) -> Exit:
    if state.state == "SUCCEEDED":
        say("succeeded")
        return Exit.OK
    blocked = False
    ended = _last_words(client, run, tasks)
    for node, name in compiled.nodes.items():
        if name in tasks and tasks[name].state == "FAILED":
            how, why = ended.get(node, ("", "its log is not there; kubectl logs may have it"))
            blocked = blocked or (how == "BLOCKED" and name in compiled.gates)
            say(f"{name}: {'blocked: ' if how == 'BLOCKED' else ''}{why}")
    if state.error and state.error.message:
        say(state.error.message)
    say("blocked by a gate" if blocked else state.state.lower())
    return Exit.NOT_BLESSED if blocked else Exit.ERROR


def _last_words(client: Client, run: str, tasks: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """State and reason that nodes gave when they ended; the backend says no more than that they failed.

    It names pods only as children of tasks, of the node's own or of one below it; each line of a node's
    log names the node, so all logs of failed tasks are looked through.
    """
    pods = {
        child.pod_name
        for task in tasks.values()
        for child in task.child_tasks or []
        if task.state == "FAILED" and child.pod_name
    }
    ended: dict[str, tuple[str, str]] = {}
    for pod in sorted(pods):
        for line in client.log(run, pod).splitlines():
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if isinstance(said, dict) and said.get("event") == "ended":
                ended[said["node"]] = (said["state"], said["reason"])
    return ended


def _duration(task: Any) -> str:
    if task.state not in ("SUCCEEDED", "FAILED") or not isinstance(task.end_time, datetime):
        return " …" if task.state == "RUNNING" else ""
    return f"  {(task.end_time - task.start_time).total_seconds():.0f} s"
