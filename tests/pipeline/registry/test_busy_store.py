"""A metadata store that another process holds, or that the machine refuses."""

import sqlite3
import subprocess
import sys
import threading

import pytest

from maskline.pipeline.errors import BusyError
from maskline.pipeline.registry import store as registry_store
from maskline.transform.errors import InputError, MachineError
from tests.faults.damage import READ_ONLY, may_mount, mounted

HOLD = """
import sqlite3, sys
store = sqlite3.connect(sys.argv[1], isolation_level=None)
store.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def held(config, store):
    """The store, held by another process; its id."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(config.metadata_file)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == b"held\n"
        yield process.pid
        process.stdin.close()


@pytest.mark.parametrize("read_only", [True, False])
def test_a_store_that_is_held_is_waited_for_and_then_named_with_its_holder(
    config, held, monkeypatch, read_only
):
    monkeypatch.setattr(registry_store, "PATIENCE", 0.1)
    with pytest.raises(BusyError) as error:
        registry_store.connect(config.metadata_file, read_only=read_only)
    assert str(error.value) == (
        f"{config.metadata_file}: busy, held by process {held}; wait until it has ended, then try again"
    )


def test_a_store_that_was_held_is_opened_when_it_is_free(config, store):
    holder = sqlite3.connect(config.metadata_file, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    threading.Timer(0.3, holder.close).start()
    assert registry_store.connect(config.metadata_file).get_artifacts() == []


def test_what_is_no_store_is_the_users_and_what_is_refused_is_the_machines(tmp_path):
    (tmp_path / "text").write_text("this is no database" * 100)
    with pytest.raises(
        InputError, match=r"text: the metadata store cannot be read \(file is not a database\)"
    ):
        registry_store.connect(tmp_path / "text", read_only=True)
    (tmp_path / "empty").touch()
    with pytest.raises(InputError, match="empty: the metadata store is empty; put it back"):
        registry_store.connect(tmp_path / "empty", read_only=True)
    if not may_mount():
        pytest.skip("only root can mount")
    (tmp_path / "folder").mkdir()
    with mounted(tmp_path / "folder", READ_ONLY), pytest.raises(MachineError, match="cannot be written"):
        registry_store.connect(tmp_path / "folder" / "store")
