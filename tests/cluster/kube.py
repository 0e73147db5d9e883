"""kubectl, and a cluster that it reaches; what is missing is said in one line."""

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any


class Missing(Exception):
    """Something that the test needs is not there; one line."""


def run(*command: object, text: str = "", seconds: float = 600, check: bool = True) -> str:
    """Runs a command and gives what it printed.

    Raises:
      Missing: it ended badly; gives its last line.
    """
    done = subprocess.run(
        [str(part) for part in command], input=text, capture_output=True, text=True, timeout=seconds
    )
    if check and done.returncode:
        told = (done.stderr or done.stdout).strip().splitlines()
        # What kubectl says last of a command in a pod is no news.
        said = [line for line in told if not line.startswith("command terminated")] or [
            f"status {done.returncode}"
        ]
        raise Missing(f"{command[0]} {command[1]}: {said[-1]}")
    return done.stdout


class Absent(Exception):
    """The cluster is not of the kind that a row is about; one line."""


class Kube:
    """kubectl in a namespace.

    Args:
      namespace: in which Kubeflow Pipelines runs its pods.
    """

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def need_pipelines(self) -> None:
        """Looks for what the test needs.

        Raises:
          Missing: no kubectl, no cluster, or no Kubeflow Pipelines in the namespace.
        """
        if not shutil.which("kubectl"):
            raise Missing("kubectl is not installed")
        try:
            run("kubectl", "get", "--raw", "/readyz", seconds=30)
        except (Missing, subprocess.TimeoutExpired) as error:
            raise Missing(f"no cluster answers; set KUBECONFIG to one ({error})") from None
        if not self("get", "service", "ml-pipeline", "--ignore-not-found", "-o", "name"):
            raise Missing(
                f"no Kubeflow Pipelines in namespace {self.namespace}, which has no service ml-pipeline; "
                "install it, or set KFP_NAMESPACE"
            )

    def __call__(self, *arguments: object, text: str = "", check: bool = True) -> str:
        return run("kubectl", "-n", self.namespace, *arguments, text=text, check=check)

    def get(self, *arguments: object) -> dict[str, Any]:
        """An object, or a list of them."""
        found: dict[str, Any] = json.loads(self("get", *arguments, "-o", "json"))
        return found

    def versions(self) -> str:
        """What the table is headed with."""
        server = json.loads(run("kubectl", "version", "-o", "json"))["serverVersion"]["gitVersion"]
        node = json.loads(run("kubectl", "get", "nodes", "-o", "json"))["items"][0]["status"]["nodeInfo"]
        return f"Kubernetes {server}, {node['containerRuntimeVersion']}, {node['osImage']}"

    @contextlib.contextmanager
    def forwarded(self) -> Iterator[str]:
        """The address of the API of Kubeflow Pipelines on this machine; `KFP_HOST` where that is set."""
        if given := os.environ.get("KFP_HOST"):
            yield given
            return
        process = subprocess.Popen(
            ["kubectl", "-n", self.namespace, "port-forward", "service/ml-pipeline", ":8888"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert process.stdout
            line = process.stdout.readline()  # Forwarding from 127.0.0.1:40123 -> 8888
            if "127.0.0.1:" not in line:
                raise Missing(f"kubectl port-forward service/ml-pipeline: {line or 'ended'}")
            yield f"http://127.0.0.1:{line.split('127.0.0.1:')[1].split()[0]}"
        finally:
            process.terminate()
            process.wait()


def wait_for(what: str, found: Callable[[], Any], seconds: float = 600) -> Any:
    """Asks until there is an answer.

    Raises:
      Missing: there was none in that time.
    """
    until = time.monotonic() + seconds
    while not (answer := found()):
        if time.monotonic() > until:
            raise Missing(f"{what}: not within {seconds:.0f} s")
        time.sleep(1)
    return answer
