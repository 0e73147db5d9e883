"""Follows a run on a cluster: one line for each change of a node, and the outcome as an exit status."""

import json
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from maskline.pipeline.cluster.client import Client
from maskline.pipeline.cluster.compiler import Compiled
from maskline.pipeline.errors import UnreachableError
from maskline.transform.errors import InputError
from maskline.transform.names import Exit

_ENDED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
_MARKS = {"RUNNING": " ", "SUCCEEDED": "✓", "FAILED": "✗", "SKIPPED": "–", "CANCELED": "–"}


def follow(
    client: Client,
    compiled: Compiled,
    run: str,
    say: Callable[[str], None],
    *,
    seconds: float = 3.0,
    patience: float = 600.0,
) -> Exit:
    """Waits for a run to end.

    Args:
      client: the host.
      compiled: names the tasks.
      run: the run's id.
      say: takes one line.
      seconds: between two looks.
      patience: seconds for which the host may be out of reach; the run goes on meanwhile.

    Returns:
      0 where it succeeded, 3 where a gate blocked, 1 for anything else.

    Raises:
      InputError: a node refused what the run was given, as data that are not there.
      UnreachableError: the host was out of reach for longer than `patience`.
    """
    known: dict[str, str] = {}
    while True:
        state = _look(client, run, say, seconds, patience)
        details = (state.run_details and state.run_details.task_details) or []
        tasks = {task.display_name: task for task in details}
        for name in compiled.nodes.values():
            task = tasks.get(name)
            if task and task.state != known.get(name) and task.state in _MARKS:
                known[name] = task.state
                say(f"{_MARKS[task.state]} {name}{_duration(task)}")
        if state.state in _ENDED:
            return _outcome(compiled, state, tasks, _last_words(client, run, details), say)
        time.sleep(seconds)


def _look(client: Client, run: str, say: Callable[[str], None], seconds: float, patience: float) -> Any:
    """The run as it stands. A host out of reach, as behind a connection that broke, is asked again."""
    until = time.monotonic() + patience
    told = False
    while True:
        try:
            return client.get(run)
        except UnreachableError as error:
            if time.monotonic() > until:
                raise
            if not told:
                say(f"{error}; asking again for {patience:.0f} s, the run goes on")
            told = True
            time.sleep(seconds)


def _outcome(
    compiled: Compiled,
    state: Any,
    tasks: dict[str, Any],
    ended: dict[str, tuple[str, str]],
    say: Callable[[str], None],
) -> Exit:
    if state.state == "SUCCEEDED":
        say("succeeded")
        return Exit.OK
    failed: dict[str, list[str]] = {}
    for node, name in compiled.nodes.items():
        if name in tasks and tasks[name].state == "FAILED":
            how, why = ended.get(node, ("", "its log is not there; kubectl logs may have it"))
            failed.setdefault(how, []).append(f"{name}: {why}")
            if how != "REFUSED":
                say(f"{name}: {'blocked: ' if how == 'BLOCKED' else ''}{why}")
    if state.error and state.error.message:
        say(state.error.message)
    if "REFUSED" in failed:
        raise InputError("; ".join(failed["REFUSED"]))
    if failed.keys() == {"BLOCKED"}:
        say("blocked by a gate")
        return Exit.BLOCKED
    say(state.state.lower())
    return Exit.ERROR


def _last_words(client: Client, run: str, details: Sequence[Any]) -> dict[str, tuple[str, str]]:
    """State and reason that nodes gave when they ended; the backend says no more than that they failed.

    It names pods only as children of tasks, of the node's own or of one below it, and those below have the
    same name for all nodes. Each line of a node's log names the node, so all logs of failed tasks are
    looked through.
    """
    pods = {
        child.pod_name
        for task in details
        for child in task.child_tasks or []
        if task.state == "FAILED" and child.pod_name
    }
    lines = [
        _read(line) for pod in sorted(pods) for log in client.logs(run, pod) for line in log.splitlines()
    ]
    # Of several attempts the last one's; the names of pods do not say which that is.
    ended = sorted((line for line in lines if line.get("event") == "ended"), key=lambda line: line["time"])
    return {line["node"]: (line["state"], line["reason"]) for line in ended}


def _read(line: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _duration(task: Any) -> str:
    if task.state not in ("SUCCEEDED", "FAILED") or not isinstance(task.end_time, datetime):
        return " …" if task.state == "RUNNING" else ""
    return f"  {(task.end_time - task.start_time).total_seconds():.0f} s"
