"""One pipeline run that all end-to-end tests share."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

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
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four sample shards of 500 records."""
    folder = tmp_path_factory.mktemp("data") / "shards"
    made = maskline("data", "--out", folder, "--shards", 4, "--records", 500)
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="session")
def finished(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The reference settings on the sample shards; fewer records, so a lower bar."""
    root = tmp_path_factory.mktemp("finished") / "root"
    process = maskline("run", "--data", shards, "--root", root, "--set", "release_gate.min_accuracy=0.3",
                       fresh=True)  # fmt: skip
    assert process.returncode == 0, process.stdout + process.stderr
    return Finished(root, shards, process)


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
