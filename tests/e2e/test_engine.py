"""One job and one kill on an engine: Prism, with workers that have our wheel in an environment of their own.

`make engine-test` has the rest: the whole pipeline.
"""

import os
import signal
import subprocess
import time

import pytest

from maskline.pipeline.predict import batch
from maskline.pipeline.predict.batch import PredictOptions
from maskline.pipeline.predict.progress import AnswerProgress
from maskline.pipeline.settings.remembered import of_root
from tests.portable import Engine, worker_environment
from tests.support import command, environment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine")
    started = Engine(folder / "engine", worker_environment(folder / "environment"))
    yield started
    started.close()


def everything_in(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_worker_that_is_killed_spoils_nothing(finished, engine, tmp_path):
    """The job is tried again or ends in one line with nothing written; the next one gives the files."""
    data = tmp_path / "rows.txt"
    data.write_text("".join(f"x={n % 97},y={n % 89}:x+y\n" for n in range(30_000)) + "x=Q:x\n")
    shared = f"beam.shared_storage=[{finished.root}, {tmp_path}]"
    call = command("predict", "--root", finished.root, "--data", data, "--out", tmp_path / "out",
                   *engine.settings, "--set", shared)  # fmt: skip
    asked = subprocess.Popen(
        call, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / ".out.partial" / "progress" / "0").exists():
        assert asked.poll() is None, asked.communicate()
        time.sleep(0.01)
    killed = engine.workers()
    for worker in killed:
        os.kill(worker, signal.SIGKILL)
    assert killed
    _, errors = asked.communicate(timeout=600)
    if asked.returncode:
        assert len(errors.splitlines()) == 1, errors
        assert {path.name for path in tmp_path.iterdir()} == {"rows.txt"}
        again = subprocess.run(call, env=environment(), capture_output=True, text=True)
        assert (again.returncode, again.stderr) == (0, "")
    settings = of_root(None, (), finished.root).settings
    batch.predict(settings, PredictOptions(data=data, out=tmp_path / "here"), AnswerProgress())
    assert everything_in(tmp_path / "out") == everything_in(tmp_path / "here")
