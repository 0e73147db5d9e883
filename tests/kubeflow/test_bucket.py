"""A pipeline whose artifacts lie in a bucket: the whole of it, a killed node, what a pod says is wrong."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import NamedTuple

import pytest
import requests
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.dsl.io import fileio
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import standard_artifacts

from maskline.components.artifacts import VerdictArtifact
from maskline.pipeline.cluster import buckets
from maskline.pipeline.cluster.bucket_executors import Scratch
from maskline.pipeline.cluster.compiler import compile_pipeline
from maskline.pipeline.cluster.metadata import connection
from maskline.pipeline.cluster.node import NodeEnd
from maskline.pipeline.cluster.store import Store, open_store
from maskline.pipeline.errors import RunError
from maskline.pipeline.settings.load import load
from tests.buckets import KEY, SECRET, Bucket
from tests.kubeflow.test_node import compiled, gated, start
from tests.small_nodes import Broken, Many, launch
from tests.support import PATIENCE, QUICK, REPOSITORY, RESOLVERS, environment, versions


class Finished(NamedTuple):
    """Two runs of the default pipeline on the same data, one after the other."""

    bucket: Bucket
    volume: Path
    scratch: Path
    store: Store
    ir: str
    log: str
    ended: dict[str, dict[str, list]]


@pytest.fixture(scope="module")
def finished(s3, postgres, shards, tmp_path_factory) -> Finished:
    folder = tmp_path_factory.mktemp("bucket")
    (folder / "tmp").mkdir()
    places = {"data": shards, "root": folder / "volume", "pipeline_root": f"{s3.url}/whole", "home": folder}
    settings = [*QUICK[1::2], *(f"cluster.{key}={place}" for key, place in places.items())]
    pipeline = compile_pipeline(load(REPOSITORY / "maskline.yaml", settings))
    pipeline.write_bundle(folder / "bundle")
    address = postgres.database("bucket")
    store = open_store(connection(address, postgres.credentials), patience=60)
    arguments = [folder / "bundle/pipeline.ir.json", address, "first", "second"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.kubeflow.one_import", *map(str, arguments)], cwd=REPOSITORY,
        env=environment() | postgres.credentials | s3.env | {"TMPDIR": str(folder / "tmp")},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    ended: dict[str, dict[str, list]] = {"first": {}, "second": {}}
    for line in done.stdout.splitlines():
        if line.startswith("ended "):
            run, node, *how = json.loads(line.removeprefix("ended "))
            ended[run][node] = how
    return Finished(s3, folder / "volume", folder / "tmp", store, pipeline.ir, done.stdout, ended)


@pytest.mark.slow
def test_whole_pipeline_ends_released(finished):
    assert {state for _, state, *_ in finished.ended["first"].values()} == {"COMPLETE"}
    assert versions(finished.volume) == ["1"]
    assert sorted(path.name for path in finished.volume.iterdir()) == ["checkpoints", "serving"]
    assert list((finished.volume / "checkpoints").iterdir()) == []


@pytest.mark.slow
def test_second_run_is_all_cached(finished):
    for node, (status, state, *_) in finished.ended["second"].items():
        assert (status, state) == (0, "COMPLETE" if node in RESOLVERS else "CACHED"), node


@pytest.mark.slow
def test_every_artifact_lies_in_the_bucket_and_nothing_else_does(finished):
    files = finished.bucket.files("whole")
    places = {artifact.uri for artifact in finished.store.get_artifacts()}
    assert len(places) > 15
    top = f"{finished.bucket.url}/"
    for place in places:
        assert place.startswith(f"{top}whole/")
        assert any(f"{top}{file}".startswith(f"{place}/") for file in files), place
    for file in files:
        assert any(f"{top}{file}".startswith(f"{place}/") for place in places), file
    [model] = [place for place in places if "/Trainer/model/" in place]
    assert f"{model.removeprefix(top)}/Format-Serving/saved_model.pb" in files


@pytest.mark.slow
def test_nothing_of_a_run_stays_on_a_pod_or_in_the_records(finished):
    for how in finished.ended["first"].values():
        assert not [name for name in how[-1] if name.startswith("maskline-")]
    for message in (*finished.store.get_artifacts(), *finished.store.get_executions()):
        assert str(finished.scratch) not in str(message)
    [blessing] = finished.store.get_artifacts_by_type("ModelBlessing")
    said = blessing.custom_properties["current_model"].string_value
    assert said.startswith(f"{finished.bucket.url}/whole/Trainer/model/")


@pytest.mark.slow
def test_no_key_is_in_ir_log_or_records(finished):
    texts = [finished.ir, finished.log, *map(str, finished.store.get_executions())]
    assert len(finished.log) > 1000
    assert not any(secret in text for text in texts for secret in (KEY, SECRET))


@pytest.fixture(scope="module")
def address(postgres) -> str:
    address = postgres.database("bucket_nodes")
    open_store(connection(address, postgres.credentials), patience=60)
    return address


@pytest.fixture(scope="module")
def store(address, postgres) -> mlmd.ConnectionConfig:
    return connection(address, postgres.credentials)


def test_killed_attempt_s_half_upload_is_gone_after_the_next(s3, tmp_path, postgres, address, store):
    parameter = RuntimeParameter("files", ptype=int, default=1000)
    text = compiled(f"{s3.url}/killed", Many(files=parameter))
    process = start(text, tmp_path, "Many", address, **postgres.credentials, **s3.env)
    until = time.monotonic() + PATIENCE
    while not (left := [file for file in s3.files("killed/Many/out") if "/out/" in file]):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < until
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGKILL
    assert len(s3.files("killed/Many/out")) < 1000
    assert launch(text, "Many", "run-1", store, "files=2") == NodeEnd(0, "COMPLETE")
    now = s3.files("killed/Many/out")
    assert len(now) == 2
    assert not set(left) & set(now)
    assert Path(left[0]).parent == Path(now[0]).parent, "the same execution, and so the same place"


@pytest.mark.parametrize("kind", ["s3", "gs"])
def test_nodes_hand_on_artifacts_conditions_and_failures(kind, request, store):
    bucket, run = request.getfixturevalue(kind), str(uuid.uuid4())
    text = gated(f"{bucket.url}/{kind}-passed", passed=1)
    assert launch(text, "Gate", run, store) == NodeEnd(0, "COMPLETE")
    assert launch(text, "Reader", run, store) == NodeEnd(0, "COMPLETE")
    assert launch(text, "Reader", run, store) == NodeEnd(0, "COMPLETE"), "what is done stays done"

    [value] = bucket.files(f"{kind}-passed/Reader/out")
    with fileio.open(f"{bucket.url}/{value}") as file:
        assert file.read().startswith("/"), "what an executor is given is a path, and not a URL"

    blocked = NodeEnd(3, "BLOCKED", "rows of eval: 3 rows; at least 10")
    assert launch(gated(f"{bucket.url}/{kind}-blocked", passed=0), "Gate", run, store) == blocked

    text = compiled(f"{bucket.url}/{kind}-broken", Broken())
    with pytest.raises(ValueError, match="luck"):
        launch(text, "Broken", run, store)
    assert bucket.files(f"{kind}-broken") == []


def test_input_that_was_removed_is_named(s3, store):
    text = gated(f"{s3.url}/removed", passed=1)
    assert launch(text, "Gate", "run", store) == NodeEnd(0, "COMPLETE")
    fileio.rmtree(f"{s3.url}/removed/Gate")
    with pytest.raises(RunError, match=r"removed/Gate/verdict/.*: nothing is there, but input 'verdict' was"):
        launch(text, "Reader", "run", store)


def test_no_more_of_an_input_is_fetched_than_is_read(s3, tmp_path):
    for name in ("Split-train/a", "Split-eval/b", "Split-eval/c/d"):
        s3.write(f"fetched/{name}")
    [examples, verdict] = [standard_artifacts.Examples(), VerdictArtifact()]
    examples.uri, verdict.uri = f"{s3.url}/fetched", f"{s3.url}/none"
    scratch = Scratch(str(tmp_path))
    scratch.fetch(
        {"examples": [examples], "verdict": [verdict]}, {"examples": ("Split-eval",), "verdict": ()}
    )
    there = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    top = "s3/maskline-tests/fetched"
    assert there == {f"{top}/Split-eval/b", f"{top}/Split-eval/c/d"}
    assert scratch.url(f"a {tmp_path}/{top}/x") == f"a {s3.url}/fetched/x"


# aiohttp would rather be given a file; what gcsfs gives it is one part of one.
@pytest.mark.filterwarnings("ignore:Sending a large body directly with raw bytes:ResourceWarning")
def test_large_files_go_in_parts_and_come_back_whole(s3, gs, tmp_path):
    data = os.urandom(20 * 2**20)  # parts have 8 MiB
    (tmp_path / "large").write_bytes(data)
    for bucket in (s3, gs):
        buckets.upload(tmp_path / "large", f"{bucket.url}/large")
        assert buckets.download(f"{bucket.url}/large", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == data


def refusal(root: str, folder: Path, **env: str) -> str:
    """How a pod ends that shall work in a bucket."""
    text = json.dumps({"pipelineRoot": root})
    process = start(text, folder, "Trainer", "postgresql://nowhere:1/x", **env)
    out, _ = process.communicate(timeout=PATIENCE)
    [line] = map(json.loads, out.splitlines())
    assert (process.returncode, line["state"], line["event"]) == (2, "REFUSED", "ended")
    assert "\n" not in line["reason"]
    return line["reason"]


def test_missing_package_is_named(tmp_path):
    for scheme, package in (("s3", "s3fs"), ("gs", "gcsfs")):
        (tmp_path / f"{package}.py").write_text("raise ImportError")
        said = refusal(f"{scheme}://b/x", tmp_path, PYTHONPATH=f"{tmp_path}:{REPOSITORY}")
        assert said == (
            f"{scheme}:// needs the package {package}, which the image lacks; build it with locks/current.txt"
        )


def test_missing_bucket_is_named(s3, gs, tmp_path):
    for bucket in (s3, gs):
        scheme = bucket.url.partition(":")[0]
        said = refusal(f"{scheme}://nobody/x/y", tmp_path, **bucket.env)
        assert said == f"{scheme}://nobody: no such bucket; create it, or fix cluster.pipeline_root"


def test_address_where_nobody_answers_is_named(s3, tmp_path):
    nobody = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    said = refusal("s3://b/x", tmp_path, **s3.env | nobody)
    assert said.startswith(
        "s3://b/x: could not be read or written (EndpointConnectionError: Could not connect "
    )
    assert said.endswith("check the bucket's address, the network and the credentials in cluster.secrets")


def test_missing_key_is_named(s3, tmp_path):
    none = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"}
    said = refusal("s3://b/x", tmp_path, **s3.env | none | {"HOME": str(tmp_path)})
    assert said.startswith(
        "s3://b/x: could not be read or written (NoCredentialsError: Unable to locate cred"
    )


@pytest.fixture
def strict(s3):
    """Moto asks for valid keys, as S3 does."""
    requests.post(f"{s3.server}/moto-api/reset-auth", data="0", timeout=10)
    yield
    requests.post(f"{s3.server}/moto-api/reset-auth", data="inf", timeout=10)


def test_key_that_is_not_let_in_is_named_and_not_said(s3, strict, tmp_path, store):
    said = refusal(f"{s3.url}/x", tmp_path, **s3.env)
    assert said.startswith(f"{s3.url}/x: access is denied (")
    assert "the keys in cluster.secrets, or the pod's service account, must be allowed to list, read" in said
    assert KEY not in said
    with pytest.raises(RunError, match="access is denied"):
        buckets.upload(tmp_path / "ir.json", f"{s3.url}/x")


def test_values_of_secrets_are_struck_from_the_log(tmp_path):
    (tmp_path / "s3fs.py").write_text(f"print('{SECRET}')\nraise ImportError")
    text = json.dumps({"pipelineRoot": "s3://b"})
    process = start(
        text, tmp_path, "A", "x", "", "--secret", "AWS_SECRET_ACCESS_KEY",
        AWS_SECRET_ACCESS_KEY=SECRET, PYTHONPATH=f"{tmp_path}:{REPOSITORY}",
    )  # fmt: skip
    out, _ = process.communicate(timeout=PATIENCE)
    assert '"log": "***"' in out
    assert SECRET not in out
