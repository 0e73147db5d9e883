"""Runs that a gate, or wrong input, ends: with words and an exit status, whatever became of the pods."""

import time

from maskline.pipeline.cluster.host import serves_many
from maskline.transform.names import CLUSTER_TOKEN
from tests.cluster.kube import Absent, wait_for
from tests.cluster.site import QUICK, Site, Submitted

# In the shell pod: every tenth row of the first shard gets a symbol that no vocabulary has.
SPOIL = """
import pathlib, tensorflow as tf
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
"""


def data_gate(site: Site) -> str:
    """Data that the gate blocks: words and exit 3."""
    site.python(SPOIL)
    submitted = site.kubeflow("submit", *site.quick(), "--parameter", "data=/mnt/maskline/bad")
    return _told(site, submitted, 3, "data-gate: blocked: bad rows: ")


def release_gate(site: Site) -> str:
    """A model that is not good enough: words and exit 3."""
    return _held_back(site, "release-gate", "release_gate.min_accuracy=0.999")


def model_checks(site: Site) -> str:
    """A model that answers too slowly: words and exit 3."""
    return _held_back(site, "model-checks", "model_checks.latency_p50_ms=0.001")


def _held_back(site: Site, gate: str, bar: str) -> str:
    folder = gate.replace("-", "_")
    options = site.bundle(folder, *QUICK, f"--set={bar}")
    submitted = site.kubeflow("submit", *options, "--parameter", "data=/mnt/maskline/few")
    assert site.versions(f"{folder}/root") == []
    return _told(site, submitted, 3, f"{gate}: blocked: ")


def missing(site: Site) -> str:
    """Data that are not there: words and exit 2."""
    submitted = site.kubeflow("submit", *site.quick(), "--parameter", "data=/mnt/maskline/nowhere")
    return _told(site, submitted, 2, "/mnt/maskline/nowhere: no such data directory")


def wrong_parameter(site: Site) -> str:
    """A parameter that is not there, and one of another type: words and exit 2, and no run."""
    said = []
    options = site.bundle("typed", '--set=cluster.parameters={"parts": "DataGate.presplit"}')
    for given in ("spam=3", "parts=many"):
        wrong = site.kubeflow("submit", *options, "--parameter", given)
        assert (wrong.status, wrong.run) == (2, ""), wrong.output
        said.append(wrong.last)
    return f"exit 2: {'; '.join(said)}"


def _told(site: Site, submitted: Submitted, status: int, words: str) -> str:
    """Checks the words, and that `show` says the same with pods, without them, and without Argo's object."""
    assert submitted.status == status, submitted.output
    assert words in submitted.output, submitted.output
    assert site.pods(submitted.run), "the pods of the run are gone too early to see the difference"
    for gone in ("", "pod", "workflow"):
        if gone:
            site.kube("delete", gone, "-l", f"pipeline/runid={submitted.run}", "--wait=true")
        shown = site.kubeflow("show", submitted.run)
        assert shown.status == status, f"without {gone}: {shown.output}"
        assert words in shown.output, f"without {gone}: {shown.output}"
    said = next(line for line in submitted.output.splitlines() if words in line)
    words = said.removeprefix("Error: ")
    return f"exit {status}: {words}; the same from show, without pods, and with the archive alone"


def no_image(site: Site) -> str:
    """An image that cannot be pulled: said within a minute of the pod's start, and nothing goes on."""
    return _cannot_start(site, "Image", f"--set=cluster.image=localhost:1/nobody@sha256:{'0' * 64}")


def no_volume(site: Site) -> str:
    """A claim that is not there."""
    return _cannot_start(site, "persistentvolumeclaim", '--set=cluster.volumes={"mt-none": "/mnt/maskline"}')


def no_quota(site: Site) -> str:
    """A quota that leaves no room for another pod."""
    name = f"{site.name}-quota"
    site.kube("create", "quota", name, "--hard=pods=1")
    try:
        wait_for("the quota", lambda: site.kube.get("quota", name).get("status", {}).get("hard"), 60)
        return _cannot_start(site, "exceeded quota")
    finally:
        site.kube("delete", "quota", name)


def _cannot_start(site: Site, words: str, *options: str) -> str:
    began = time.monotonic()
    submitted = site.kubeflow("submit", *site.quick(), *options, "--parameter", "data=/mnt/maskline/few")
    assert submitted.status == 2, submitted.output
    assert words in submitted.last, submitted.output
    wait_for("pods of the run to end", lambda: not [
        pod for pod in site.pods(submitted.run) if pod["status"]["phase"] in ("Pending", "Running")
    ], 120)  # fmt: skip
    return f"exit 2 after {time.monotonic() - began:.0f} s: {submitted.last}"


def wrong_token(site: Site) -> str:
    """A token that the host does not take."""
    if not serves_many(site.host, None):
        raise Absent("this backend serves one user, and asks for no token")
    submitted = site.kubeflow("schedules", env={CLUSTER_TOKEN: "wrong"})
    assert submitted.status == 2, submitted.output
    assert " 401 " in submitted.last, submitted.output
    return f"exit 2: {submitted.last}"
