"""What a platform engineer sets up, under names of its own: manifests, image and sample data."""

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from maskline.pipeline.settings.cluster import ClusterSettings
from tests.cluster.kube import Kube, Missing, run, wait_for
from tests.support import REPOSITORY, environment

MANIFESTS = REPOSITORY / "kubeflow/manifests"
# A PostgreSQL that is there, with the database and user of metadata.env; else the manifests' own is started.
STORE = os.environ.get("METADATA_HOST", "")


class Submitted(NamedTuple):
    """How a command of `maskline kubeflow` ended."""

    status: int
    output: str
    seconds: float

    @property
    def run(self) -> str:
        """The run's id."""
        return self.output.partition("run ")[2].partition(":")[0]

    @property
    def last(self) -> str:
        """Its last lines, of which the table shows one."""
        return " / ".join(self.output.strip().splitlines()[-2:])


class Site:
    """Objects of a name of their own in a namespace; `remove` takes all of them away again.

    Args:
      kube: the cluster.
      folder: for what is applied, kept for a look at it.
      image: by digest, as the cluster's machines can pull it.
      host: the API of Kubeflow Pipelines.
    """

    def __init__(self, kube: Kube, folder: Path, image: str, host: str) -> None:
        self.kube, self.folder, self.image = kube, folder, image
        self.name = f"mt-{uuid.uuid4().hex[:6]}"
        self.shell = f"{self.name}-maskline-shell"
        self.runs: list[str] = []
        settings = {
            "host": host, "image": image, "namespace": kube.namespace, "experiment": self.name,
            "service_account": f"{self.name}-maskline-runner",
            "volumes": {f"{self.name}-maskline": "/mnt/maskline"},
            "node": {"cpu": "500m", "memory": "3Gi", "retry_seconds": 1},
            "nodes": {"Trainer": {"cpu": "1", "memory": "4Gi"}}, "schedule": {"name": self.name},
        }  # fmt: skip
        store = STORE or f"{self.name}-maskline-metadata"
        settings["metadata"] = {"host": store, "secret": f"{self.name}-maskline-metadata"}
        self.address = f"postgresql://{store}:5432/maskline"
        self.options = [f"--set=cluster.{key}={json.dumps(value)}" for key, value in settings.items()]

    def set_up(self) -> None:
        """Applies the manifests, waits for the init job, and lays sample data into the volume."""
        self.kube("apply", "-f", "-", text=self.manifests())
        job = f"job/{self.name}-maskline-metadata-init"
        self.kube("wait", "--for=condition=complete", job, "--timeout=10m")
        self.kube("wait", "--for=condition=Ready", f"pod/{self.shell}", "--timeout=10m")
        self.in_shell("data", "--out", "/mnt/maskline/data")

    def manifests(self) -> str:
        """The project's own, and its shell pod, under this site's name."""
        registry, _, digest = self.image.partition("@")
        overlay: dict[str, Any] = {
            "namePrefix": f"{self.name}-",
            "namespace": self.kube.namespace,
            "labels": [{"pairs": {"maskline-test": self.name}}],
            "images": [{"name": "maskline", "newName": registry, "digest": digest}],
            "generatorOptions": {"disableNameSuffixHash": True},
            "secretGenerator": [{"name": "maskline-metadata", "envs": ["metadata.env"]}],
            "resources": [],
        }
        for file in (*MANIFESTS.glob("*.yaml"), *(MANIFESTS / "shell").glob("*.yaml")):
            if file.name == "kustomization.yaml" or (STORE and file.name == "metadata-store.yaml"):
                continue
            text = file.read_text().replace(ClusterSettings().metadata.address, self.address)
            text = text.replace("ReadWriteMany", os.environ.get("ACCESS_MODE", "ReadWriteMany"))
            (self.folder / file.name).write_text(text)
            overlay["resources"].append(file.name)
        (self.folder / "metadata.env").write_text("user=maskline\npassword=change-me\n")
        (self.folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
        return run("kubectl", "kustomize", self.folder)

    def in_shell(self, *arguments: object, check: bool = True) -> str:
        """Maskline's command line in the shell pod."""
        command = ("python", "-m", "maskline.pipeline.cli", *arguments)
        return self.kube("exec", self.shell, "--", *command, check=check)

    def python(self, program: str, *arguments: object) -> str:
        """A program in the shell pod, in a fresh process."""
        return self.kube("exec", self.shell, "--", "python", "-c", program, *arguments)

    def kubeflow(self, command: str, *arguments: str) -> Submitted:
        """`maskline kubeflow …` on this machine, with this site's settings."""
        began = time.monotonic()
        done = self.start(command, *arguments)
        output, _ = done.communicate(timeout=3600)
        submitted = Submitted(done.returncode, output, time.monotonic() - began)
        self.runs += [submitted.run] if submitted.run else []
        return submitted

    def start(self, command: str, *arguments: str) -> subprocess.Popen[str]:
        """Starts a command, to do something meanwhile."""
        argv = [sys.executable, "-m", "maskline.pipeline.cli", "kubeflow", command]
        return subprocess.Popen(
            [*argv, *arguments, "--config", "maskline.yaml", *self.options], cwd=REPOSITORY, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(),
        )  # fmt: skip

    def pods(self, run_id: str) -> list[dict[str, Any]]:
        """The pods of a run that are there."""
        found: list[dict[str, Any]] = self.kube.get("pods", "-l", f"pipeline/runid={run_id}")["items"]
        return found

    def remove(self) -> None:
        """Takes away what was made, the schedule too."""
        self.kubeflow("unschedule")
        for run_id in self.runs:
            self.kube("delete", "workflow", "-l", f"pipeline/runid={run_id}", "--wait=false", check=False)
        kinds = "pod,job,statefulset,service,persistentvolumeclaim,secret,serviceaccount,rolebinding"
        self.kube("delete", kinds, "-l", f"maskline-test={self.name}", "--wait=false")
        # A StatefulSet leaves its claim.
        claim = f"data-{self.name}-maskline-metadata-0"
        self.kube("delete", "persistentvolumeclaim", claim, "--ignore-not-found", "--wait=false")

    def pod_of(self, run_id: str, words: str) -> str:
        """The name of a pod of a run that works, by words in its command."""

        def look() -> str:
            for pod in self.pods(run_id):
                if pod["status"]["phase"] == "Running" and words in json.dumps(pod["spec"]["containers"]):
                    return str(pod["metadata"]["name"])
            return ""

        found: str = wait_for(f"a pod with {words}", look)
        return found


def image() -> str:
    """The image to test: `IMAGE` by digest, or one built of this checkout and pushed to `REGISTRY`.

    Raises:
      Missing: neither is set, or no builder is there.
    """
    if given := os.environ.get("IMAGE"):
        return given
    registry = os.environ.get("REGISTRY")
    if not registry:
        raise Missing(
            "set IMAGE to an image of this checkout by digest, or REGISTRY to a registry that this machine "
            "may push to and the cluster may pull from"
        )
    name = f"{registry}/maskline"
    run(sys.executable, "-m", "maskline.pipeline.cli", "kubeflow", "bundle", "--config", "maskline.yaml")
    run("docker", "build", "-f", "kubeflow/Dockerfile", "-t", name, REPOSITORY, seconds=3600)
    run("docker", "push", name, seconds=3600)
    digests = run("docker", "inspect", "--format", "{{json .RepoDigests}}", name)
    return next(digest for digest in json.loads(digests) if digest.startswith(f"{name}@"))
