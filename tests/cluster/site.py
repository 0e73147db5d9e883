"""What a platform engineer sets up, under names of its own: manifests, image and sample data."""

import base64
import json
import os
import re
import subprocess
import sys
import threading
import time
import uuid
import zlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from maskline.pipeline.settings.cluster import ClusterSettings
from maskline.transform.names import CLUSTER_TOKEN
from tests.cluster.kube import Kube, Missing, run, wait_for
from tests.support import ANY_MODEL, REPOSITORY, environment

MANIFESTS = REPOSITORY / "kubeflow/manifests"
# A PostgreSQL that is there, with the database and user of metadata.env; else the manifests' own is started.
STORE = os.environ.get("METADATA_HOST", "")


# Of runs that show something else than quality: two epochs, and bars that any model passes.
QUICK = (
    "--set=training.epochs=2", *(f"--set={bar}" for bar in ANY_MODEL),
    "--set=release_gate.margin=1", "--set=model_checks.latency_p50_ms=5000",
    "--set=model_checks.latency_p95_ms=10000",
)  # fmt: skip


class PodName(NamedTuple):
    """A pod: its name, which another one may have after it, and its id, which none has."""

    name: str
    uid: str


class Submitted(NamedTuple):
    """How a command of `maskline kubeflow` ended."""

    status: int
    output: str
    seconds: float

    @property
    def run(self) -> str:
        """The run's id; empty where there is none."""
        found = re.search(r"^run ([-0-9a-f]{36}):", self.output, re.M)
        return found[1] if found else ""

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
      token: of a user, for a backend that serves many.
    """

    def __init__(self, kube: Kube, folder: Path, image: str, host: str, *, token: str = "") -> None:
        self.kube, self.folder, self.image, self.host = kube, folder, image, host
        self._env = {CLUSTER_TOKEN: token} if token else {}
        self.name = f"mt-{uuid.uuid4().hex[:6]}"
        self.shell = f"{self.name}-maskline-shell"
        self.runs: list[str] = []
        self.first = ""  # the run of the image's own settings
        self.first_ended = threading.Event()
        self._bundling = threading.Lock()
        self._bundles: set[str] = set()
        settings = {
            "host": host, "image": image, "namespace": kube.namespace, "experiment": self.name,
            "service_account": f"{self.name}-maskline-runner",
            "node": {"cpu": "500m", "memory": "3Gi", "retry_seconds": 1},
            "nodes": {"Trainer": {"cpu": "1", "memory": "4Gi"}}, "schedule": {"name": self.name},
        }  # fmt: skip
        store = STORE or f"{self.name}-maskline-metadata"
        secret = f"{self.name}-maskline-metadata"
        self._database = self.name.replace("-", "_")
        settings["metadata"] = {"host": store, "secret": secret, "database": self._database}
        # In the file, because what --set gives is added to the volumes that are there.
        text, claim = (REPOSITORY / "maskline.yaml").read_text(), "volumes: {maskline: "
        assert claim in text
        self.config = folder / "maskline.yaml"
        self.config.write_text(text.replace(claim, f"volumes: {{{self.name}-maskline: "))
        self.address = f"postgresql://{store}:5432/{self._database}"
        self.options = [f"--set=cluster.{key}={json.dumps(value)}" for key, value in settings.items()]
        self.options.append(f"--set=data.schema={REPOSITORY}/transform/schema.pbtxt")  # not beside that file

    def set_up(self) -> None:
        """Applies the manifests, waits for the init job, and lays sample data into the volume."""
        self.kube("apply", "-f", "-", text=self.manifests())
        job = f"job/{self.name}-maskline-metadata-init"
        self.kube("wait", "--for=condition=complete", job, "--timeout=10m")
        self.kube("wait", "--for=condition=Ready", f"pod/{self.shell}", "--timeout=10m")
        self.in_shell("data", "--out", "/mnt/maskline/data")
        self.in_shell("data", "--out", "/mnt/maskline/few", "--records", "100", "--seed", "9")

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
            if not self.kube("get", "role", "pipeline-runner", "--ignore-not-found"):  # as the file says
                text = text.replace("kind: Role ", "kind: ClusterRole ").replace(
                    "pipeline-runner", "kubeflow-edit"
                )
            (self.folder / file.name).write_text(text)
            overlay["resources"].append(file.name)
        (self.folder / "metadata.env").write_text("user=maskline\npassword=change-me\n")
        (self.folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
        return run("kubectl", "kustomize", self.folder)

    def in_shell(self, *arguments: object, check: bool = True) -> str:
        """Maskline's command line in the shell pod."""
        command = ("python", "-m", "maskline.pipeline.cli", *arguments)
        return self.kube("exec", self.shell, "--", *command, check=check)

    def bundle(self, name: str, *options: str) -> list[str]:
        """Compiles the pipeline with other settings, and lays it into the volume, beside `node.py`.

        With `cluster.home` there, no image has to be built for each of them. Each has a root and a database
        of its own: one database belongs to one root.

        Args:
          name: of the folder in the volume.
          options: `--set=…`.

        Returns:
          what `submit` is to be given.
        """
        home = f"/mnt/maskline/{name}"
        own = {"home": home, "root": f"{home}/root", "metadata.database": f"{self._database}_{name}"}
        given = [*(f"--set=cluster.{key}={value}" for key, value in own.items()), *options]
        with self._bundling:
            self._lay(name, given)
        return given

    def _lay(self, name: str, given: Sequence[str]) -> None:
        if name not in self._bundles:
            folder = self.folder / name
            done = self.start("bundle", *given, "--output", str(folder / "bundle"))
            said, _ = done.communicate(timeout=600)
            if done.returncode:
                raise Missing(f"maskline kubeflow bundle: {said}")
            home = f"/mnt/maskline/{name}"
            self.kube("cp", folder, f"{self.shell}:{home}")
            self.kube("exec", self.shell, "--", "cp", "/opt/maskline/node.py", home)
            # The store makes a database that is not there.
            init = ("python", "/opt/maskline/init_metadata.py", f"{self.address}_{name}")
            self.kube("exec", self.shell, "--", *init)
            self._bundles.add(name)

    def quick(self, root: str = "quick", *more: str) -> list[str]:
        """Options of a quick run with a root of its own, and a training that is in no cache."""
        seed = f"--set=training.seed={zlib.crc32(root.encode()) % 10**6}"
        return self.bundle(root, *QUICK, seed, *more)

    def versions(self, root: str) -> list[str]:
        """What was released below a root in the volume."""
        program = (
            "import pathlib, sys; print(*sorted(p.name for p in pathlib.Path(sys.argv[1]).glob('*') "
            "if p.name.isdigit()))"
        )
        return self.python(program, f"/mnt/maskline/{root}/serving/maskline").split()

    def shown(self, run_id: str, name: str = "") -> dict[str, Any]:
        """What `maskline show` in the shell pod says of a run, of a bundle or of the image's own settings."""
        root, store = ("root", self.address) if not name else (f"{name}/root", f"{self.address}_{name}")
        told = self.in_shell("show", run_id, "--json", "--root", f"/mnt/maskline/{root}", "--metadata", store)
        found: dict[str, Any] = json.loads(told)
        return found

    def wait_for_log(self, pod: str, words: str) -> None:
        """Waits until a pod's node has written words."""
        wait_for(f"{words} in the log", lambda: words in self.kube("logs", pod, "-c", "main", check=False))

    def write(self, file: str, text: str) -> None:
        """Writes a small file in the volume."""
        self.python("import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])", file, text)

    def bucket_secret(self) -> str:
        """A Secret with keys and address of the installation's own S3, as nodes take them."""
        given = self.kube.get("secret", "mlpipeline-minio-artifact")["data"]
        services = [s["metadata"]["name"] for s in self.kube.get("services")["items"]]
        host = next((name for name in ("seaweedfs", "minio-service") if name in services), None)
        if host is None:
            raise Missing("the installation has no service seaweedfs or minio-service")
        plain = {key: base64.b64decode(given[key]).decode() for key in ("accesskey", "secretkey")}
        values = {"access_key_id": plain["accesskey"], "secret_access_key": plain["secretkey"],
                  "endpoint_url": f"http://{host}.{self.kube.namespace}:9000"}  # fmt: skip
        name = f"{self.name}-bucket"
        secret = {"apiVersion": "v1", "kind": "Secret", "stringData": values,
                  "metadata": {"name": name, "labels": {"maskline-test": self.name}}}  # fmt: skip
        self.kube("apply", "-f", "-", text=json.dumps(secret))
        return name

    def python(self, program: str, *arguments: object) -> str:
        """A program in the shell pod, in a fresh process."""
        return self.kube("exec", self.shell, "--", "python", "-c", program, *arguments)

    def kubeflow(self, command: str, *arguments: str, env: Mapping[str, str] | None = None) -> Submitted:
        """`maskline kubeflow …` on this machine, with this site's settings."""
        began = time.monotonic()
        done = self.start(command, *arguments, env=env)
        output, _ = done.communicate(timeout=3600)
        submitted = Submitted(done.returncode, output, time.monotonic() - began)
        if command == "submit" and submitted.run:
            self.runs.append(submitted.run)
        return submitted

    def start(
        self, command: str, *arguments: str, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Starts a command, to do something meanwhile."""
        argv = [sys.executable, "-m", "maskline.pipeline.cli", "kubeflow", command]
        return subprocess.Popen(
            [*argv, "--config", str(self.config), *self.options, *arguments], cwd=REPOSITORY, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=environment() | self._env | dict(env or {}),
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
        kinds = "cronjob,pod,job,statefulset,service,persistentvolumeclaim,secret,serviceaccount,rolebinding"
        self.kube("delete", kinds, "-l", f"maskline-test={self.name}", "--wait=false")
        # A StatefulSet leaves its claim.
        claim = f"data-{self.name}-maskline-metadata-0"
        self.kube("delete", "persistentvolumeclaim", claim, "--ignore-not-found", "--wait=false")

    def pod_of(
        self, run_id: str, words: str, phase: str = "Running", other_than: Collection[str] = ()
    ) -> PodName:
        """A pod of a run that works or worked, by words in its command, and none of some ids."""

        def look() -> PodName | None:
            for pod in self.pods(run_id):
                found = pod["metadata"]
                # A driver's pod names the command of the node that it stands before.
                works = pod["status"]["phase"] == phase and "container-impl" in found["name"]
                # Argo makes a pod that is gone within ten seconds anew, as if it had never been.
                began = datetime.fromisoformat(found["creationTimestamp"]).timestamp()
                old = time.time() - began > 15 and found["uid"] not in other_than
                if works and old and words in json.dumps(pod["spec"]["containers"]):
                    return PodName(found["name"], found["uid"])
            return None

        found: PodName = wait_for(f"a pod with {words}", look)
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
