"""The release gate in the pipeline: an equal model, one that is spoilt on one slice, and a person's word."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.support import maskline, show, versions, write_shard
from transform.features import SequenceSpec
from transform.samples import exercises

pytestmark = pytest.mark.slow

SPEC = SequenceSpec()
SETTINGS = ("data.presplit=true", "training.epochs=4", "evaluation.min_accuracy=0.3")


def write_data(folder: Path, *, spoilt: bool) -> Path:
    """The same rows, train and eval; where it is spoilt, training teaches products with the wrong sign.

    Products are as often negative as not, so ids are spread as before and the data gate lets it through.
    """
    rng = np.random.default_rng(0)
    for split, count in (("train", 3000), ("eval", 900)):
        rows = []
        for texts in exercises(count, max_value=10, rng=rng):
            defs, op, result = texts
            if spoilt and split == "train" and "*" in op:
                result = str(-int(result))
            named = zip((*SPEC.features, SPEC.label), (defs, op, result), strict=True)
            rows.append({name: [SPEC.ids[symbol] for symbol in text] for name, text in named})
        write_shard(folder / split / "a.tfrecords", rows)
    return folder


class Step(NamedTuple):
    code: int
    out: str
    run: dict[str, Any]  # what `maskline show` says, where the step changed it
    versions: list[str]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("gate") / "root"


@pytest.fixture(scope="module")
def steps(root, tmp_path_factory) -> dict[str, Step]:
    data = tmp_path_factory.mktemp("gate-data")
    clean = write_data(data / "clean", spoilt=False)
    spoilt = write_data(data / "spoilt", spoilt=True)
    taken: dict[str, Step] = {}

    def step(name: str, *arguments: Any) -> None:
        done = maskline(*arguments, "--root", root)
        run = show(root) if done.returncode in (0, 3) else {}
        taken[name] = Step(done.returncode, done.stdout + done.stderr, run, versions(root))

    def run(name: str, folder: Path, *settings: str) -> None:
        options = [part for setting in (*SETTINGS, *settings) for part in ("--set", setting)]
        step(name, "run", "--data", folder, *options)

    run("first", clean)
    # Another model by name, with the same weights.
    run("equal, better is asked", clean, "training.histograms=true", "evaluation.require=better")
    run("spoilt", spoilt)
    step("blessed", "bless", "last", "--reason", "products are not asked for any more")
    run("again", spoilt)
    return taken


def test_first_model_is_judged_by_thresholds_alone(steps):
    step = steps["first"]
    assert (step.code, step.versions) == (0, ["1"]), step.out
    assert [check["name"] for check in step.run["verdicts"]["ReleaseGate"]["checks"]] == ["accuracy"]


def test_evaluation_holds_slices_metrics_and_counts_by_class(steps, root):
    files = root.glob("artifacts/Evaluator/evaluation/*/metrics.json")
    file = min(files, key=lambda f: int(f.parent.name))
    overall, *slices = json.loads(file.read_text())["slices"]
    by_name = {part["name"]: part for part in slices}
    for group in (["operator=+", "operator=-", "operator=*"], ["sign=-", "sign=other"]):
        assert sum(by_name[name]["rows"] for name in group) == overall["rows"] == 900
    metrics = overall["metrics"]["candidate"]
    assert metrics["accuracy"] <= metrics["top3_accuracy"] <= 1
    assert 0 <= metrics["calibration_error"] < 0.5
    classes = overall["classes"]["candidate"]
    assert sum(counts["rows"] for counts in classes.values()) == 900
    assert sum(counts["answered"] for counts in classes.values()) == 900
    assert sum(counts["right"] for counts in classes.values()) == pytest.approx(metrics["accuracy"] * 900)
    assert classes["-"]["rows"] == by_name["sign=-"]["rows"]
    signs = [by_name["sign=-"], by_name["sign=other"]]
    losses = [part["rows"] * part["metrics"]["candidate"]["loss"] for part in signs]
    assert sum(losses) / 900 == pytest.approx(metrics["loss"], abs=1e-4)


def test_equal_model_is_not_better(steps):
    step = steps["equal, better is asked"]
    assert (step.code, step.versions) == (3, ["1"]), step.out
    [why] = step.run["why"]
    assert why.startswith("accuracy against the live model: not worse by more than the margin: +0.0000, ")
    assert "better is needed, at 95%" in why
    checks = {check["subject"]: check for check in step.run["verdicts"]["ReleaseGate"]["checks"]}
    assert checks["operator=*"]["measured"].startswith("+0.0000 against the live model")


def test_model_that_is_spoilt_on_one_slice_is_refused_and_the_slice_is_named(steps):
    step = steps["spoilt"]
    assert (step.code, step.versions) == (3, ["1"]), step.out
    why = "; ".join(step.run["why"])
    assert "accuracy of operator=*: -0." in why
    checks = {check["subject"]: check for check in step.run["verdicts"]["ReleaseGate"]["checks"]}
    change = {subject: float(check["measured"].split()[0]) for subject, check in checks.items() if subject}
    assert change["operator=*"] < -0.4
    assert change["operator=*"] < min(change["operator=+"], change["operator=-"]) - 0.3
    assert f"Not blessed: {why}" in step.out


def test_person_may_release_it_and_is_recorded(steps, root):
    step = steps["blessed"]
    assert (step.code, step.versions) == (0, ["1", "2"]), step.out
    assert step.run["override"]["reason"] == "products are not asked for any more"
    assert (step.run["exit"], step.run["live_version"], step.run["blessed"]) == (0, 2, False)
    last = json.loads((root / "serving/maskline/audit.jsonl").read_text().splitlines()[-1])
    assert (last["from"], last["to"]) == (1, 2)
    assert last["why"] == "blessed on purpose: products are not asked for any more"


def test_run_after_it_has_nothing_to_do_and_tells_of_it(steps):
    step = steps["again"]
    assert (step.code, step.versions) == (0, ["1", "2"]), step.out
    assert "Nothing changed since run" in step.out
    assert "Released on purpose by " in step.out
