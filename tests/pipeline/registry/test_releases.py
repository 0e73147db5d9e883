"""The way back, and a metadata store that is told of what went live without it. A real store, no TFX."""

import json
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.components.pusher import audit, serving
from maskline.pipeline.cluster.metadata import connection
from maskline.pipeline.cluster.store import open_store
from maskline.pipeline.registry import releases
from maskline.pipeline.registry.models import model_lines, released
from maskline.pipeline.registry.rollback import roll_back
from maskline.pipeline.registry.store import connect
from maskline.transform.errors import InputError
from tests.components.pusher.test_serving import real_model, saved_model
from tests.model_server import ModelServer
from tests.support import REPOSITORY, command, environment, maskline


@pytest.fixture
def server():
    server = ModelServer()
    yield server
    server.close()


def good(_):
    """Stands for loading a model: these are no real ones."""
    return ""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "root" / "serving" / "maskline"


@pytest.fixture
def store(tmp_path, folder):
    folder.mkdir(parents=True)
    store = connect(tmp_path / "root" / "metadata.sqlite")
    kind = store.put_context_type(mlmd.ContextType(name="pipeline"))
    store.put_contexts([mlmd.Context(type_id=kind, name="maskline")])
    return store


class Trained(NamedTuple):
    id: int
    path: Path


def trained(store, root, name) -> Trained:
    """A Model artifact, as Trainer leaves one; the same one for the same name."""
    uri = f"artifacts/Trainer/model/{ord(name)}"
    model = mlmd.ArtifactType(name="Model", base_type=mlmd.ArtifactType.MODEL)
    kind = store.put_artifact_type(model)
    path = saved_model(root / uri / "Format-Serving", name)
    there = [m.id for m in store.get_artifacts_by_type("Model") if m.uri == uri]
    made = mlmd.Artifact(type_id=kind, uri=uri, state=mlmd.Artifact.LIVE)
    return Trained((there or store.put_artifacts([made]))[0], path)


@pytest.fixture
def publish(tmp_path, folder, store):
    def publish(names):
        for name in names:
            model = trained(store, folder.parent.parent, name)
            releases.make_live(store, model.path, folder, why="a test", model_id=model.id)

    return publish


def recorded(store):
    """What LiveModel's resolver reads: outputs of executions in the pipeline's context."""
    [pipeline] = store.get_contexts_by_type("pipeline")
    found = {a.id for e in store.get_executions_by_context(pipeline.id)
             for event in store.get_events_by_execution_ids([e.id]) if event.type == mlmd.Event.OUTPUT
             for a in store.get_artifacts_by_id([event.artifact_id])}  # fmt: skip
    records = [r.properties for r in releases.releases(store) if r.id in found]
    models = {m.id: chr(int(m.uri.split("/")[-1])) for m in store.get_artifacts_by_type("Model")}
    return [
        (p["version"].int_value, p["identity"].string_value, models[p["model_id"].int_value]) for p in records
    ]


def test_what_is_made_live_is_recorded(store, folder, publish):
    assert recorded(store) == []
    publish("ab")
    assert recorded(store) == [(1, "a", "a"), (2, "b", "b")]


def test_publisher_killed_before_the_record_is_recorded_by_the_next_run(store, folder, publish, tmp_path):
    publish("a")
    other = trained(store, folder.parent.parent, "b")
    serving.publish(other.path, folder, why="blessed", model_id=other.id)
    releases.reconcile(store, folder)
    releases.reconcile(store, folder)
    assert recorded(store) == [(1, "a", "a"), (2, "b", "b")]


@pytest.mark.parametrize(
    ("history", "versions", "live"),
    [
        ("ab", [None], "aba"),
        ("abc", [None, None], "abcba"),  # each step goes one model further back
        ("abc", [1], "abca"),
        ("abc", [1, 3], "abcac"),
        ("abb", [None], "abba"),
    ],
)
def test_way_back(store, folder, publish, history, versions, live):
    publish(history)
    for version in versions:
        roll_back(store, folder, version, "a reason", prove=good)
    assert "".join(identity for _, identity, _ in recorded(store)) == live
    assert [v.identity for v in serving.versions(folder)] == list(live)
    assert recorded(store)[-1][2] == live[-1]
    assert audit.changes(folder)[-1].why == f"rolled back to version {live.index(live[-1]) + 1}: a reason"


def rollback(root, address, env):
    arguments = ["rollback", "--root", root, "--metadata", address, "--reason", "a reason"]
    return subprocess.run(
        command(*arguments), cwd=REPOSITORY, capture_output=True, text=True, env=environment() | env
    )


def test_way_back_on_a_cluster_is_recorded_in_its_store(tmp_path, folder, postgres, server):
    address = postgres.database("releases")
    cluster = open_store(connection(address, postgres.credentials), patience=60)
    kind = cluster.put_context_type(mlmd.ContextType(name="pipeline"))
    cluster.put_contexts([mlmd.Context(type_id=kind, name="maskline")])
    for name in "ab":
        made = trained(cluster, tmp_path / "elsewhere", name)
        model = real_model(server, tmp_path / f"model {name}", name)
        releases.make_live(cluster, model, folder, why="a test", model_id=made.id)
    done = rollback(tmp_path / "root", address, postgres.credentials)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"Live is version 3, which is version 1 again: {folder / '3'}\n"
    assert recorded(cluster) == [(1, "a", "a"), (2, "b", "b"), (3, "a", "a")]
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["serving"], "no store of its own"


@pytest.mark.slow  # it is waited for
def test_store_that_is_not_there_is_one_line(tmp_path):
    env = {"MASKLINE_METADATA_USER": "u", "MASKLINE_METADATA_PASSWORD": "p"}
    done = rollback(tmp_path / "root", "postgresql://127.0.0.1:9/x", env)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "maskline: postgresql://127.0.0.1:9/x: the metadata store cannot be reached; check the address"
    )
    assert len(done.stderr.splitlines()) == 1


def test_no_way_back_is_one_line(store, folder, publish):
    with pytest.raises(InputError, match="there is no version to go back to; no model was released yet"):
        roll_back(store, folder, None, prove=good)
    publish("ab")
    for version, problem in {
        7: "no version 7; there are 1, 2",
        2: "version 2 is the live model already, as version 2",
    }.items():
        with pytest.raises(InputError, match=problem):
            roll_back(store, folder, version, prove=good)
    serving.remove(folder, 1)
    with pytest.raises(InputError, match="no version is left from before the live model, version 2"):
        roll_back(store, folder, None, prove=good)
    assert recorded(store) == [(1, "a", "a"), (2, "b", "b")]


def test_models_tell_what_is_live(store, folder, publish):
    assert model_lines(released(folder)) == ["no model was released yet; `maskline run` makes one"]
    publish("ab")
    first, second = released(folder)
    assert (first.version, first.live, second.version, second.live) == (1, False, 2, True)
    assert second.since == audit.changes(folder)[1].time
    facts = {
        "metrics": {"accuracy": 0.75},
        "data": {"span": "spans 3–5", "rows": {"train": 1600, "eval": 400}},
    }
    (folder / "2" / serving.FACTS_PATH).write_text(json.dumps(facts))
    [live, about, *_] = model_lines(released(folder))
    assert live.startswith("version 2, live since 20")
    assert live.endswith(f"by {audit.user()}: a test")
    assert about == "  accuracy 0.75; spans 3–5; 1,600 + 400 rows; model b"


def test_commands_on_a_root_without_runs(tmp_path):
    for arguments, why in (
        (["rollback"], "no model was released yet; `maskline run` makes one"),
        (["gc", "--keep", 1], "no run yet; start one with `maskline run`"),
    ):
        done = maskline(*arguments, "--root", tmp_path / "none")
        assert (done.returncode, done.stdout) == (2, "")
        assert why in done.stderr
    assert maskline("models", "--root", tmp_path / "none").stdout.startswith("no model was released yet")
    assert list(tmp_path.iterdir()) == []


def test_commands_leave_a_working_run_alone(store, tmp_path, publish):
    from maskline.pipeline.local import lock

    publish("ab")
    with lock.hold(tmp_path / "root"):
        done = maskline("rollback", "--root", tmp_path / "root")
    assert done.returncode == 4
    assert "busy, held by process" in done.stderr
