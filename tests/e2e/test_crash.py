"""`kill -9` anywhere, then the same command again; and two runs at once."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.conftest import Finished
from tests.support import (
    PATIENCE,
    QUICK,
    REPOSITORY,
    RESOLVERS,
    command,
    environment,
    maskline,
    show,
    states,
    versions,
)

pytestmark = pytest.mark.slow


class Working:
    """A run in the background, which is killed whatever the test does."""

    def __init__(self, *arguments: object) -> None:
        self.process = subprocess.Popen(
            command(*arguments), cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, env=environment(),
        )  # fmt: skip

    def __enter__(self) -> "Working":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.kill()

    def wait_for(self, text: str) -> None:
        for line in self.process.stdout:
            if text in line:
                return
        raise AssertionError(f"the run ended without {text!r}")

    def kill(self) -> list[psutil.Process]:
        """Kills the command alone, as `kill -9 PID` does; gives its children."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()
        return children


def name_of(process: psutil.Process) -> str | None:
    """What `top` calls it; none once it is gone."""
    with suppress(psutil.NoSuchProcess):
        return process.name()
    return None


@pytest.fixture
def arguments(shards: Path, tmp_path: Path) -> tuple[object, ...]:
    return "run", "--data", shards, "--root", tmp_path / "root", *QUICK


@pytest.fixture
def training(finished: Finished, arguments: tuple[object, ...], tmp_path: Path) -> tuple[object, ...]:
    """On a root where all that comes before the training is in the cache; the training has no end."""
    shutil.copytree(finished.root, tmp_path / "root", symlinks=True)
    return *arguments, "--set", "training.epochs=10000", "--set", "training.xla=off"


def test_killed_anywhere_the_next_run_finishes(arguments, tmp_path):
    root = tmp_path / "root"
    for point in ("  ExampleGen …", "  Transform …", "  Trainer …", "  Evaluator …"):
        with Working(*arguments) as run:
            run.wait_for(point)
            time.sleep(1)  # into its middle; a busy machine takes as long to begin it
            children = run.kill()
        _, alive = psutil.wait_procs(children, timeout=PATIENCE)
        assert not alive, "a killed run leaves no node at work"
        assert versions(root) == []
    interrupted = show(root)
    assert interrupted["exit"] == 1
    assert states(interrupted)["Evaluator"] == "RUNNING"

    assert list((root / "tmp").iterdir()), "killed, so nothing was cleared"
    done = maskline(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (root / "tmp").exists()
    assert versions(root) == ["1"]
    assert states(show(root)) == {
        "ExampleGen": "CACHED", "StatisticsGen": "CACHED", "ImportSchemaGen": "CACHED",
        "ExampleValidator": "CACHED", "DataGate": "CACHED", "Transform": "CACHED", "Trainer": "CACHED",
        "ModelChecks": "COMPLETE", "Evaluator": "COMPLETE", "ReleaseGate": "COMPLETE", "Pusher": "COMPLETE",
        **dict.fromkeys(RESOLVERS, "COMPLETE"),
    }  # fmt: skip
    assert maskline(*arguments).returncode == 0
    assert versions(root) == ["1"]


def test_killed_node_fails_the_run_and_is_named(training, tmp_path):
    with Working(*training) as run:
        run.wait_for("Trainer: epoch 1/")
        children = psutil.Process(run.process.pid).children(recursive=True)
        # Earlier nodes may still give their memory back, and later ones prepare themselves.
        [node] = (child.pid for child in children if name_of(child) == "Trainer")
        os.kill(node, signal.SIGKILL)
        out, _ = run.process.communicate(timeout=PATIENCE)
        assert run.process.returncode == 1
    assert not psutil.wait_procs(children, timeout=PATIENCE)[1], "none outlives the run"
    assert "Trainer's process was ended by signal 9" in out
    assert versions(tmp_path / "root") == ["1"]


def test_second_run_on_a_root_says_who_works_and_leaves(training, tmp_path):
    with Working(*training) as run:
        run.wait_for("Trainer: epoch 1/")
        done = maskline(*training)
        assert done.returncode == 4
        assert f"busy, held by process {run.process.pid}" in done.stderr
        assert show(tmp_path / "root")["working"] == run.process.pid
        assert states(show(tmp_path / "root"))["Trainer"] == "RUNNING"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_and_its_nodes_and_leaves_nothing(training, tmp_path, number):
    with Working(*training) as run:
        run.wait_for("Trainer: epoch 1/")
        children = psutil.Process(run.process.pid).children(recursive=True)
        assert list((tmp_path / "root/tmp").glob("*/maskline-rows-*"))
        run.process.send_signal(number)
        run.process.communicate(timeout=PATIENCE)
        assert run.process.returncode == 128 + number
    _, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert not alive
    assert states(show(tmp_path / "root"))["Trainer"] == "CANCELED"
    assert not (tmp_path / "root/tmp").exists()
