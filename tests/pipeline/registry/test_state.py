"""What is live stays live: store, log and versions lost, damaged, copied and moved. A real store, no TFX."""

import errno
import json
import os
import re
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.components.pusher import audit, serving
from maskline.components.pusher.contents import look
from maskline.components.resolvers.best import most_accurate
from maskline.pipeline.console import Console
from maskline.pipeline.local.run import _prepare as prepare
from maskline.pipeline.predict import single
from maskline.pipeline.registry import doctor, files, garbage, inventory, live, releases
from maskline.pipeline.registry.history import History
from maskline.pipeline.registry.lookup import find_run
from maskline.pipeline.registry.repair import repair_root
from maskline.pipeline.registry.rollback import roll_back
from maskline.pipeline.registry.store import connect, settle
from maskline.pipeline.settings.load import load
from maskline.transform.errors import InputError
from maskline.transform.names import AUDIT_FILE, EVALUATION_FILE, VERDICT_FILE, ArtifactType
from tests.faults.damage import bound, may_mount
from tests.pipeline.conftest import PASSED

NAMES = ("first", "second")


def good(_):
    """Stands for loading a model: these are no real ones."""
    return ""


@pytest.fixture
def root(config, store, record):
    """Two runs, each of which released its model."""
    for number, name in enumerate(NAMES, start=1):
        model = record(name, gate=PASSED)
        [made] = [a for a in store.get_artifacts_by_type("Model") if config.root / a.uri == model.parent]
        releases.make_live(store, model, config.serving_dir, why="blessed", model_id=made.id)
        [blessing] = [b for b in store.get_artifacts_by_type("ModelBlessing") if name in b.name]
        blessing.custom_properties["current_model_id"].int_value = made.id
        blessing.custom_properties["accuracy"].double_value = number / 2
        store.put_artifacts([blessing])
    return config.root


def recorded(store):
    return [
        (r.properties["version"].int_value, r.properties["identity"].string_value)
        for r in releases.releases(store)
    ]


def model_path(store, root):
    """The SavedModel that the last release names: what a run compares its candidate with."""
    number = releases.releases(store)[-1].properties["model_id"].int_value
    [model] = store.get_artifacts_by_id([number])
    return root / model.uri / "Format-Serving"


def lose_store(config):
    config.metadata_file.unlink()
    return connect(config.metadata_file)


def test_lost_store_is_rebuilt_from_what_is_served(root, config):
    store = lose_store(config)
    releases.reconcile(store, config.serving_dir)
    assert recorded(store) == [(1, "first"), (2, "second")]
    assert serving.identity_of(model_path(store, root)) == "second"
    assert live.comparable(config.serving_dir, recorded=2, prove=good) == ""
    releases.reconcile(store, config.serving_dir)
    assert len(recorded(store)) == 2, "once"
    context = store.get_context_by_type_and_name("pipeline", "maskline")
    found = {artifact.type for artifact in store.get_artifacts_by_context(context.id)}
    executions = store.get_executions_by_context(context.id)
    assert len(executions) == 4, f"resolvers look at executions of the pipeline: {found}"


def test_store_that_was_lost_does_not_take_another_model_for_the_live_one(root, config):
    """The ids in the audit log belong to the old store; in the new one they may name anything."""
    store = lose_store(config)
    kind = store.put_artifact_type(mlmd.ArtifactType(name="Model", base_type=mlmd.ArtifactType.MODEL))
    for number in range(1, 20):
        (root / f"artifacts/Trainer/model/9{number}").mkdir(parents=True)
        uri = f"artifacts/Trainer/model/9{number}"
        store.put_artifacts([mlmd.Artifact(type_id=kind, uri=uri, state=mlmd.Artifact.LIVE)])
    releases.reconcile(store, config.serving_dir)
    assert serving.identity_of(model_path(store, root)) == "second"


@pytest.mark.parametrize("name", ["3", "20261127"])
def test_copy_of_a_version_is_compared_with(root, config, store, name):
    shutil.copytree(config.serving_dir / "1", config.serving_dir / name)
    releases.reconcile(store, config.serving_dir)
    assert recorded(store)[-1] == (int(name), "first")
    assert serving.identity_of(model_path(store, root)) == "first"


def test_lost_log_is_written_anew_and_the_way_back_is_open(root, config, store):
    (config.serving_dir / AUDIT_FILE).unlink()
    version, source = roll_back(store, config.serving_dir, None, prove=good)
    assert (version.number, source) == (3, 1)
    assert [change.to for change in audit.changes(config.serving_dir)] == [1, 2, 3]


def test_way_back_needs_no_store(root, config):
    version, _ = roll_back(None, config.serving_dir, None, "without a store", prove=good)
    assert (version.number, version.identity) == (3, "first")
    store = lose_store(config)
    releases.reconcile(store, config.serving_dir)
    assert recorded(store)[-1] == (3, "first")


def test_emptied_serving_directory_does_not_give_numbers_again(root, config, store):
    shutil.rmtree(config.serving_dir)
    releases.reconcile(store, config.serving_dir)
    problem = live.comparable(config.serving_dir, recorded=2, prove=good)
    assert problem == f"{config.serving_dir / '2'}: version 2 was live, and is not there any more"
    assert serving.publish(model_path(store, root), config.serving_dir, why="a test").number == 3


def test_empty_folder_is_never_live_and_never_gone_back_to(root, config, store):
    (config.serving_dir / "99").mkdir()
    releases.reconcile(store, config.serving_dir)
    assert recorded(store)[-1] == (2, "second")
    assert live.comparable(config.serving_dir, recorded=2, prove=good) == ""
    with pytest.raises(InputError, match="no version 99; there are 1, 2"):
        roll_back(store, config.serving_dir, 99, prove=good)


def test_damaged_live_version_is_named_and_the_newest_good_one_is_the_way_back(root, config, store):
    os.truncate(config.serving_dir / "2" / "saved_model.pb", 1)
    problem = live.comparable(config.serving_dir, recorded=2, prove=good)
    assert problem.startswith(
        f"{config.serving_dir / '2'}: the live version 2 is damaged: saved_model.pb has 1"
    )
    run = History(config.metadata_file, config.serving_dir).latest()
    assert run.live_problem.startswith(problem)
    assert "`maskline rollback` makes version 1 live again" in run.live_problem
    version, source = roll_back(store, config.serving_dir, None, prove=good)
    assert (version.number, source, version.identity) == (3, 1, "first")
    assert live.comparable(config.serving_dir, recorded=3, prove=good) == ""


def test_predict_names_the_file_of_which_a_disk_lost_a_byte(root, config, monkeypatch):
    """Neither size nor time tells; TensorFlow fails."""

    def fail(*_):
        raise InputError("TensorFlow cannot load this model")

    monkeypatch.setattr(single, "language_of", fail)
    with pytest.raises(InputError, match="TensorFlow cannot load this model"):
        single.answer_texts(config.serving_dir, ["x"])
    file = config.serving_dir / "2" / "saved_model.pb"
    stat = file.stat()
    file.write_bytes(b"?" + file.read_bytes()[1:])
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(InputError, match=r"version 2 is damaged: saved_model.pb is not what was released"):
        single.answer_texts(config.serving_dir, ["x"])


def test_model_of_another_program_above_the_live_one_blocks(root, config):
    shutil.copytree(config.serving_dir / "1", config.serving_dir / "7")
    shutil.rmtree(config.serving_dir / "7" / "assets.extra")
    problem = live.comparable(config.serving_dir, recorded=2, prove=good)
    assert problem.startswith(f"{config.serving_dir / '7'}: a server takes it for the live version")


def test_version_without_manifest_is_loaded_before_it_is_compared_with(root, config):
    (config.serving_dir / AUDIT_FILE).unlink()
    (config.serving_dir / "2" / "manifest.json").unlink()
    problem = live.comparable(config.serving_dir, recorded=2, prove=lambda _: "it does not load")
    assert problem.endswith("the live version 2 cannot be served: it does not load")


def test_version_that_does_not_answer_does_not_go_live_and_the_next_good_one_is_named(root, config, store):
    roll_back(store, config.serving_dir, None, prove=good)  # first, second, first

    def prove(path):
        return "its answers are not finite" if path.name == "2" else ""

    with pytest.raises(InputError, match=r"version 2 cannot go live: its answers are not finite; ") as caught:
        roll_back(store, config.serving_dir, 2, prove=prove)
    assert "no other version is good" in str(caught.value) or "`maskline rollback 1`" in str(caught.value)
    assert look(config.serving_dir).live.number == 3


def test_damaged_version_is_no_target(root, config, store):
    shutil.rmtree(config.serving_dir / "1" / "variables")
    with pytest.raises(
        InputError, match=r"1: version 1 is damaged: variables/\S+ is missing; version 2 is good"
    ):
        roll_back(store, config.serving_dir, 1, prove=good)


def test_killed_pusher_leaves_one_record_of_a_version(root, config, store):
    """The next run records the release first, and then its Pusher does so once more."""
    last = releases.releases(store)[-1]
    double = mlmd.Artifact()
    double.CopyFrom(last)
    double.ClearField("id")
    store.put_artifacts([double])
    releases.reconcile(store, config.serving_dir)
    assert recorded(store) == [(1, "first"), (2, "second")]


def test_root_that_moved_keeps_its_artifacts(root, config, store, tmp_path):
    """Old stores hold absolute URIs; the folder they name is another now."""
    for artifact in store.get_artifacts():
        artifact.uri = str(root / artifact.uri)
        store.put_artifacts([artifact])
    moved = load(root=root.rename(tmp_path / "moved"))
    store = connect(moved.metadata_file)
    assert settle(store, moved.root) == []
    assert all(not artifact.uri.startswith("/") for artifact in store.get_artifacts())
    run = History(moved.metadata_file, moved.serving_dir).latest()
    assert (set(run.verdicts), run.lost) == ({"ModelChecks", "ReleaseGate"}, [])
    assert run.candidate.exists()


def test_artifact_that_is_gone_is_recorded_and_shown(root, config, store):
    [verdict] = [a for a in store.get_artifacts_by_type("MasklineVerdict") if a.name == "second ReleaseGate"]
    file = root / verdict.uri / VERDICT_FILE
    file.write_text("{")
    run = History(config.metadata_file, config.serving_dir).latest()
    assert run.lost == [str(file.parent)]
    assert [artifact.id for artifact in settle(store, root)] == [verdict.id]
    [verdict] = store.get_artifacts_by_id([verdict.id])
    assert verdict.state == mlmd.Artifact.DELETED
    assert settle(store, root) == []


@pytest.mark.parametrize("damage", ["truncated", "lost"])
def test_file_that_an_artifact_lost_is_found_by_what_was_noted_at_the_end_of_its_run(
    root, config, store, damage
):
    """A model without its variables has all that it must have by its type."""
    inventory.note(store, root)
    assert settle(store, root) == []
    [model] = [m for m in store.get_artifacts_by_type("Model") if m.name == "second Trainer"]
    file = root / model.uri / "Format-Serving/variables/variables.data-00000-of-00001"
    os.truncate(file, 3) if damage == "truncated" else file.unlink()
    (file.parent / "notes.txt").write_text("of another program")
    inventory.note(store, root)
    assert [str(problem.place) for problem in doctor.examine(config, prove=good)] == [str(file)]
    assert [artifact.id for artifact in settle(store, root)] == [model.id]
    releases.reconcile(store, config.serving_dir)
    assert model_path(store, root) == root / "artifacts/Served/model/2/Format-Serving"


def test_rebuilt_store_holds_no_run_and_says_what_is_released(root, config):
    config.metadata_file.unlink()
    lost = (
        f"{config.metadata_file}: the metadata store is missing, though 2 versions are released "
        "(`maskline models`); put it back from a backup, or let `maskline doctor --repair` rebuild it"
    )
    with pytest.raises(InputError, match=re.escape(lost)):
        find_run(config)
    repair_root(config)
    with pytest.raises(InputError, match="holds no run, though 2 versions are released"):
        find_run(config)


def test_gc_refuses_where_the_live_version_is_damaged(root, config, store):
    os.truncate(config.serving_dir / "2" / "saved_model.pb", 1)
    with pytest.raises(InputError, match=r"version 2 is damaged: .*, so nothing is removed; put it back"):
        garbage.find(store, config, keep=1)


def test_gc_refuses_where_all_that_was_served_is_gone(root, config, store):
    shutil.rmtree(config.serving_dir)
    with pytest.raises(InputError, match=r"version 2 was live, and is not there any more, so nothing is"):
        garbage.find(store, config, keep=1)


def test_gc_refuses_where_the_store_knows_nothing(root, config):
    store = lose_store(config)
    releases.reconcile(store, config.serving_dir)
    shutil.rmtree(root / "artifacts" / "Served")
    with pytest.raises(InputError, match=r"knows none of the \d+ folders under .*nothing is removed"):
        garbage.find(store, config, keep=1)


@pytest.mark.parametrize("spelled", ["link", "dots"])
def test_gc_through_another_spelling_finds_the_same(root, config, store, tmp_path, spelled):
    (tmp_path / "link").symlink_to(root)
    other = {"link": tmp_path / "link", "dots": root / ".." / root.name}[spelled]
    expected = garbage.find(store, config, keep=1)
    found = garbage.find(store, load(root=other), keep=1)
    assert [p.resolve() for p in found.folders] == [p.resolve() for p in expected.folders] != []


FOREIGN = (
    "artifacts/notes.txt",
    "artifacts/Trainer/notes.txt",
    "artifacts/Trainer/Model/99/notes.txt",
    "artifacts/Mine/model/1/weights.bin",
    "logs/mine.log",
    "checkpoints/mine/weights.bin",
    "serving/maskline/7/notes.txt",
    "mine/notes.txt",
)


def files_in(folder):
    walked = os.walk(folder, followlinks=True)
    return {os.path.realpath(os.path.join(place, name)) for place, _, names in walked for name in names}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    spelled=st.sampled_from(("plain", "link", "dots", "inner link", *(["mount"] if may_mount() else []))),
    absolute=st.booleans(),
    foreign=st.sets(st.sampled_from(FOREIGN)),
    keep=st.integers(1, 3),
)
def test_gc_never_removes_what_it_does_not_understand(
    root, config, store, tmp_path_factory, spelled, absolute, foreign, keep
):
    """However the root is reached: what is kept is there, and so is what is not ours."""
    place = tmp_path_factory.mktemp("gc")
    copy = place / "root"
    shutil.copytree(root, copy)
    if spelled == "inner link":  # artifacts on another disk
        (copy / "artifacts").rename(place / "elsewhere")
        (copy / "artifacts").symlink_to(place / "elsewhere")
    (place / "link").symlink_to(copy)
    path = {"link": place / "link", "dots": copy / ".." / "root"}.get(spelled, copy)
    for name in foreign:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("not ours")
    opened = connect(copy / "metadata.sqlite")
    if absolute:  # as earlier releases of maskline wrote them, before the root was moved here
        artifacts = opened.get_artifacts()
        for artifact in artifacts:
            artifact.uri = str(root / artifact.uri)
        opened.put_artifacts(artifacts)
    here = load(root=path)
    with bound(copy / "artifacts", place / "disk") if spelled == "mount" else nullcontext():
        assert settle(opened, here.root) == []
        found = garbage.find(opened, here, keep=keep)
        listed = {os.path.realpath(line) for line in found.lines(here)}
        before = files_in(copy)
        garbage.remove(opened, here, found)
        doomed = {file for file in before if any(f"{file}/".startswith(f"{line}/") for line in listed)}
        assert before - files_in(copy) == doomed, "the list that is printed is what is removed"
        assert bool(doomed) is (keep == 1)
        assert not any(map(os.path.exists, listed))
        assert all((copy / name).read_text() == "not ours" for name in foreign)
        kept = look(here.serving_dir, thorough=True)
        assert [version.number for version in kept.versions] == [1, 2][-keep:]
        assert kept.damaged == []
        for artifact in opened.get_artifacts():
            if artifact.state == mlmd.Artifact.LIVE:
                assert files.missing(artifact.type, here.root / artifact.uri) == ""
        assert serving.identity_of(model_path(opened, here.root)) == "second"


def test_files_that_were_noted_are_looked_at_and_not_searched_for(tmp_path, monkeypatch):
    """A run looks at those of all earlier runs."""
    file = tmp_path / EVALUATION_FILE
    file.write_text('{"a": 1}')
    (tmp_path / "other").write_text("b")
    noted = {file.name: 8, "other": 1}
    monkeypatch.setattr(Path, "glob", None)
    assert files.missing(ArtifactType.EVALUATION, tmp_path, noted) == ""
    file.write_text('{"a": 1]')
    assert files.missing(ArtifactType.EVALUATION, tmp_path, noted) == str(file), "as long, and no JSON"
    file.write_text('{"a": 12}')
    assert files.missing(ArtifactType.EVALUATION, tmp_path, noted) == str(file)
    file.write_text('{"a": 1}')
    (tmp_path / "other").unlink()
    assert files.missing(ArtifactType.EVALUATION, tmp_path, noted) == str(tmp_path / "other")


def test_gc_of_artifacts_on_another_disk(root, config, store, monkeypatch):
    """A link leads there; a folder cannot be renamed from one disk to another."""
    rename = Path.rename

    def on_one_disk(path, target):
        if "artifacts" in path.parts:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", on_one_disk)
    found = garbage.find(store, config, keep=1)
    assert found.folders
    garbage.remove(store, config, found)
    assert not any(path.exists() for path in found.folders)
    assert not (root / "trash").exists()


def test_best_model_of_gc_is_that_of_the_resolver(root, config, store):
    """On a tie the newer blessing counts, and a model whose files are gone does not."""
    models, blessings = (releases.of_type(store, kind) for kind in ("Model", "ModelBlessing"))
    first, second = sorted(models, key=lambda model: model.id)

    def best(there):
        return most_accurate(releases.releases(store), models, blessings, there)

    assert best(lambda model: True).id == second.id, "accuracy 1/2 and 1"
    assert best(lambda model: model.id != second.id).id == first.id
    for blessing in blessings:
        blessing.custom_properties["accuracy"].double_value = 0.5
    assert best(lambda model: True).id == second.id
    store.put_artifacts(blessings)
    assert garbage._best(store, root) == {second.id}
    shutil.rmtree(root / second.uri)
    assert garbage._best(store, root) == {first.id}


def test_doctor_finds_nothing_in_a_healthy_root(root, config):
    assert doctor.examine(config, prove=good) == []


BROKEN = {
    "store lost": lambda config: config.metadata_file.unlink(),
    "store emptied": lambda config: os.truncate(config.metadata_file, 0),
    "store truncated": lambda config: os.truncate(config.metadata_file, 5000),
    "store foreign": lambda config: config.metadata_file.write_text("mail"),
    "log lost": lambda config: (config.serving_dir / AUDIT_FILE).unlink(),
    "log torn": lambda config: os.truncate(config.serving_dir / AUDIT_FILE, 400),
    "copy by hand": lambda config: shutil.copytree(config.serving_dir / "1", config.serving_dir / "3"),
    "leftover": lambda config: (config.serving_dir / "incoming-9").mkdir(),
    "trash": lambda config: (config.root / "trash").mkdir(),
    "artifact lost": lambda config: shutil.rmtree(config.root / "artifacts" / "ReleaseGate"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_doctor_names_it_and_repairs_it(root, config, store, what):
    del store
    BROKEN[what](config)
    found = doctor.examine(config, prove=good)
    assert found
    assert all(len(str(finding).splitlines()) == 1 for finding in found)
    before = [version.number for version in look(config.serving_dir).versions]
    assert repair_root(config)
    assert doctor.examine(config, prove=good) == []
    assert [version.number for version in look(config.serving_dir).versions] == before
    repaired = connect(config.metadata_file)
    assert recorded(repaired)[-1][0] == before[-1]
    assert serving.identity_of(model_path(repaired, root)) == look(config.serving_dir).live.identity


def test_doctor_looks_at_the_data(root, config, tmp_path):
    shutil.rmtree(config.data.path)
    [problem] = doctor.examine(config, prove=good)
    assert (problem.place, problem.what.split(";")[0]) == (config.data.path, "no such data directory")
    assert "`maskline run` ends with status 2 until then" in problem.then


def test_doctor_looks_at_spans(root, config, tmp_path):
    for name in ("span-1", "span-2", "span-tmp"):
        (tmp_path / "days" / name).mkdir(parents=True)
        (tmp_path / "days" / name / "a.tfrecord").touch()
    (tmp_path / "days" / "span-1" / "DONE").touch()
    spans = load(overrides=["data.success_marker=DONE"], root=root, data=tmp_path / "days/span-{SPAN}")
    found = {problem.place.name: problem for problem in doctor.examine(spans, prove=good)}
    assert set(found) == {"span-2", "span-tmp"}
    assert "is not complete" in found["span-2"].what
    assert found["span-2"].then == "the next run leaves it out"
    assert found["span-tmp"].what == "is beside the spans but is not a span"


def test_backup_of_store_log_and_versions_restores_a_root(root, config, tmp_path):
    """What docs/releases.md says to back up."""
    backup = tmp_path / "backup"
    backup.mkdir()
    shutil.copy2(config.metadata_file, backup)
    shutil.copytree(config.serving_dir.parent, backup / "serving")
    shutil.rmtree(root)
    shutil.copytree(backup, root)
    store = connect(config.metadata_file)
    settle(store, root)
    releases.reconcile(store, config.serving_dir)
    assert serving.identity_of(model_path(store, root)) == "second"
    assert live.comparable(config.serving_dir, recorded=2, prove=good) == ""
    assert doctor.examine(config, prove=good) == []
    assert roll_back(store, config.serving_dir, None, prove=good)[0].identity == "first"
    assert json.loads((config.serving_dir / AUDIT_FILE).read_text().splitlines()[-1])["to"] == 3


@pytest.mark.parametrize("accepted", [False, True])
def test_run_tells_its_release_gate_of_a_live_model_that_is_damaged(root, config, store, accepted, capsys):
    del store
    assert prepare(config, Console(config), accepted=accepted) is None
    os.truncate(config.serving_dir / "2" / "saved_model.pb", 1)
    unknown = prepare(config, Console(config), accepted=accepted)
    assert "the live version 2 is damaged: saved_model.pb" in unknown.problem
    assert unknown.accepted is accepted
    said = "".join(capsys.readouterr().out.split())  # the console wraps lines
    assert f"{config.serving_dir / '2'}:version2isdamaged" in said


def test_run_names_artifacts_that_are_gone(root, config, store, capsys):
    [model] = [m for m in store.get_artifacts_by_type("Model") if m.name == "first Trainer"]
    shutil.rmtree(root / model.uri)
    del store
    prepare(config, Console(config), accepted=False)
    said = "".join(capsys.readouterr().out.split())  # the console wraps lines
    assert f"{root / model.uri}:isgoneordamaged;itismadeagain" in said


def test_run_says_that_no_span_is_compared_with_one_whose_statistics_are_gone(root, config, store, capsys):
    kind = store.put_artifact_type(mlmd.ArtifactType(name=ArtifactType.STATISTICS))
    uri = "artifacts/StatisticsGen/statistics/99"
    store.put_artifacts([mlmd.Artifact(type_id=kind, uri=uri, state=mlmd.Artifact.LIVE)])
    del store
    prepare(config, Console(config), accepted=False)
    said = " ".join(capsys.readouterr().out.split())  # the console wraps lines
    assert "it is made again where it is needed, and until then no span is compared with it" in said
    again = connect(config.metadata_file).get_artifacts_by_type(ArtifactType.STATISTICS)
    assert [artifact.state for artifact in again] == [mlmd.Artifact.DELETED], "no resolver takes it"
