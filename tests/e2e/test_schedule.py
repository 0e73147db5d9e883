"""A tick on the root of a real run: it depends on what the run depended on, and loads nothing heavy."""

import json
import subprocess
import sys

import pytest

from tests.conftest import Finished
from tests.support import REPOSITORY, environment, maskline

pytestmark = pytest.mark.slow
HEAVY = (
    "import sys; from maskline.pipeline.cli import cli; "
    "cli(sys.argv[1:], standalone_mode=False); print(*sys.modules)"
)


def test_tick_after_a_run_finds_nothing_new_and_loads_no_tensorflow(finished: Finished):
    asked = ("tick", "--root", str(finished.root), "--set", f"data.path={finished.data}",
             "--set", "evaluation.min_accuracy=0.3")  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", HEAVY, *asked],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    said, modules = done.stdout.splitlines()
    assert said.endswith("nothing new: data, settings and source are as before")
    assert not {"tensorflow", "tfx", "keras", "scipy"} & set(modules.split())
    history = maskline("schedule", "history", "--root", finished.root, "--json")
    assert json.loads(history.stdout.splitlines()[-1])["decision"] == "nothing new"
