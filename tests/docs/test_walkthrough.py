"""The walk-through of one's own data, from its first line to its last: as a script, then as a notebook."""

import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from tests.docs.notebook import NOTEBOOK, SCRIPT, notebook
from tests.support import PATIENCE, environment


def test_notebook_holds_the_cells_of_the_script():
    assert nbformat.read(NOTEBOOK, as_version=4) == notebook(), "run python -m tests.docs.notebook"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("walkthrough")


@pytest.fixture(scope="module")
def script(folder):
    return subprocess.run(
        [sys.executable, SCRIPT],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )  # fmt: skip


@pytest.mark.slow
def test_script_ends_with_a_released_model_that_answers(script):
    assert (script.returncode, script.stderr) == (0, "")
    assert "Released as version 1. " in script.stdout
    text, team, probability = script.stdout.splitlines()[-2].split("\t")
    assert (text, team) == ("hello again my card was refused at work", "billing")
    assert float(probability) > 0.5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:zmq")
def test_notebook_runs_too_and_trains_nothing_again(script, folder):
    """In the same folder, so that it shows what a second call does, and costs no second training."""
    cells = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(
        cells, timeout=PATIENCE, kernel_name="python3", resources={"metadata": {"path": folder}}
    ).execute()
    printed = "".join(out.text for cell in cells.cells for out in cell.get("outputs", []))
    assert "Nothing changed since run " in printed
    assert "\tbilling\t" in printed
