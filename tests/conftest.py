"""One pipeline run that all end-to-end tests share, in all of pytest's processes."""

import fcntl
import os
import pickle
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.buckets import Bucket, running, start_gs, start_s3
from tests.databases import MariaDB, Postgres, Server
from tests.support import maskline

# pytest-xdist sets it for its own output; a command that is under test would wrap its lines by it.
os.environ.pop("COLUMNS", None)
# A shell's background job ignores SIGINT, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that no process is left with minutes of work at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


class Finished(NamedTuple):
    """A run on sample data that released a model. Read it; do not run on it again."""

    root: Path
    data: Path
    process: subprocess.CompletedProcess[str]

    @property
    def served(self) -> Path:
        return self.root / "serving" / "maskline" / "1"


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Makes something once for all of pytest-xdist's processes: the first that asks does, others wait."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # each process has a folder of its own in this one

    def make_once(name: str, make: Callable[[Path], Any]) -> Any:
        with open(folder / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            made = folder / f"{name}.pickle"
            if not made.exists():
                (folder / name).mkdir()  # an earlier one that failed fails all
                made.write_bytes(pickle.dumps(make(folder / name)))
            return pickle.loads(made.read_bytes())

    return make_once


def _make_shards(folder: Path) -> Path:
    made = maskline("data", "--out", folder / "shards", "--shards", 4, "--records", 500)
    assert made.returncode == 0, made.stderr
    return folder / "shards"


@pytest.fixture(scope="session")
def shards(shared: Callable[..., Any]) -> Path:
    """Four sample shards of 500 records."""
    return shared("data", _make_shards)


@pytest.fixture(scope="session")
def finished(shards: Path, shared: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The reference settings on the sample shards; fewer records, so a lower bar."""

    def run(folder: Path) -> Finished:
        root = folder / "root"
        process = maskline("run", "--data", shards, "--root", root, "--set", "release_gate.min_accuracy=0.3",
                           fresh=True)  # fmt: skip
        assert process.returncode == 0, process.stdout + process.stderr
        return Finished(root, shards, process)

    # Commands lock a root and write to its store, so each of pytest's processes has one of its own.
    made = shared("run", run)
    root = shutil.copytree(made.root, tmp_path_factory.mktemp("finished") / "root", symlinks=True)
    made.process.stdout = made.process.stdout.replace(str(made.root), str(root))
    return made._replace(root=root)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A database server of the tests' own; without PostgreSQL its tests are skipped, and say so."""
    server = Postgres()
    yield server
    server.close()


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    """The same with MariaDB."""
    server = MariaDB()
    yield server
    server.close()


@pytest.fixture(scope="session", params=["postgres", "mariadb"])
def database(request: pytest.FixtureRequest) -> Server:
    """Each of them."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def s3() -> Iterator[Bucket]:
    """A bucket of moto's, which stands for S3."""
    yield from running(start_s3)


@pytest.fixture(scope="session")
def gs() -> Iterator[Bucket]:
    """A bucket of gcp-storage-emulator's, which stands for Google Cloud Storage."""
    yield from running(start_gs)
