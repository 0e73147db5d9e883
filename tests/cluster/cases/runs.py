"""Runs that end well."""

import json

from tests.cluster.site import QUICK, Site
from tests.support import RESOLVERS

LOAD = """
import pathlib
found = pathlib.Path("/mnt/maskline/root/serving/maskline").iterdir()
folder = max((path for path in found if path.name.isdigit()), key=lambda path: int(path.name))
import tensorflow as tf
model = tf.saved_model.load(str(folder))
print(folder.name, sorted(model.signatures))
"""


def released(site: Site) -> str:
    """The default pipeline, on a new root: released, and the model loads in a fresh process."""
    try:
        submitted = site.kubeflow("submit")
        site.first = submitted.run
    finally:
        site.first_ended.set()
    assert submitted.status == 0, submitted.output
    loaded = site.python(LOAD).split(maxsplit=1)
    assert loaded[0] == "1", loaded
    return f"released, exit 0, {submitted.seconds:.0f} s; version {loaded[0]} loads"


def cached(site: Site) -> str:
    """The same again: every node is cached but the resolvers, and nothing is released twice."""
    site.first_ended.wait(3600)
    submitted = site.kubeflow("submit")
    assert submitted.status == 0, submitted.output
    assert site.versions("root") == ["1"]
    states = {node["name"]: node["state"] for node in site.shown(submitted.run)["components"]}
    anew = {name for name, state in states.items() if state != "CACHED"}
    assert anew <= RESOLVERS, states
    return f"exit 0, {submitted.seconds:.0f} s; {len(states) - len(anew)} cached, still version 1"


def by_nodes(site: Site) -> str:
    """The default pipeline with a pod for each node, on a root of its own."""
    options = site.bundle("nodes", "--set=cluster.grouping=node")
    submitted = site.kubeflow("submit", *options)
    assert submitted.status == 0, submitted.output
    assert site.versions("nodes/root") == ["1"]
    return f"released, exit 0, {submitted.seconds:.0f} s"


def window(site: Site) -> str:
    """Two spans, one after the other: the second run trains on both."""
    for span in (1, 2):
        site.in_shell("data", "--out", f"/mnt/maskline/spans/span-{span}", "--seed", span, "--records", 200)
    options = site.bundle(
        "window", *QUICK, "--set=data.window=2",
        "--set=cluster.data=/mnt/maskline/spans/span-{SPAN}", "--set=data.path=spans/span-{SPAN}",
        "--set=data.allow_fewer=true", "--set=data.unchanged_for=0",
    )  # fmt: skip
    first = site.kubeflow("submit", *options, "--parameter", "span=1")
    assert first.status == 0, first.output
    second = site.kubeflow("submit", *options)
    assert second.status == 0, second.output
    found = site.shown(second.run, "window")
    assert [span["span"] for span in found["window"]] == [1, 2], found["window"]
    trained = next(node for node in found["components"] if node["name"] == "Trainer")["records_in"]["train"]
    before = site.shown(first.run, "window")
    rows = next(node for node in before["components"] if node["name"] == "Trainer")["records_in"]["train"]
    assert trained > 1.5 * rows, (rows, trained)
    return (
        f"exit 0, {second.seconds:.0f} s; trained on {trained:,} rows of spans 1 and 2, "
        f"{rows:,} of span 1 before; version {found['released_version']} released"
    )


def bucket(site: Site) -> str:
    """The whole pipeline with its artifacts in the S3 of the installation."""
    secret = site.bucket_secret()
    keys = [{"secret": secret, "key": key, "env": f"AWS_{key.upper()}"} for key in
            ("access_key_id", "secret_access_key", "endpoint_url")]  # fmt: skip
    options = site.bundle(
        "bucket", *QUICK, f"--set=cluster.pipeline_root=s3://mlpipeline/{site.name}",
        f"--set=cluster.secrets={json.dumps(keys)}",
    )  # fmt: skip
    submitted = site.kubeflow("submit", *options)
    assert submitted.status == 0, submitted.output
    assert site.versions("bucket/root") == ["1"]
    folders = site.kube("exec", site.shell, "--", "ls", "/mnt/maskline/bucket/root").split()
    assert "artifacts" not in folders, folders
    return f"released, exit 0, {submitted.seconds:.0f} s; the volume holds {', '.join(folders)}"
