"""The rows of the table. Each says what it saw, and raises `AssertionError` where that is wrong."""

import re
import subprocess
import time
from collections.abc import Callable

from tests.cluster.kube import wait_for
from tests.cluster.site import Site, Submitted

Case = Callable[[Site], str]

LOAD = """
import pathlib
folder = max(pathlib.Path("/mnt/maskline/root/serving/maskline").iterdir(), key=lambda p: int(p.name))
import tensorflow as tf
model = tf.saved_model.load(str(folder))
print(folder.name, sorted(model.signatures))
"""
# In the shell pod: every tenth row of the first shard gets a symbol that no vocabulary has.
SPOIL = """
import pathlib, shutil, tensorflow as tf
there, here = pathlib.Path("/mnt/maskline/bad"), pathlib.Path("/mnt/maskline/data")
there.mkdir(exist_ok=True)
shard = sorted(here.iterdir())[0]
options = tf.io.TFRecordOptions(compression_type="GZIP" if shard.suffix == ".gz" else "")
rows = [record.numpy() for record in tf.data.TFRecordDataset(str(shard), options.compression_type)]
with tf.io.TFRecordWriter(str(there / shard.name), options) as file:
    for number, row in enumerate(rows):
        if number % 10 == 0:
            example = tf.train.Example.FromString(row)
            for feature in example.features.feature.values():
                if feature.int64_list.value:
                    feature.int64_list.value[0] = 10**6
            row = example.SerializeToString()
        file.write(row)
print(len(rows))
"""


def released(site: Site) -> str:
    """The default pipeline, on a new root: released, and the model loads in a fresh process."""
    submitted = site.kubeflow("submit")
    assert submitted.status == 0, submitted.output
    loaded = site.python(LOAD).split(maxsplit=1)
    assert loaded[0] == "1", loaded
    return f"released, exit 0, {submitted.seconds:.0f} s; version {loaded[0]} loads"


def cached(site: Site) -> str:
    """The same again: nothing is released twice."""
    submitted = site.kubeflow("submit")
    assert submitted.status == 0, submitted.output
    versions = site.kube("exec", site.shell, "--", "ls", "/mnt/maskline/root/serving/maskline").split()
    assert versions == ["1"], versions
    return f"exit 0, {submitted.seconds:.0f} s; still version 1"


def blocked(site: Site) -> str:
    """Data that the gate blocks: words and exit 3; the same from `show` after the pods are gone."""
    site.python(SPOIL)
    submitted = site.kubeflow("submit", "--parameter", "data=/mnt/maskline/bad")
    assert submitted.status == 3, submitted.output
    assert "data-gate: blocked: bad rows: " in submitted.output, submitted.output
    return f"exit 3: {submitted.last}; {_again(site, submitted)}"


def missing(site: Site) -> str:
    """Data that are not there: words and exit 2, afterwards too."""
    submitted = site.kubeflow("submit", "--parameter", "data=/mnt/maskline/nowhere")
    assert submitted.status == 2, submitted.output
    assert "/mnt/maskline/nowhere: no such data directory" in submitted.output, submitted.output
    wrong = site.kubeflow("submit", "--parameter", "spam=3")
    assert wrong.status == 2, wrong.output
    return f"exit 2: {submitted.last}; {_again(site, submitted)}"


def _again(site: Site, submitted: Submitted) -> str:
    """`show` after the run's pods were deleted, and their logs with them."""
    site.kube("delete", "pod", "-l", f"pipeline/runid={submitted.run}", "--wait=true")
    shown = site.kubeflow("show", submitted.run)
    words = submitted.output.strip().splitlines()[-1].removeprefix("Error: ")
    assert shown.status == submitted.status, shown.output
    assert words in shown.output, shown.output
    return "the same from show without pods"


def deleted(site: Site) -> str:
    """The trainer's pod is deleted in the middle: tried again, one execution, released."""
    site.in_shell("data", "--out", "/mnt/maskline/more", "--seed", "7")
    process = site.start("submit", "--parameter", "data=/mnt/maskline/more")
    run_id = ""
    assert process.stdout
    for line in process.stdout:
        run_id = run_id or line.partition("run ")[2].partition(":")[0]
        if line.startswith("  trainer"):
            site.kube(
                "delete", "pod", site.pod_of(run_id, '"--node", "Trainer"'), "--grace-period=0", "--force"
            )
            break
    site.runs.append(run_id)
    rest = process.stdout.read()
    assert process.wait() == 0, rest
    return "exit 0; trainer tried again"


def out_of_memory(site: Site) -> str:
    """A trainer whose memory limit is too low: exit 1 with the reason that Kubernetes gives."""
    site.in_shell("data", "--out", "/mnt/maskline/other", "--seed", "8")
    low = '--set=cluster.nodes={"Trainer": {"memory": "300Mi", "retries": 0}}'
    submitted = site.kubeflow("submit", low, "--parameter", "data=/mnt/maskline/other")
    assert submitted.status == 1, submitted.output
    assert "trainer: " in submitted.output, submitted.output
    assert "OOMKilled" in submitted.output, submitted.output
    return f"exit 1: {submitted.last}"


def no_image(site: Site) -> str:
    """An image that cannot be pulled: said within a minute of the pod's start, and nothing goes on."""
    name = f"localhost:1/nobody@sha256:{'0' * 64}"
    began = time.monotonic()
    submitted = site.kubeflow("submit", f"--set=cluster.image={name}")
    assert submitted.status == 2, submitted.output
    assert "Image" in submitted.last, submitted.output
    wait_for("pods of the run to end", lambda: not [
        pod for pod in site.pods(submitted.run) if pod["status"]["phase"] in ("Pending", "Running")
    ], 120)  # fmt: skip
    return f"exit 2 after {time.monotonic() - began:.0f} s: {submitted.last}"


def secure(site: Site) -> str:
    """What runs passes the `restricted` Pod Security standard, which the API server itself checks."""
    label = "pod-security.kubernetes.io/enforce=restricted"
    command = ("kubectl", "label", "--dry-run=server", "--overwrite", "namespace", site.kube.namespace, label)
    told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    ours = [line for line in told.splitlines() if site.name in line]
    assert not ours, ours
    ids = site.kube("exec", site.shell, "--", "id").strip()
    return f"no warning names a pod of ours; {ids}"


def shell(site: Site) -> str:
    """`models`, `rollback` and `report` in the shell pod."""
    models = site.in_shell("models", "--root", "/mnt/maskline/root")
    assert re.search(r"^\W*1\b", models, re.M), models
    return models.strip().splitlines()[0]


def recurring(site: Site) -> str:
    """A schedule fires at its minute; `unschedule` stops it."""
    every = '--set=cluster.schedule.cron="0 * * * * *"'
    assert site.kubeflow("schedule", every).status == 0

    label = "scheduledworkflows.kubeflow.org/isOwnedByScheduledWorkflow=true"

    def fired() -> str:
        return site.kube("get", "workflow", "-l", label, "-o", "name", check=False)

    wait_for("the recurring run", fired, 180)
    assert site.kubeflow("unschedule").status == 0
    return "fired within its minute, and was removed"


CASES: dict[str, Case] = {
    "default pipeline, new root": released,
    "the same again": cached,
    "data gate blocks": blocked,
    "data that are not there": missing,
    "trainer's pod deleted in the middle": deleted,
    "trainer runs out of memory": out_of_memory,
    "image that cannot be pulled": no_image,
    "security": secure,
    "shell pod": shell,
    "recurring run": recurring,
}
