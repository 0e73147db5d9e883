"""A tick on the root of a real run: it depends on what the run depended on, and loads nothing heavy."""

import json
import subprocess
import sys

import pytest

from maskline.components.data_gate.rules import DataGateSettings
from maskline.pipeline.schedule.scoring import Question, Score, Scoring
from maskline.transform.features import SequenceSpec
from tests.conftest import Finished
from tests.support import REPOSITORY, environment, maskline, show

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


def _score(finished: Finished, shards, before=()):
    question = Question(shards=tuple(shards), sequence=SequenceSpec(), before=tuple(before))
    asking = [sys.executable, "-m", "maskline.pipeline.registry.score", str(finished.served)]
    done = subprocess.run(asking, input=question.model_dump_json(), cwd=REPOSITORY, env=environment(),
                          capture_output=True, text=True)  # fmt: skip
    return Score.model_validate_json(done.stdout)


def test_score_of_the_live_model_is_what_the_evaluator_measured(finished: Finished):
    [folder] = finished.root.glob("artifacts/ExampleGen/examples/*/Split-test")
    found = _score(finished, folder.iterdir())
    metrics = show(finished.root)["metrics"]["candidate"]
    assert not found.problem
    assert found.rows == metrics["example_count"]
    assert found.accuracy == pytest.approx(metrics["accuracy"], abs=1e-6)


def test_drift_is_measured_by_the_gate_s_rule(finished: Finished, tmp_path):
    made = maskline("data", "--out", tmp_path / "small", "--shards", 1, "--records", 500, "--max-value", 3)
    assert made.returncode == 0, made.stderr
    shards = sorted(finished.data.iterdir())
    same, other = (_score(finished, new, shards[:2]) for new in (shards[2:], (tmp_path / "small").iterdir()))
    assert [one.feature for one in same.drift] == ["defs", "op"]
    limit = DataGateSettings().max_drift
    assert all(one.divergence <= one.chance + limit for one in same.drift)
    assert any(one.divergence > one.chance + limit for one in other.drift)


def test_model_that_cannot_be_asked_is_a_problem_and_no_failure(finished: Finished, tmp_path):
    scoring = Scoring(7, tmp_path / "none", sorted(finished.data.iterdir()), SequenceSpec())
    score = scoring.result()
    assert (score.version, score.rows, score.accuracy) == (7, 0, None)
    assert "none" in score.problem
