"""The image: built from the Dockerfile by a real builder, and a node run in it as a pod would."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import tensorflow as tf
import yaml
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.pipeline.cluster.metadata import connection
from maskline.pipeline.cluster.store import Store
from tests.bench.stacks import main as compare_stacks
from tests.image_builder import Builder, Container, context_of_checkout, image_builder
from tests.kfp_cluster import command_line
from tests.stack import sbom
from tests.stack.locked import locked
from tests.support import REPOSITORY, maskline

pytestmark = pytest.mark.slow
HOME = "opt/maskline"
OURS = ("components", "maskline", "pipeline", "trainer", "transform")
IMAGE_TAG = "cpython-313"
USER = 10001
RUN = "6f1c0d5e-run"


class Image(NamedTuple):
    """The image of this checkout, the document that goes with it, and what its pods are given."""

    container: Container
    context: Path
    spec: dict[str, Any]
    volume: Path
    address: str
    credentials: dict[str, str]

    def run(self, argv: list[str]) -> Any:
        return self.container.run(argv, volumes={self.volume: "/mnt/maskline"}, **self.credentials)


@pytest.fixture(scope="module")
def builder() -> Iterator[Builder]:
    with image_builder() as builder:
        yield builder


@pytest.fixture(scope="module")
def image(builder, postgres, shards, tmp_path_factory) -> Image:
    folder = tmp_path_factory.mktemp("image")
    context = context_of_checkout(folder / "context")
    leftover = context / "components/__pycache__/gone.cpython-311.pyc"
    leftover.parent.mkdir()
    leftover.touch()
    address = postgres.database("image")
    options = [f"--set=cluster.metadata.{key}" for key in
               ("host=127.0.0.1", f"port={postgres.port}", "database=image")]  # fmt: skip
    options += [
        "--set=cluster.grouping=node",
        f"--set=cluster.image=registry.example/maskline@sha256:{'0' * 64}",
    ]
    for command, output in (("bundle", context / "kubeflow/bundle"), ("compile", folder / "document.yaml")):
        done = maskline("kubeflow", command, *options, "--output", output)
        assert done.returncode == 0, done.stderr
    spec, _ = yaml.safe_load_all((folder / "document.yaml").read_text())
    volume = folder / "volume"
    shutil.copytree(shards, volume / "data")
    # As the Job's fsGroup leaves it: root's, and open to the image's group.
    shutil.chown(volume, 0, USER)
    volume.chmod(0o2775)
    return Image(builder.build(context), context, spec, volume, address, postgres.credentials)


@pytest.fixture(scope="module")
def prepared(image) -> Image:
    """With the metadata store's tables made, as the manifests' Job does."""
    job = yaml.safe_load((REPOSITORY / "kubeflow/manifests/metadata-init.yaml").read_text())
    [container] = job["spec"]["template"]["spec"]["containers"]
    *program, _address, volume = container["command"]
    done = image.run([*program, image.address, volume])
    told = f"the metadata store is ready, {volume} can be written\n"
    assert (done.returncode, done.stdout) == (0, told), done.stderr
    return image


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_image_holds_source_bundle_and_bytecode_and_nothing_else(image):
    given = files(image.context)
    expected = {file for file in given if file.split("/")[0] in OURS and "__pycache__" not in file}
    expected |= {"locks/current.txt", "node.py", "init_metadata.py"}
    expected |= {cached(file) for file in expected if file.endswith(".py")}
    expected |= {file.removeprefix("kubeflow/") for file in given if file.startswith("kubeflow/bundle/")}
    assert files(image.container.root / HOME) == expected


def cached(source: str) -> str:
    """Where the image's Python looks for a module's bytecode."""
    path = Path(source)
    return str(path.parent / "__pycache__" / f"{path.stem}.{IMAGE_TAG}.pyc")


# Asked of the image's own Python, which knows bytecode by its number and hash. PEP 552: flags 1 mean that a
# hash of the source stands in the file, and that it is not checked.
NOT_CURRENT = """
import importlib.util, struct, sys
from pathlib import Path
sources = [source for folder in sys.argv[1:] for source in Path(folder).rglob("*.py")]
print(len(sources))
for source in sources:
    bytecode = Path(importlib.util.cache_from_source(str(source)))
    expected = (importlib.util.MAGIC_NUMBER, 1, importlib.util.source_hash(source.read_bytes()))
    if not bytecode.exists() or struct.unpack("<4sI8s", bytecode.read_bytes()[:16]) != expected:
        print(source)
"""


def test_bytecode_counts_so_that_no_pod_compiles(image):
    [packages] = (image.container.root / "opt/venv/lib").glob("python3*/site-packages")
    inside = f"/{packages.relative_to(image.container.root)}"
    parts = [f"{inside}/{name}" for name in ("tfx", "tensorflow/python", "apache_beam")]
    told = image.run(["python", "-c", NOT_CURRENT, f"/{HOME}", *parts])
    count, *not_current = told.stdout.splitlines()
    assert int(count) > 1000, told.stderr
    assert not not_current


def test_bill_of_materials_names_what_the_image_holds(image):
    """As `make sbom ROOT=…` does. Markers of the lock leave out what this Python does not need."""
    bill: dict[str, dict[str, str | None]] = {"pypi": {}, "deb": {}}
    for component in sbom.of_image(image.container.root):
        bill[component.purl.type][component.name] = component.version
    named = {package.name: package.version for package in locked("current")}
    assert bill["pypi"].items() <= named.items()
    assert {"tfx", "tensorflow", "apache-beam", "keras"} <= set(bill["pypi"])
    assert len(bill["pypi"]) > 0.9 * len(named)
    assert {"libc6", "dpkg", "ca-certificates"} <= set(bill["deb"])


def test_image_runs_as_a_user_by_number_who_can_change_nothing_in_it(image):
    assert image.container.config["User"] == f"{USER}:{USER}"
    told = image.run(["sh", "-c", f"id -u; id -g; touch /{HOME}/bundle/x /opt/venv/x"])
    assert told.stdout.split() == [str(USER), str(USER)]
    assert told.returncode != 0
    assert told.stderr.count("Permission denied") == 2, told.stderr
    # A pod is given the user alone, and the group that /etc/passwd has for it.
    named = image.run(["sh", "-c", f"grep :{USER}: /etc/passwd /etc/group | cut -d: -f2-5"])
    assert named.stdout.splitlines() == [f"maskline:x:{USER}:{USER}", f"maskline:x:{USER}:"], named.stdout


def test_image_by_hand_starts_what_the_document_starts(image):
    for executor in image.spec["deploymentSpec"]["executors"].values():
        assert executor["container"]["command"] == image.container.config["Entrypoint"]


def test_image_holds_the_pipeline_that_the_document_names(image):
    held = (image.container.root / HOME / "bundle/pipeline.ir.json").read_bytes()
    for task in image.spec["root"]["dag"]["tasks"]:
        argv = command_line(image.spec, task, RUN)
        assert argv[argv.index("--sha256") + 1] == hashlib.sha256(held).hexdigest()


def test_node_runs_with_the_document_s_command(prepared):
    done = prepared.run(command_line(prepared.spec, "example-gen", RUN))
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {(line["node"], line["run"]) for line in lines} == {("ExampleGen", RUN)}
    assert (lines[-1]["event"], lines[-1]["state"]) == ("ended", "COMPLETE")

    written = list((prepared.volume / "root").rglob("*"))
    assert {(path.stat().st_uid, path.stat().st_gid) for path in written} == {(USER, USER)}
    shards = [str(path) for path in written if path.is_file() and "Split-" in str(path)]
    records = tf.data.TFRecordDataset(shards, compression_type="GZIP")
    assert sum(1 for _ in records) == 2000, "four sample shards of 500 records, each row once"

    [execution] = Store(connection(prepared.address, prepared.credentials)).get_executions()
    assert execution.last_known_state == mlmd.Execution.COMPLETE


def test_shell_has_the_command_line(image):
    """As `manifests/shell` starts the image, and kubeflow/README.md uses it."""
    maskline = ["python", "-m", "maskline.pipeline.cli"]
    made = image.run([*maskline, "data", "--out", "/mnt/maskline/more", "--shards", "2", "--records", "10"])
    assert made.stdout == "2 shards of 10 records in /mnt/maskline/more\n", made.stderr
    models = image.run([*maskline, "models", "--root", "/mnt/maskline/root"])
    assert models.stdout == "no model was released yet; `maskline run` makes one\n", models.stderr
    assert image.run(["tar", "--version"]).returncode == 0, "`kubectl cp` needs it"


def test_whole_run_in_the_image_gives_what_this_machine_s_stack_gives(image, finished, capsys):
    """The current stack is in the image; on an older system, the older one made the other run."""
    for file in ("maskline.yaml", "transform/schema.pbtxt"):
        (image.volume / file).parent.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / file, image.volume / file)
    run = ["python", "-m", "maskline.pipeline.cli", "run", "--config", "/mnt/maskline/maskline.yaml"]
    run += ["--data", "/mnt/maskline/data", "--root", "/mnt/maskline/whole"]
    done = image.run([*run, "--set", "release_gate.min_accuracy=0.3"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Live is version 1" in done.stdout
    assert compare_stacks(finished.root, image.volume / "whole") == 0, capsys.readouterr().out


def test_node_refuses_a_pipeline_that_the_image_does_not_hold(image):
    argv = command_line(image.spec, "example-gen", RUN)
    argv[argv.index("--sha256") + 1] = "0" * 64
    done = image.run(argv)
    assert done.returncode == 2
    [line] = map(json.loads, done.stdout.splitlines())
    assert line["state"] == "REFUSED"
    assert "the image holds another pipeline" in line["log"]
