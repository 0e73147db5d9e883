"""What reruns after which edit, and what is compared with what. One root, run after run."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from maskline.pipeline.fingerprint import chosen_stack
from tests.support import QUICK, REPOSITORY, RESOLVERS, maskline, show, states, versions

pytestmark = pytest.mark.slow

ROOMS = ("transform", "trainer", "components", "pipeline")


class Step(NamedTuple):
    code: int
    out: str
    run: dict[str, Any]
    versions: list[str]

    @property
    def reran(self) -> set[str]:
        """Components that did not come from the cache; a resolver always asks anew."""
        return {name for name, state in states(self.run).items() if state != "CACHED"} - RESOLVERS


@pytest.fixture(scope="module")
def steps(tmp_path_factory) -> dict[str, Step]:
    """A checkout of its own, so that its files can be edited between the runs."""
    checkout = tmp_path_factory.mktemp("checkout")
    for room in ROOMS:
        shutil.copytree(REPOSITORY / room, checkout / room, ignore=shutil.ignore_patterns("__pycache__"))
    # The links by which the rooms have their names lead to the copies.
    shutil.copytree(REPOSITORY / "maskline", checkout / "maskline", symlinks=True)
    shutil.copytree(REPOSITORY / "locks", checkout / "locks")
    shutil.copy(REPOSITORY / "maskline.yaml", checkout)
    data, root = checkout / "data/small", checkout / "root"
    maskline("data", "--out", data, "--shards", 1, "--records", 300)
    taken: dict[str, Step] = {}

    def run(name: str, *options: str, cwd: Path = checkout) -> None:
        done = maskline("run", "--data", data, "--root", root, *QUICK, *options, cwd=cwd)
        taken[name] = Step(done.returncode, done.stdout + done.stderr, show(root), versions(root))

    def edit(file: str, text: str = "\n# edited\n") -> None:
        path = Path(checkout / file)
        path.write_text(path.read_text() + text)

    # As long as no component's code is edited it is the same here, where TFX is imported already.
    run("first", cwd=REPOSITORY)
    edit("pipeline/console.py")
    run("pipeline edited")
    for shard in data.iterdir():
        shard.touch()
    run("shards delivered again", cwd=REPOSITORY)
    edit("trainer/layers.py")
    run("trainer edited", "--set", "release_gate.margin=1")
    run("bar raised", "--set", "release_gate.margin=1", "--set", "release_gate.min_accuracy=0.999")
    run("bar lowered", "--set", "release_gate.margin=1")
    edit(f"locks/{chosen_stack()}.txt")
    run("lock edited", "--set", "release_gate.margin=1")
    shutil.rmtree(root / "serving/maskline/3")
    run("version removed by hand", "--set", "release_gate.margin=1")
    return taken


def test_first_run_releases(steps):
    assert steps["first"].code == 0, steps["first"].out
    assert steps["first"].versions == ["1"]


def test_what_no_component_depends_on_reruns_nothing(steps):
    step = steps["pipeline edited"]
    assert (step.code, step.reran, step.versions) == (0, set(), ["1"]), step.out
    assert step.run["released_version"] == 1


def test_model_that_is_trained_again_from_the_same_rows_is_not_published_again(steps):
    step = steps["shards delivered again"]
    assert step.reran >= {"ExampleGen", "Transform", "Trainer", "Evaluator", "Pusher"}
    assert (step.code, step.versions, step.run["live_version"]) == (0, ["1"], 1), step.out
    assert step.run["metrics"]["candidate"] == pytest.approx(steps["first"].run["metrics"]["candidate"])


def test_edited_trainer_reruns_from_the_trainer_on(steps):
    step = steps["trainer edited"]
    assert step.code == 0, step.out
    assert step.reran == {"Trainer", "Evaluator", "ReleaseGate", "ModelChecks", "Pusher"}
    assert step.versions == ["1", "2"]
    assert set(step.run["metrics"]) == {"candidate", "live", "change", "majority", "linear"}


def test_model_below_the_bar_is_not_released_and_why_is_said(steps):
    step = steps["bar raised"]
    assert step.code == 3
    assert step.versions == ["1", "2"]
    assert (step.run["blessed"], step.run["released_version"], step.run["live_version"]) == (False, None, 2)
    [why] = step.run["why"]
    assert why.startswith("accuracy: 0.")
    assert why.endswith("at least 0.9990 is needed")
    assert "This very model is live, as version 2, and stays live, but it breaks a rule" in step.out


def test_model_that_was_released_before_is_not_released_twice(steps):
    step = steps["bar lowered"]
    assert (step.code, step.reran, step.versions) == (0, set(), ["1", "2"]), step.out


def test_edited_lock_reruns_all_that_computes(steps):
    step = steps["lock edited"]
    assert step.code == 0, step.out
    assert step.reran >= {"ExampleGen", "StatisticsGen", "Transform", "Trainer", "Evaluator", "Pusher"}
    assert step.versions == ["1", "2", "3"]


def test_live_version_that_is_gone_is_no_success(steps):
    step = steps["version removed by hand"]
    assert (step.code, step.versions) == (3, ["1", "2"])
    assert (
        "version 3 was live, and is not there any more; put it back from a backup, or `maskline rollback`"
        in (step.out)
    )
