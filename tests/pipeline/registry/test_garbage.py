"""`maskline gc`: what goes, what stays, and what is left when it is killed. A real store, real files."""

import shutil
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.components.pusher import audit, serving
from maskline.pipeline.registry import garbage, releases
from maskline.pipeline.registry.store import connect
from maskline.pipeline.settings.load import load
from tests.components.pusher.test_serving import contents
from tests.killing import killed
from tests.pipeline.conftest import PASSED

RUNS = ("first", "second", "third")


@pytest.fixture
def root(config, store, record) -> Path:
    """Three runs, each of which released its model; checkpoints and a log of old."""
    for name in RUNS:
        model = record(name, gate=PASSED)
        [made] = [a for a in store.get_artifacts_by_type("Model") if config.root / a.uri == model.parent]
        releases.make_live(store, model, config.serving_dir, why="blessed", model_id=made.id)
        (config.root / "logs").mkdir(exist_ok=True)
        (config.root / "logs" / f"{name}.log").write_text("a log")
        (config.root / "reports").mkdir(exist_ok=True)
        (config.root / "reports" / f"{name}.html").write_text("a report")
    return config.root


def collect(root: Path, *, keep: int = 1) -> garbage.Garbage:
    config = load(root=root)
    store = connect(config.metadata_file)
    found = garbage.find(store, config, keep=keep)
    garbage.remove(store, config, found)
    return found


def left(root: Path) -> tuple[list[str], dict[str, str]]:
    """The files under the root, but for the store and locks, and what the store says of some artifacts."""
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    store = connect(root / "metadata.sqlite", read_only=True)
    states = {
        f"{a.type} {a.name}": mlmd.Artifact.State.Name(a.state)
        for a in store.get_artifacts()
        if a.type in ("Model", "MasklineVerdict")
    }
    return [file for file in files if "sqlite" not in file and not file.endswith(".lock")], states


def trained(root: Path) -> set[str]:
    """The identities of the models that are left under `artifacts/`."""
    return {serving.identity_of(path) for path in root.glob("artifacts/Trainer/*/*/Format-Serving")}


def test_the_live_version_and_what_it_came_from_stay(root, config):
    live = contents(config.serving_dir / "3")
    collect(root)
    assert [version.number for version in serving.versions(config.serving_dir)] == [3]
    assert contents(config.serving_dir / "3") == live
    files, states = left(root)
    assert trained(root) == {"third"}
    assert states["Model third Trainer"] == "LIVE"
    assert {states["Model first Trainer"], states["Model second Trainer"]} == {"DELETED"}
    # What was decided is remembered: small records stay.
    assert {states[f"MasklineVerdict {name} ReleaseGate"] for name in RUNS} == {"LIVE"}
    assert [file for file in files if file.startswith("logs/")] == ["logs/third.log"]
    assert [file for file in files if file.startswith("reports/")] == ["reports/third.html"]
    assert len(audit.changes(config.serving_dir)) == 3
    assert collect(root) == garbage.Garbage([], [], [], [], [], 0), "twice finds nothing more"


def test_more_versions_stay_where_that_is_asked(root, config):
    collect(root, keep=2)
    assert [version.number for version in serving.versions(config.serving_dir)] == [2, 3]
    assert trained(root) == {"second", "third"}
    assert left(root)[1]["Model first Trainer"] == "DELETED"


def test_killed_at_every_step_the_live_version_is_whole_and_the_next_call_does_the_rest(root, tmp_path):
    """Artifacts are named by absolute paths, so each attempt begins from a copy that is put back in place."""
    before = shutil.copytree(root, tmp_path / "before")
    live = contents(root / "serving/maskline/3")
    collect(root)
    done = left(root)
    step, outcomes = 0, set()
    while True:
        shutil.rmtree(root)
        shutil.copytree(before, root)
        alive = not killed(step, lambda: collect(root), calls={"rename", "rmdir", "unlink"})
        folder = root / "serving/maskline"
        assert contents(folder / "3") == live
        for version in serving.versions(folder):
            assert contents(version.path)["saved_model.pb"]
        store = connect(root / "metadata.sqlite", read_only=True)
        promised = [a for a in store.get_artifacts_by_type("Model") if a.state == mlmd.Artifact.LIVE]
        missing = [a.uri for a in promised if not (root / a.uri / "Format-Serving/saved_model.pb").exists()]
        assert not missing, "the cache would give out what is gone"
        outcomes.add(len(promised))
        del store
        releases.reconcile(connect(root / "metadata.sqlite"), folder)
        collect(root)
        assert left(root) == done
        if alive:
            break
        step += 1
        assert step < 200
    assert step > 10
    assert outcomes == {1, 3}
