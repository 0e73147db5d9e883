"""Publishing, with the real disk: killed at every step, full, read-only, and two at once."""

import errno
import hashlib
import json
import os
import re
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from maskline.components.pusher import audit, serving
from maskline.transform.errors import InputError, MachineError
from maskline.transform.features import SequenceSpec
from maskline.transform.names import AUDIT_FILE, IDENTITY_FILE, MANIFEST_FILE
from tests.killing import killed
from tests.model_server import ModelServer
from tests.support import versions as names


def saved_model(folder: Path, identity: str, *, size: int = 100) -> Path:
    """Files as an exported model has them, for tests that load none."""
    for file, text in {
        IDENTITY_FILE: json.dumps({"identity": identity}),
        "saved_model.pb": identity * size,
        "variables/variables.index": "index",
        "variables/variables.data-00000-of-00001": identity * size,
    }.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text)
    return folder


def real_model(server: ModelServer, folder: Path, identity: str) -> Path:
    """A model that loads, and answers with its identity."""
    server.export(folder, identity)
    (folder / IDENTITY_FILE).parent.mkdir()
    about = {"identity": identity, "sequence": SequenceSpec().model_dump()}
    (folder / IDENTITY_FILE).write_text(json.dumps(about))
    return folder


@pytest.fixture(scope="module")
def server():
    server = ModelServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def models(server, tmp_path_factory):
    """Two that really load, and answer with their identity."""
    return [real_model(server, tmp_path_factory.mktemp("models") / name, name) for name in "ab"]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "serving" / "maskline"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def assert_served_whole(server: ModelServer, folder: Path, *models: Path) -> None:
    """Each version, as a server sees it, is exactly one of the models; the live one loads and answers."""
    for _, path, identity in serving.versions(folder):
        released = {name: data for name, data in contents(path).items() if name != MANIFEST_FILE}
        assert released == contents(next(m for m in models if serving.identity_of(m) == identity))
    live = serving.versions(folder)[-1]
    assert server.answer(folder) == (live.number, live.identity)


def assert_agrees(folder: Path) -> None:
    """After repair: nothing lies around, and the log tells of each version once, in order."""
    told = [(change.to, change.identity) for change in audit.changes(folder)]
    assert told == [(version.number, version.identity) for version in serving.versions(folder)]
    assert sorted(names(folder.parents[1]), key=int) == [str(number) for number, _ in told]
    befores = [change.before for change in audit.changes(folder)]
    assert befores == [None, *(number for number, _ in told[:-1])][: len(told)]


def test_versions_grow_and_the_log_tells_them(folder, server, models):
    for model in (*models, models[0]):
        serving.publish(model, folder, why="a test", model_id=7)
    assert [(v.number, v.identity) for v in serving.versions(folder)] == [(1, "a"), (2, "b"), (3, "a")]
    assert_served_whole(server, folder, *models)
    assert_agrees(folder)
    last = json.loads((folder / AUDIT_FILE).read_text().splitlines()[-1])
    assert last.pop("time").endswith("Z")
    assert last.pop("manifest") == hashlib.sha256((folder / "3" / MANIFEST_FILE).read_bytes()).hexdigest()
    assert last == {
        "format": 1, "who": audit.user(), "from": 2, "to": 3, "why": "a test", "identity": "a", "model_id": 7,
    }  # fmt: skip


def test_number_of_a_version_that_is_gone_is_not_given_again(folder, models):
    for model in models:
        serving.publish(model, folder, why="a test")
    for path in sorted((folder / "2").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (folder / "2").rmdir()
    assert serving.publish(models[1], folder, why="a test").number == 3
    assert audit.changes(folder)[-1].before == 1


def test_versions_of_other_hands_are_logged(folder, models):
    saved_model(folder / "7", "a")
    serving.repair(folder)
    [change] = audit.changes(folder)
    assert (change.before, change.to, change.identity, change.why) == (None, 7, "a", "found in the directory")
    assert serving.publish(models[1], folder, why="a test").number == 8


def test_live_version_is_not_removed(folder, models):
    for model in models:
        serving.publish(model, folder, why="a test")
    serving.remove(folder, 1)
    with pytest.raises(InputError, match="version 2 is live and cannot be removed"):
        serving.remove(folder, 2)
    assert names(folder.parents[1]) == ["2"]


def test_log_edited_by_hand_is_one_line(folder, models):
    serving.publish(models[0], folder, why="a test")
    (folder / AUDIT_FILE).write_text('{"to": "three"}\n' * 3)
    [problem] = audit.problems(folder)
    assert re.match(
        rf"{folder}/audit\.jsonl: line 1 cannot be read \(.*\), nor can 2 more lines; put it back",
        problem,
    )
    assert serving.publish(models[1], folder, why="a test").number == 2, "the way back is open"
    assert [change.to for change in audit.changes(folder)] == [1, 2]


@pytest.mark.parametrize("change", ["publish", "remove", "repair"])
def test_killed_at_every_step(tmp_path, server, models, change):
    """After each kill a server sees whole models alone, and the next publisher finds all in order."""
    step, outcomes = 0, set()
    while True:
        folder = tmp_path / f"{step}" / "serving" / "maskline"
        serving.publish(models[0], folder, why="a test")
        if change == "remove":
            serving.publish(models[1], folder, why="a test")
        if change == "repair":
            saved_model(folder / "incoming-9", "half")
            saved_model(folder / "removing-8", "half")
            with open(folder / AUDIT_FILE, "a") as log:
                log.write('{"time": "20')
        work = {
            "publish": lambda folder=folder: serving.publish(models[1], folder, why="a test"),
            "remove": lambda folder=folder: serving.remove(folder, 1),
            "repair": lambda folder=folder: serving.repair(folder),
        }[change]
        alive = not killed(step, work)
        assert_served_whole(server, folder, *models)
        live = serving.versions(folder)[-1].number
        outcomes.add(live)
        serving.repair(folder)
        assert serving.versions(folder)[-1].number >= live
        if change != "remove":
            assert_agrees(folder)
        published = serving.publish(models[0], folder, why="a test")
        assert audit.changes(folder)[-1].to == published.number > live
        assert_served_whole(server, folder, *models)
        if alive:
            break
        step += 1
    assert step > 10
    assert outcomes == {"publish": {1, 2}, "remove": {2}, "repair": {1}}[change]


def test_two_publishers_at_once_take_turns(folder, server, models):
    """Two processes, ten times each."""
    children = []
    for model in models:
        children.append(os.fork())
        if not children[-1]:
            with suppress(BaseException):
                for _ in range(10):
                    serving.publish(model, folder, why="a test")
                os._exit(0)
            os._exit(1)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    assert [version.number for version in serving.versions(folder)] == list(range(1, 21))
    assert_served_whole(server, folder, *models)
    assert_agrees(folder)


@contextmanager
def mounted(path: Path, *options: str):
    """A small file system of its own; skips where this user may not mount one."""
    path.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


def test_full_disk_changes_nothing_and_is_one_line(tmp_path, folder, models):
    """At every size of the space that is left, down to where only the log's line does not fit."""
    reasons = set()
    with mounted(folder, "size=256k"):
        serving.publish(models[0], folder, why="a test")
        filler = folder / "filler"
        room = os.statvfs(folder).f_bavail
        for left in range(room):
            with open(filler, "wb") as file:
                file.write(bytes((room - left) * os.statvfs(folder).f_bsize))
            before, log = contents(folder / "1"), (folder / AUDIT_FILE).read_bytes()
            try:
                serving.publish(models[1], folder, why="a long reason " * 300)
            except MachineError as error:
                reasons.add(str(error))
                assert names(folder.parents[1]) == ["1", "filler"]
                assert (contents(folder / "1"), (folder / AUDIT_FILE).read_bytes()) == (before, log)
            else:
                break
            filler.unlink()
        filler.unlink()
        assert left > 3
        assert [v.number for v in serving.versions(folder)] == [1, 2]
        assert_agrees(folder)
    [reason] = reasons
    assert "cannot be written (No space left on device); the live version has not changed" in reason


def test_read_only_target_is_one_line(folder, models):
    with mounted(folder, "size=256k"):
        serving.publish(models[0], folder, why="a test")
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        serving.repair(folder)  # nothing to repair, so nothing to write
        with pytest.raises(MachineError, match=r"cannot be written \(Read-only file system\)"):
            serving.publish(models[1], folder, why="a test")
        assert [v.number for v in serving.versions(folder)] == [1]
        assert_agrees(folder)


def test_disk_that_fails_at_the_log_leaves_nothing(folder, models, monkeypatch):
    serving.publish(models[0], folder, why="a test")

    def refuse(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(audit, "append", refuse)
    with pytest.raises(MachineError, match="Input/output error"):
        serving.publish(models[1], folder, why="a test")
    monkeypatch.undo()
    assert_agrees(folder)
