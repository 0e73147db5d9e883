"""Good data, then drifted data, then what an operator can do. One root, run after run."""

import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.docs.outputs import assert_documented
from tests.support import PATIENCE, QUICK, REPOSITORY, environment, maskline, show, states, versions

pytestmark = pytest.mark.slow

TRAINED = {"Trainer", "Evaluator", "Pusher"}


# The pipeline on TFX's own local runner, which knows nothing of blocked runs.
STOCK = """
import os, sys
from pathlib import Path
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from maskline.pipeline.settings.load import load
from maskline.pipeline.dag import create_pipeline

root, data = map(Path, sys.argv[1:])
[schema] = (root / "schemas").iterdir()
pipeline = create_pipeline(load(root=root, data=data), schema_file=str(schema), ahead=True)
os.chdir(root)
LocalDagRunner().run(pipeline)
"""

# A run whose Transform fails, as it may on rows that nobody has looked at.
FAILING = """
import sys
from maskline.pipeline import cli
from maskline.pipeline.imports import lean_imports

with lean_imports():
    from maskline.pipeline.stages import train
    from tests import small_nodes  # here, for nodes work in another folder

real = train.Transform
train.Transform = lambda *inputs, preprocessing_fn, **options: real(
    *inputs, preprocessing_fn="tests.small_nodes.no_preprocessing", **options
)
cli.main()
"""


class Step(NamedTuple):
    code: int
    out: str
    run: dict[str, Any]
    versions: list[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("gate")


@pytest.fixture(scope="module")
def steps(folder) -> dict[str, Step]:
    root, good, drifted = folder / "root", folder / "good", folder / "drifted"
    maskline("data", "--out", good, "--shards", 1, "--records", 400)
    maskline("data", "--out", drifted, "--shards", 1, "--records", 400, "--seed", 1, "--max-value", 30)
    taken: dict[str, Step] = {}

    def run(name: str, data: Any, *options: str, script: str = "") -> None:
        command = ("run", "--data", data, "--root", root, *QUICK, "--set", "release_gate.margin=1", *options)
        done = (
            subprocess.run(
                [sys.executable, "-c", script, *map(str, command)],
                cwd=REPOSITORY, env=environment(), capture_output=True, text=True, timeout=PATIENCE,
            )
            if script
            else maskline(*command)
        )  # fmt: skip
        taken[name] = Step(done.returncode, done.stdout + done.stderr, show(root), versions(root))

    run("good", good)
    run("drifted", drifted)
    run("drifted again", drifted)
    run("Transform fails", drifted, "--set", "data_gate.max_drift=0.01", script=FAILING)
    run("Transform fails again", drifted, "--set", "data_gate.max_drift=0.01")
    run("mended", good, "--set", "data_gate.max_skew=0.02")
    stock = subprocess.run(
        [sys.executable, "-c", STOCK, root, drifted],
        cwd=REPOSITORY, env=environment(), capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    taken["stock runner"] = Step(stock.returncode, stock.stderr, show(root), versions(root))
    run("drift warns", drifted, "--set", "data_gate.severity.drift=warn")
    return taken


def test_good_data_pass(steps):
    step = steps["good"]
    assert (step.code, step.versions) == (0, ["1"]), step.out
    assert all(check["outcome"] == "passed" for check in step.run["verdicts"]["DataGate"]["checks"])


@pytest.mark.parametrize("name", ["drifted", "drifted again"])
def test_drifted_data_are_blocked_and_nothing_is_trained_or_pushed(steps, name):
    step = steps[name]
    assert (step.code, step.versions, step.run["exit"]) == (3, ["1"], 3), step.out
    assert not TRAINED & set(states(step.run))
    assert set(states(step.run).values()) <= {"COMPLETE", "CACHED"}
    assert step.run["released_version"] is None
    assert "Blocked by DataGate: drift of 'defs': Jensen-Shannon divergence 0.0" in step.out
    assert "% in the previous span" in step.out
    assert "Not released: DataGate blocked the data (drift of 'defs'" in step.out
    assert "nothing was trained." in step.out


def test_gate_decides_where_transform_fails_on_what_it_holds_back(steps):
    """Both work at the same time; the one line that counts is the gate's."""
    step = steps["Transform fails"]
    assert (step.code, step.versions, step.run["exit"]) == (3, ["1"], 3), step.out
    assert states(step.run)["Transform"] == "FAILED"
    assert "Not released: DataGate blocked the data (drift of 'defs'" in step.out
    assert "Traceback" not in step.out
    assert "not for these rows" not in step.out
    again = steps["Transform fails again"]
    assert (again.code, again.run["run"]) == (3, step.run["run"]), again.out


def test_docs_show_what_a_blocked_run_prints(steps, folder):
    assert_documented("blocked", steps["drifted"].out, replace={folder / "root": "runs"})


def test_the_command_that_shows_more_does(steps):
    command = steps["drifted"].out.split("more: maskline ")[1].splitlines()[0]
    done = maskline(*command.split())
    assert "rows in 1 shards" in done.stdout, done.stderr


def test_blocked_run_says_so_once_and_again(steps):
    assert "skipped, and all that needs it" in steps["drifted"].out
    assert "Nothing changed since run " in steps["drifted again"].out
    assert steps["drifted again"].run["run"] == steps["drifted"].run["run"]


def test_mended_data_go_through_and_by_another_rule_nothing_is_trained_anew(steps):
    step = steps["mended"]
    assert (step.code, step.versions) == (0, ["1"]), step.out
    found = states(step.run)
    assert (found["DataGate"], found["Transform"], found["Trainer"]) == ("COMPLETE", "CACHED", "CACHED")


def test_any_runner_of_tfx_stops_there(steps):
    step = steps["stock runner"]
    assert (step.code, step.run["exit"], step.versions) == (0, 3, ["1"]), step.out
    assert step.run["run"] != steps["drifted"].run["run"]
    assert set(states(step.run)) == set(states(steps["drifted"].run))


def test_drift_that_only_warns_lets_the_run_through(steps):
    step = steps["drift warns"]
    assert (step.code, step.versions) == (0, ["1", "2"]), step.out
    assert "DataGate warns: drift of 'defs': " in step.out
