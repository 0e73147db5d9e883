"""A part of the matrix, on the run that end-to-end tests share: commands that need no TensorFlow."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import maskline.pipeline.registry.garbage  # for the commands, which are forked from here
import maskline.pipeline.registry.models  # noqa: F401
from tests.conftest import Finished
from tests.faults.commands import Done
from tests.faults.damage import FULL, READ_ONLY, may_mount
from tests.faults.forks import versions_asked_in_forks
from tests.faults.matrix import SETTINGS, Cell, Home, try_cell, undamaged

pytestmark = pytest.mark.slow

FILES = ("lost", "emptied", "truncated", "flipped", "foreign")
TRIED = {
    "store": ("lost", "truncated", "flipped", "foreign", READ_ONLY),
    "audit log": (*FILES, READ_ONLY),
    "serving": ("lost", "emptied", READ_ONLY),
    "live": ("lost", "truncated", "foreign"),
    "root": (READ_ONLY, FULL),
    "artifacts": ("lost",),
    "DataGate/verdict": ("lost", "truncated"),
    "Evaluator/evaluation": ("lost", "truncated"),
    "StatisticsGen/statistics": ("lost", "truncated"),
    "settings": ("lost", "foreign"),
}
COMMANDS = ("models", "show", "rollback", "gc")


@pytest.fixture(scope="module")
def asked() -> Iterator[None]:
    with versions_asked_in_forks():
        yield


@pytest.fixture(scope="module")
def master(finished: Finished, asked: None) -> Iterator[Path]:
    """The finished root with its data and settings beside it. Roots are tried where this one was made."""
    folder = finished.root.parent
    kept, master = (folder.with_name(f"{folder.name}-{name}") for name in ("kept", "master"))
    folder.rename(kept)
    subprocess.run(["cp", "-a", kept, master], check=True)
    subprocess.run(["cp", "-a", finished.data, master / "data"], check=True)
    (master / SETTINGS).write_text("root: root\ndata: {path: data}\n")
    yield master
    shutil.rmtree(folder, ignore_errors=True)
    kept.rename(folder)


@pytest.fixture(scope="module")
def usual(master: Path, finished: Finished) -> dict[str, Done]:
    """What the commands say where nothing is damaged."""
    return {command: undamaged(master, Home(finished.root.parent), command) for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("thing", "state"), [(thing, state) for thing, them in TRIED.items() for state in them]
)
def test_what_is_live_stays_live(master, usual, finished: Finished, thing: str, state: str, command: str):
    if state in (READ_ONLY, FULL) and not may_mount():
        pytest.skip("only root can mount")
    cell = Cell(thing, state, command)
    result = try_cell(master, Home(finished.root.parent), cell, usual[command])
    assert result.problems == [], result.said
