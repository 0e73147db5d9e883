"""What lies in a serving directory: what is a version, what is damaged, and what is none of ours."""

import json
import os
import re
import shutil

import pytest

from maskline.components.pusher import audit, serving
from maskline.components.pusher.contents import highest_number, look
from maskline.transform.names import AUDIT_FILE, FACTS_FILE, IDENTITY_FILE, MANIFEST_FILE
from tests.components.pusher.test_serving import saved_model


@pytest.fixture
def folder(tmp_path):
    """A serving directory with versions 1 and 2."""
    folder = tmp_path / "serving" / "maskline"
    for name in ("one", "two"):
        serving.publish(saved_model(tmp_path / name, name), folder, why="a test")
    return folder


def numbers(folder):
    return [version.number for version in look(folder).versions]


def flip(file):
    """Another byte, at the same time and of the same size, as a disk that loses bits leaves it."""
    times = file.stat()
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


FOREIGN = {
    "empty folder": lambda folder: (folder / "99").mkdir(),
    "leading zeros": lambda folder: (folder / "007").mkdir(),
    "superscript": lambda folder: (folder / "5²").mkdir(),
    "file": lambda folder: (folder / "8").write_text("eight"),
    "dangling link": lambda folder: (folder / "9").symlink_to("nowhere"),
    "link to a version": lambda folder: (folder / "9").symlink_to("1"),
    "thirty digits": lambda folder: (folder / ("1" * 30)).mkdir(),
    "incoming text": lambda folder: (folder / "incoming.txt").write_text("mail"),
    "incoming file": lambda folder: (folder / "incoming-5").write_text("mail"),
    "model of another program": lambda folder: (
        shutil.copytree(folder / "1", folder / "7"),
        (folder / "7" / IDENTITY_FILE).unlink(),
    ),
    "zero": lambda folder: (folder / "0").mkdir(),
}


@pytest.mark.parametrize("thing", FOREIGN)
def test_foreign_thing_is_named_once_and_stays(folder, thing):
    before = set(folder.iterdir())
    FOREIGN[thing](folder)
    [new] = set(folder.iterdir()) - before
    serving.repair(folder)
    contents = look(folder)
    assert [version.number for version in contents.versions] == [1, 2]
    assert [foreign.path for foreign in contents.foreign] == [new]
    assert contents.damaged == []
    assert os.path.lexists(new)
    assert [change.to for change in audit.changes(folder)] == [1, 2]
    taken = int(new.name) if re.fullmatch("[0-9]{1,18}", new.name) else 0
    expected = max(2, taken) + 1
    assert serving.publish(folder / "1", folder, why="a test").number == expected, (
        "a server takes the highest"
    )
    assert look(folder).live.number == expected


DAMAGE = {
    "model truncated": lambda version: os.truncate(version / "saved_model.pb", 3),
    "model gone": lambda version: (version / "saved_model.pb").unlink(),
    "variables truncated": lambda version: os.truncate(next(version.glob("variables/*data*")), 0),
    "variables gone": lambda version: shutil.rmtree(version / "variables"),
    "identity cut short": lambda version: os.truncate(version / IDENTITY_FILE, 5),
    "identity gone": lambda version: (version / IDENTITY_FILE).unlink(),
    "another model": lambda version: (version / IDENTITY_FILE).write_text('{"identity": "three"}'),
    "manifest gone": lambda version: (version / MANIFEST_FILE).unlink(),
    "manifest rewritten": lambda version: (version / MANIFEST_FILE).write_text('{"files": {}}'),
    "emptied": lambda version: [shutil.rmtree(version), version.mkdir()],
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_version_is_none_and_the_file_is_named(folder, kind):
    DAMAGE[kind](folder / "2")
    contents = look(folder)
    assert [version.number for version in contents.versions] == [1]
    [damaged] = contents.damaged
    assert damaged.number == 2
    names = (IDENTITY_FILE, MANIFEST_FILE, "saved_model.pb", "variables/variables.")
    assert damaged.why.startswith(names), damaged.why
    assert serving.publish(folder / "1", folder, why="back").number == 3, "the way back is open"


def test_flipped_byte_is_found_by_reading_all_files(folder):
    flip(folder / "2" / "saved_model.pb")
    assert numbers(folder) == [1, 2]
    [damaged] = look(folder, thorough=True).damaged
    assert damaged.why == "saved_model.pb is not what was released"


def test_flipped_byte_of_another_time_is_found_by_every_command(folder):
    file = folder / "2" / "saved_model.pb"
    flip(file)
    os.utime(file)
    assert numbers(folder) == [1]


@pytest.mark.parametrize("name", ["3", "20261127"])
def test_copy_by_hand_is_a_version_and_live(folder, name):
    shutil.copytree(folder / "1", folder / name)  # with other times
    os.utime(folder / name / "saved_model.pb")
    assert look(folder).live == (int(name), folder / name, "one")
    assert serving.publish(folder / "2", folder, why="a test").number == int(name) + 1


def test_version_of_an_earlier_release_has_no_manifest_and_is_one(tmp_path):
    folder = tmp_path / "serving" / "maskline"
    saved_model(folder / "4", "four")
    assert look(folder, thorough=True).live.number == 4


def test_number_is_never_given_twice(folder):
    """Whichever of directory, audit log and store is left; `remember` stands for the store."""
    shutil.rmtree(folder / "2")
    assert highest_number(folder) == 2, "the log is left"
    (folder / AUDIT_FILE).unlink()
    assert highest_number(folder) == 1
    serving.remember_number(folder, 2)
    assert serving.publish(folder / "1", folder, why="a test").number == 3


def test_override_is_a_field_and_old_lines_still_read(folder, tmp_path):
    serving.publish(saved_model(tmp_path / "three", "three"), folder, why="it is meant", override=True)
    line = json.loads((folder / AUDIT_FILE).read_text().splitlines()[-1])
    assert (line["why"], line["override"]) == ("it is meant", True)
    old = {key: value for key, value in line.items() if key not in ("override", "manifest")}
    with open(folder / AUDIT_FILE, "a") as log:
        log.write(json.dumps({**old, "to": 4, "why": "blessed on purpose: as before"}) + "\n")
    assert [(c.override, c.why) for c in audit.changes(folder)[2:]] == [
        (True, "it is meant"), (True, "as before"),
    ]  # fmt: skip


def test_facts_cut_short_leave_the_way_back_open(folder):
    facts = folder / "1" / "assets.extra" / FACTS_FILE
    facts.write_text('{"metr')
    assert serving.publish(folder / "1", folder, why="back").identity == "one"
