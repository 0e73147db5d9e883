"""Runs and releases on a real MLflow server: what it knows, when it was down, and what follows a rollback."""

import json
import shutil
import socket

import pytest

from maskline.components.verdict import Outcome
from maskline.pipeline.registry.bless import bless_run
from maskline.pipeline.registry.rollback import roll_back
from maskline.pipeline.settings.load import load
from maskline.pipeline.tracking import after
from maskline.pipeline.tracking.__main__ import bring_up_to_date
from maskline.transform.names import AUDIT_FILE
from tests.bench.history import many_runs
from tests.mlflow_server import MlflowServer, need_mlflow

ONE, TWO = "2026-11-27T10-00-00.000000", "2026-11-28T10-00-00.000000"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    need_mlflow()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"), port)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def settings(config, server, request):
    """Those of a root, with an experiment and a registered model for this test alone."""
    name = request.node.name
    options = [f"tracking.mlflow={server.address}", f"tracking.experiment={name}", f"tracking.model={name}"]
    return load(None, options, root=config.root, data=config.data.path)


@pytest.fixture
def client(server):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=server.address, registry_uri=server.address)


def runs_of(client, settings):
    experiment = client.get_experiment_by_name(settings.tracking.experiment)
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def tell(settings):
    """Catches up in a process of its own, as a run does; what was warned of."""
    said = []
    after.catch_up(settings, said.append)
    return said


def live_of(client, settings):
    return client.get_model_version_by_alias(settings.tracking.model, "live")


def good(_):
    return ""


def test_server_knows_each_run_once_with_its_figures(settings, client):
    many_runs(settings, 2, slices=1)
    (settings.root / "reports").mkdir()
    (settings.root / "reports/2026-01-01T00-00-00.000000.html").write_text("<p>a report</p>")
    bring_up_to_date(settings)
    bring_up_to_date(settings)
    found = runs_of(client, settings)
    assert sorted(found) == ["2026-01-01T00-00-00.000000", "2026-01-01T00-00-00.000001"]
    first, second = (found[name] for name in sorted(found))
    assert first.data.tags["maskline.decision"] == "not released"
    assert second.data.tags["maskline.decision"] == "passed"
    assert (first.data.metrics["eval/accuracy"], second.data.metrics["eval/accuracy"]) == (0.5, 0.501)
    assert first.info.status == "FINISHED"
    files = [file.path for file in client.list_artifacts(first.info.run_id)]
    assert sorted(files) == ["2026-01-01T00-00-00.000000.html", "metrics.json"]


def test_release_is_registered_and_live_follows_the_way_back(settings, client, record, store):
    record(ONE), record(TWO)
    bring_up_to_date(settings)
    assert runs_of(client, settings)[ONE].data.tags["maskline.decision"] == "not released"
    bless_run(settings, ONE, reason="it is meant")
    bring_up_to_date(settings)
    first = live_of(client, settings)
    assert (first.tags["maskline.version"], first.description) == (
        "1",
        "released against the gate: it is meant",
    )
    assert first.run_id == runs_of(client, settings)[ONE].info.run_id
    assert runs_of(client, settings)[ONE].data.tags["maskline.decision"] == "released on purpose"
    kept = [file.path for file in client.list_artifacts(first.run_id, "model")]
    assert "model/saved_model.pb" in kept
    bless_run(settings, TWO, reason="better")
    bring_up_to_date(settings)
    assert live_of(client, settings).tags["maskline.version"] == "2"
    roll_back(store, settings.serving_dir, None, "worse", prove=good)
    bring_up_to_date(settings)
    bring_up_to_date(settings)
    back = live_of(client, settings)
    assert (back.tags["maskline.version"], back.run_id, back.source) == ("3", first.run_id, first.source)
    assert len(client.search_model_versions(f"name='{settings.tracking.model}'")) == 3


def test_server_that_was_down_is_told_later(settings, client, server, record):
    record(ONE)
    server.stop()
    try:
        [line] = tell(settings)
    finally:
        server.start()
    assert line.startswith(f"MLflow at {server.address.removeprefix('http://')}: ")
    assert line.endswith("; the next run tells it")
    assert "\n" not in line
    assert after.is_behind(settings)
    assert tell(settings) == []
    assert not after.is_behind(settings)
    assert list(runs_of(client, settings)) == [ONE]


def test_run_that_was_written_by_half_is_written_whole(settings, client, record):
    record(ONE, gate=Outcome.PASSED)
    bring_up_to_date(settings)
    run = runs_of(client, settings)[ONE]
    client.delete_tag(run.info.run_id, "maskline.decision")
    bring_up_to_date(settings)
    assert list(runs_of(client, settings)) == [ONE]
    assert runs_of(client, settings)[ONE].data.tags["maskline.decision"] == "passed"


def test_version_of_a_run_that_nobody_knows_is_registered(settings, client, record):
    record(ONE)
    bless_run(settings, ONE, reason="it is meant")
    settings.metadata_file.unlink()
    bring_up_to_date(settings)
    assert live_of(client, settings).tags["maskline.version"] == "1"
    assert list(runs_of(client, settings)) == ["version 1"]


def test_roots_that_share_a_server_keep_their_models_apart(settings, client, record, tmp_path):
    record(ONE)
    bless_run(settings, ONE, reason="it is meant")
    bring_up_to_date(settings)
    shutil.copytree(settings.root, tmp_path / "other")
    other = settings.model_copy(update={"root": tmp_path / "other"})
    log = other.serving_dir / AUDIT_FILE
    log.write_text(log.read_text().replace('"time":"20', '"time":"21'))  # another release
    bring_up_to_date(other)
    first, second = client.search_model_versions(
        f"name='{settings.tracking.model}'", order_by=["version_number"]
    )
    assert first.run_id != second.run_id
    assert first.source != second.source
    assert client.list_artifacts(second.run_id, "model")


def test_settings_are_the_same_in_the_process_that_tells(settings):
    assert type(settings).model_validate_json(settings.model_dump_json(by_alias=True)) == settings
    assert "tracking" in json.loads(settings.model_dump_json(by_alias=True))
