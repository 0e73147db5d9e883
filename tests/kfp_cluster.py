"""Stands for the cluster: runs each task of a run as the backend does, in a process of its own."""

import os
import re
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.faults.forks import Forks, Started

TEMPLATE = "retry-system-container-impl"
_INPUT = re.compile(r"\{\{\$\.inputs\.parameters\['([^']+)'\]\}\}")


def command_line(
    spec: Mapping[str, Any], task: str, run_id: str, values: Mapping[str, Any] | None = None
) -> list[str]:
    """What a task's container starts with, placeholders filled in: a task's inputs, and no other.

    Args:
      spec: the pipeline's document.
      task: its name there.
      run_id: of the run.
      values: of the run's parameters, where they differ from their defaults.
    """
    plan = spec["root"]["dag"]["tasks"][task]
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    defaults = {name: p["defaultValue"] for name, p in declared.items() if "defaultValue" in p}
    given = {**defaults, **(values or {})}

    def value(match: re.Match[str]) -> str:
        source = plan["inputs"]["parameters"][match[1]]
        if "componentInputParameter" in source:
            found = given[source["componentInputParameter"]]
            return str(int(found)) if isinstance(found, float) and found.is_integer() else str(found)
        constant = source["runtimeValue"]["constant"]
        return constant.replace("{{$.pipeline_job_uuid}}", run_id)

    label = spec["components"][plan["componentRef"]["name"]]["executorLabel"]
    container = spec["deploymentSpec"]["executors"][label]["container"]
    return [_INPUT.sub(value, text) for text in [*container["command"], *container.get("args", [])]]


@dataclass
class Attempt:
    """One pod."""

    task: str
    pod: str
    log: Path
    began: datetime
    process: subprocess.Popen[bytes] | Started
    ended: datetime | None = None
    number: int = 0

    @property
    def termination_log(self) -> Path:
        """What Kubernetes mounts as /dev/termination-log; it makes the file."""
        return self.log.with_suffix(".last")

    @property
    def message(self) -> str:
        """Argo's for a pod that failed: status and termination message of its container.

        As `inferFailedReason` in workflow/controller/operator.go. The launcher before the node's command
        makes 1 of every other status.
        """
        said = self.termination_log.read_text() if self.termination_log.exists() else ""
        return "main: Error (exit code 1)" + (f": {said}" if said else "")

    @property
    def node(self) -> str:
        """The id of Argo's node: the run's name and a hash."""
        return f"{self.pod[:8]}-{zlib.crc32(self.pod.encode())}"

    @property
    def pod_name(self) -> str:
        """What Argo calls the pod of this node, whose template the backend names."""
        run, _, number = self.node.rpartition("-")
        return f"{run}-{TEMPLATE}-{number}"

    @property
    def path(self) -> str:
        """The name of Argo's node: the way to it."""
        return f"{self.pod[:8]}.root.{self.task}.executor({self.number})"


@dataclass
class TaskRun:
    """One task of a run."""

    state: str = "PENDING"
    began: datetime | None = None
    ended: datetime | None = None
    attempts: list[Attempt] = field(default_factory=list)


class Cluster:
    """Machines, secrets and volumes.

    Args:
      folder: for logs.
      secrets: values by name and key.
      claims: persistent volume claims that exist.
      pods: at work at the same time, at most.
    """

    def __init__(
        self, folder: Path, *, secrets: Mapping[str, Mapping[str, str]], claims: set[str], pods: int = 2
    ) -> None:
        self._folder, self._secrets, self._claims = folder, secrets, claims
        self._pool = ThreadPoolExecutor(pods)
        self.working: set[subprocess.Popen[bytes] | Started] = set()
        # Where there are any, a pod is a fork that need not import TFX, which costs more than most nodes.
        self.forks: Forks | None = None

    def run(
        self, run_id: str, spec: Mapping[str, Any], pods: Mapping[str, Any], values: Mapping[str, Any]
    ) -> "Execution":
        """Starts to execute a pipeline."""
        return Execution(self, run_id, spec, pods, values)

    def start(self, task: str, run: str, number: int, argv: list[str], pod: Mapping[str, Any]) -> Attempt:
        for mount in pod.get("pvcMount", []):
            assert mount["constant"] in self._claims, f"no claim {mount['constant']}: the pod would hang"
        secrets = {
            pair["envVar"]: self._secrets[source["secretName"]][pair["secretKey"]]
            for source in pod.get("secretAsEnv", [])
            for pair in source["keyToEnv"]
        }
        # A container has what its image and its spec give it, and nothing of this process.
        name = f"{run[:8]}-{task}-{number}"
        log = self._folder / f"{name}.log"
        last = log.with_suffix(".last")
        last.touch()
        env = {"PATH": os.environ["PATH"], "HOME": str(self._folder), "TERMINATION_LOG": str(last), **secrets}
        process: subprocess.Popen[bytes] | Started
        if self.forks and argv[0] == sys.executable:
            process = self.forks.start(argv[1:], cwd=self._folder, env=env, out=log)
        else:
            with open(log, "wb") as file:
                process = subprocess.Popen(
                    argv, cwd=self._folder, env=env, stdout=file, stderr=file, start_new_session=True
                )
        self.working.add(process)
        return Attempt(task, name, log, datetime.now(UTC), process, number=number)

    def close(self) -> None:
        for process in self.working:
            if process.poll() is None:
                process.kill()
                process.wait()
        self._pool.shutdown()


class Execution(threading.Thread):
    """One run: tasks in the order of their dependencies, with retries, until all ended or one failed."""

    def __init__(self, cluster: Cluster, run_id: str, spec: Any, pods: Any, values: Any) -> None:
        super().__init__(daemon=True)
        self._cluster, self._run_id, self._spec, self._pods = cluster, run_id, spec, pods
        self._values = values
        self._plan = spec["root"]["dag"]["tasks"]
        self.tasks = {name: TaskRun() for name in self._plan}
        self.state, self.began = "PENDING", datetime.now(UTC)
        self.ended: datetime | None = None
        self.start()

    def run(self) -> None:
        self.state = "RUNNING"
        futures: dict[Future[None], str] = {}
        while True:
            for name, task in self.tasks.items():
                upstream = [self.tasks[other].state for other in self._plan[name].get("dependentTasks", [])]
                if task.state == "PENDING" and all(state == "SUCCEEDED" for state in upstream):
                    task.state = "QUEUED"
                    futures[self._cluster._pool.submit(self._execute, name)] = name
            if not futures:
                break
            for future in wait(futures, return_when=FIRST_COMPLETED).done:
                del futures[future]
                future.result()
        done = all(task.state == "SUCCEEDED" for task in self.tasks.values())
        self.ended = datetime.now(UTC)
        self.state = "SUCCEEDED" if done else "FAILED"

    def _execute(self, name: str) -> None:
        plan, task = self._plan[name], self.tasks[name]
        label = self._spec["components"][plan["componentRef"]["name"]]["executorLabel"]
        argv = command_line(self._spec, name, self._run_id, self._values)
        argv[0] = sys.executable if argv[0] == "python" else argv[0]
        policy = plan.get("retryPolicy", {})
        task.state, task.began = "RUNNING", datetime.now(UTC)
        for number in range(int(policy.get("maxRetryCount", 0)) + 1):
            if number:
                time.sleep(float(policy.get("backoffDuration", "0s").rstrip("s")))
            attempt = self._cluster.start(name, self._run_id, number, argv, self._pods.get(label, {}))
            task.attempts.append(attempt)
            status = attempt.process.wait()
            attempt.ended = task.ended = datetime.now(UTC)
            if status == 0:
                task.state = "SUCCEEDED"
                return
        task.state = "FAILED"
