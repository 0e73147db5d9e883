import os
import tempfile
import time
from pathlib import Path

import pytest
from tfx.orchestration import metadata

from maskline.pipeline.local.turns import MetadataInTurn

PATIENCE = 20.0  # seconds


@pytest.fixture
def turns():
    with tempfile.TemporaryFile() as file:
        yield file


def store_of(folder: Path):
    return metadata.sqlite_metadata_connection_config(str(folder / "metadata.sqlite"))


def in_child(work) -> int:
    """Forks, and gives the id of the child."""
    child = os.fork()
    if not child:
        work()
        os._exit(0)
    return child


def ends(child: int, patience: float = PATIENCE) -> bool:
    """Whether it ends, and well, within some seconds; one that does is reaped."""
    until = time.monotonic() + patience
    while (found := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < until:
        time.sleep(0.01)
    return found == (child, 0)


def enter(connection: MetadataInTurn):
    with connection:
        pass


def test_another_process_waits_until_the_store_is_left(tmp_path: Path, turns):
    connection = MetadataInTurn(store_of(tmp_path), turns)
    with connection as known:
        with connection:  # as TFX does
            assert known.store.get_artifacts() == []
        other = in_child(lambda: enter(MetadataInTurn(store_of(tmp_path), turns)))
        assert not ends(other, 0.5)
    assert ends(other)


def test_a_turn_ends_with_its_process(tmp_path: Path, turns):
    def die():
        MetadataInTurn(store_of(tmp_path), turns).__enter__()
        os._exit(9)

    os.waitpid(in_child(die), 0)
    assert ends(in_child(lambda: enter(MetadataInTurn(store_of(tmp_path), turns))))


def test_a_store_that_cannot_be_opened_leaves_the_turn_to_others(tmp_path: Path, turns, monkeypatch):
    monkeypatch.setattr(metadata, "_MAX_INIT_RETRY", 1)
    Path(tmp_path, "folder/metadata.sqlite").mkdir(parents=True)
    with pytest.raises(RuntimeError, match="Cannot connect sqlite3 database"):
        enter(MetadataInTurn(store_of(tmp_path / "folder"), turns))
    assert ends(in_child(lambda: enter(MetadataInTurn(store_of(tmp_path), turns))))
