"""The disk space of a run: estimated from the shards and the model, looked at on a real small disk."""

import gzip
import re
import shutil

import pytest

from maskline.pipeline.local.space import Need, mount_of
from maskline.transform.errors import MachineError
from tests.support import GOOD, maskline, write_shard

MEGABYTE = 1 << 20


def test_it_grows_with_the_data_and_the_model(tmp_path):
    (tmp_path / "plain").write_bytes(b"x" * MEGABYTE)
    (tmp_path / "packed").write_bytes(gzip.compress(b"x" * MEGABYTE))
    none = Need.of(tmp_path, []).size
    plain = Need.of(tmp_path, [tmp_path / "plain"]).size
    assert plain == none + 4 * MEGABYTE
    assert Need.of(tmp_path, [tmp_path / "packed"]).size == (
        none + 4 * 8 * (tmp_path / "packed").stat().st_size
    )
    assert Need.of(tmp_path, [tmp_path / "plain"], parameters=MEGABYTE).size == plain + 32 * MEGABYTE


def test_room_that_is_not_there_is_told_with_both_figures(small_disk):
    free = shutil.disk_usage(small_disk).free
    root = small_disk / "not" / "yet"
    Need(root, free).check()
    with pytest.raises(MachineError) as error:
        Need(root, free + 1).check()
    assert str(error.value) == (
        f"no space left on {small_disk}: 6 MB needed for {root}, 5 MB are free; "
        "make room (`maskline gc`), or give another --root"
    )


def test_between_nodes_only_what_one_node_needs_is_asked_for(small_disk):
    need = Need(small_disk, 1 << 40)
    need.check(halfway=True)
    (small_disk / "artifact").write_bytes(bytes(2 * MEGABYTE))
    with pytest.raises(MachineError, match="no space left on"):
        need.check(halfway=True)


def test_the_mount_is_the_one_that_holds_the_folder(small_disk):
    (small_disk / "root").mkdir()
    assert mount_of(small_disk / "root") == small_disk
    assert mount_of(small_disk.parent) != small_disk


def test_a_run_says_so_before_it_begins(small_disk, tmp_path):
    write_shard(tmp_path / "data/a.tfrecord", [GOOD])
    done = maskline("run", "--data", tmp_path / "data", "--root", small_disk / "root")
    assert done.returncode == 1
    assert re.fullmatch(
        rf"maskline: no space left on {small_disk}: \d+ MB needed for .*, 4 MB are free; .*\n", done.stderr
    )
    assert not (small_disk / "root" / "artifacts").exists()
