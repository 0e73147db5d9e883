"""Checkpoints on disk: whatever damages one, the one before is used."""

import os
import shutil

import pytest

from maskline.trainer.checkpoints import Checkpoints


def fill_with(number):
    def fill(folder):
        (folder / "weights").write_bytes(bytes([number]) * 1000)
        (folder / "state.json").write_text(f'{{"epoch": {number}}}')

    return fill


@pytest.fixture
def written(tmp_path):
    checkpoints = Checkpoints(tmp_path / "training")
    for number in (1, 2, 3):
        checkpoints.write(number, fill_with(number))
    return checkpoints, tmp_path / "training"


def test_the_newest_is_taken_and_the_one_before_is_kept(written):
    checkpoints, folder = written
    assert checkpoints.newest() == folder / "00003"
    assert (folder / "00003/weights").read_bytes() == b"\3" * 1000
    assert sorted(os.listdir(folder)) == ["00002", "00003"]


def empty(path):
    path.write_bytes(b"")


def cut(path):
    path.write_bytes(path.read_bytes()[:-5])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def remove(path):
    path.unlink()


def fold(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("name", ["weights", "state.json", "SHA256SUMS"])
@pytest.mark.parametrize("damage", [empty, cut, flip, remove, fold])
def test_a_damaged_one_is_dropped_with_a_word(written, caplog, damage, name):
    checkpoints, folder = written
    damage(folder / "00003" / name)
    assert checkpoints.newest() == folder / "00002"
    assert not (folder / "00003").exists()
    [line] = caplog.messages
    assert line.startswith("the checkpoint of epoch 3 is damaged (")
    assert name in line or name == "SHA256SUMS"
    assert line.endswith("): dropped")


def test_nothing_is_left_where_all_are_damaged(written):
    checkpoints, folder = written
    empty(folder / "00002/weights")
    shutil.rmtree(folder / "00003")
    (folder / "00003").write_text("a file")
    assert checkpoints.newest() is None
    assert os.listdir(folder) == []


def test_what_a_kill_left_half_written_and_what_others_put_there_is_no_checkpoint(written):
    checkpoints, folder = written
    for name in ("00004.partial", "7²", "notes", "123456"):
        (folder / name).mkdir()
    assert checkpoints.newest() == folder / "00003"
    checkpoints.write(4, fill_with(4))
    assert checkpoints.newest() == folder / "00004"
    assert not (folder / "00004.partial").exists()
    assert (folder / "notes").exists()


def test_files_and_folders_are_synced_before_the_name_and_the_name_after(tmp_path, monkeypatch):
    done = []
    sync, rename = os.fsync, os.rename
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append(os.readlink(f"/proc/self/fd/{fd}")), sync(fd)))
    monkeypatch.setattr(os, "rename", lambda a, b: (done.append("renamed"), rename(a, b)))
    Checkpoints(tmp_path).write(1, fill_with(1))
    partial = f"{tmp_path}/00001.partial"
    assert {*done[:4]} == {f"{partial}/{name}" for name in ("weights", "state.json", "SHA256SUMS")} | {
        partial
    }
    assert done[3:] == [partial, "renamed", str(tmp_path)]
