"""From the first release to the way back. One root, run after run."""

import json
from typing import Any, NamedTuple

import pytest

from components.audit import AUDIT_FILE
from components.model_card import CARD_FILE
from tests.support import QUICK, maskline, show, versions

pytestmark = pytest.mark.slow

WIDE = ("--set", "evaluation.margin=1", "--set", "evaluation.slice_margin=1")
SECOND = ("--set", "training.seed=1", *WIDE)
# The mask as published, without effect, in a model that is asked to keep padding out.
BROKEN = ("--set", "model.attention_mask=queries", "--set", "checks.mask=block", *WIDE)


class Step(NamedTuple):
    code: int
    out: str
    run: dict[str, Any]
    models: list[dict[str, Any]]
    versions: list[str]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("publishing") / "root"


@pytest.fixture(scope="module")
def steps(root, tmp_path_factory) -> dict[str, Step]:
    data = tmp_path_factory.mktemp("publishing-data") / "shards"
    maskline("data", "--out", data, "--shards", 1, "--records", 300)
    taken: dict[str, Step] = {}

    def step(name: str, *arguments: Any) -> None:
        done = maskline(*arguments, "--root", root)
        models = json.loads(maskline("models", "--root", root, "--json").stdout)
        taken[name] = Step(done.returncode, done.stdout + done.stderr, show(root), models, versions(root))

    step("first", "run", "--data", data, *QUICK)
    step("second", "run", "--data", data, *QUICK, *SECOND)
    step("rollback", "rollback", "--reason", "worse on the phone")
    step("rerun", "run", "--data", data, *QUICK, *SECOND)
    step("broken", "run", "--data", data, *QUICK, *BROKEN)
    step("gc", "gc", "--keep", 1)
    return taken


def test_first_model_is_pushed_with_its_card(steps, root):
    step = steps["first"]
    assert (step.code, step.versions) == (0, ["1"]), step.out
    [model] = step.models
    assert (model["live"], model["data"]["read"]) == (True, 300)
    assert sum(model["data"]["rows"].values()) == 300
    assert model["metrics"] == pytest.approx(step.run["metrics"]["candidate"])


def test_second_model_is_compared_with_the_first_and_its_card_says_so(steps, root):
    step = steps["second"]
    assert (step.code, step.versions) == (0, ["1", "2"]), step.out
    card = (root / "serving/maskline/3" / CARD_FILE).read_text()  # only the live one is left at the end
    assert "no live model" in card
    assert step.run["metrics"]["baseline"] == pytest.approx(steps["first"].run["metrics"]["candidate"])


def test_rollback_publishes_the_earlier_model_again(steps, root):
    step = steps["rollback"]
    assert (step.code, step.versions) == (0, ["1", "2", "3"]), step.out
    first, second, third = step.models
    assert (first["live"], second["live"], third["live"]) == (False, False, True)
    assert first["identity"] == third["identity"] != second["identity"]
    assert third["metrics"] == first["metrics"]
    assert step.run["live_version"] == 3
    log = [json.loads(line) for line in (root / "serving/maskline" / AUDIT_FILE).read_text().splitlines()]
    assert [(change["from"], change["to"]) for change in log] == [(None, 1), (1, 2), (2, 3)]
    assert log[-1]["why"] == "rolled back to version 1: worse on the phone"


def test_model_that_was_rolled_back_from_is_not_published_by_a_rerun(steps):
    step = steps["rerun"]
    assert (step.code, step.versions) == (0, ["1", "2", "3"]), step.out


def test_broken_export_is_refused_by_name_and_was_compared_with_the_rolled_back_model(steps):
    step = steps["broken"]
    assert (step.code, step.versions) == (3, ["1", "2", "3"]), step.out
    [why] = step.run["why"]
    assert why.startswith("mask: up to ")
    assert why.endswith(" of a position's attention is on padding; nothing of padding reaches an answer")
    assert f"Not blessed: {why}" in step.out
    assert step.run["verdicts"]["ReleaseGate"]["checks"][0]["outcome"] == "passed"
    assert step.run["metrics"]["baseline"] == pytest.approx(steps["first"].run["metrics"]["candidate"])


def test_gc_leaves_the_live_version_and_it_answers(steps, root):
    step = steps["gc"]
    assert (step.code, step.versions) == (0, ["3"]), step.out
    done = maskline("predict", "--root", root, "x=-12,y=24:y+x")
    assert (done.returncode, done.stderr) == (0, "")
