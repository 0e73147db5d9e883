"""From the first release to the way back, on one root: what gates let out, what they hold back, and why."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from maskline.transform.features import SequenceSpec
from maskline.transform.names import AUDIT_FILE, CARD_FILE, FACTS_FILE
from maskline.transform.samples import exercises
from tests.docs.outputs import assert_documented
from tests.support import ANY_MODEL, maskline, show, versions, write_shard

pytestmark = pytest.mark.slow

SPEC = SequenceSpec()
SETTINGS = ("data.presplit=true", "data.split_by=", "training.epochs=4", *ANY_MODEL)
# Another model by name, with the same weights.
EQUAL = ("training.histograms=true",)
# The mask as published, without effect, in a model that is asked to keep padding out.
BROKEN = ("model.attention_mask=queries", "model_checks.mask=block")
WIDE = ("release_gate.margin=1", "release_gate.slice_margin=1")


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
    run: dict[str, Any]  # what `maskline show` says after it
    models: list[dict[str, Any]]
    versions: list[str]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("releases") / "root"


@pytest.fixture(scope="module")
def steps(root, tmp_path_factory) -> dict[str, Step]:
    data = tmp_path_factory.mktemp("releases-data")
    clean = write_data(data / "clean", spoilt=False)
    spoilt = write_data(data / "spoilt", spoilt=True)
    taken: dict[str, Step] = {}

    def step(name: str, *arguments: Any) -> None:
        done = maskline(*arguments, "--root", root)
        models = json.loads(maskline("models", "--root", root, "--json").stdout)
        taken[name] = Step(done.returncode, done.stdout + done.stderr, show(root), models, versions(root))

    def run(name: str, folder: Path, *settings: str) -> None:
        options = [part for setting in (*SETTINGS, *settings) for part in ("--set", setting)]
        step(name, "run", "--data", folder, *options)

    run("first", clean)
    run("equal, better is asked", clean, *EQUAL, "release_gate.require=better")
    run("equal", clean, *EQUAL)
    run("a rule that came later", clean, *EQUAL, "release_gate.min_accuracy=0.99")
    step("models for people", "models")
    run("spoilt", spoilt)
    step("show for people", "show")
    step("blessed", "bless", "last", "--reason", "products are not asked for any more")
    run("again", spoilt)
    step("rollback", "rollback", "--reason", "worse on the phone")
    run("rolled back from", spoilt, *WIDE)
    leave_behind(root / "serving/maskline")
    run("broken", clean, *BROKEN, *WIDE)
    step("gc", "gc", "--keep", 1)
    return taken


def leave_behind(folder: Path) -> None:
    """As a publisher that was killed: half a copy, and a line of the log that was not written to its end."""
    (folder / "incoming-9/variables").mkdir(parents=True)
    with open(folder / AUDIT_FILE, "a") as log:
        log.write('{"time": "20')


def audit_log(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "serving/maskline" / AUDIT_FILE).read_text().splitlines()]


def test_first_model_is_judged_by_bars_and_baselines_and_pushed(steps):
    step = steps["first"]
    assert (step.code, step.versions) == (0, ["1"]), step.out
    assert [check["name"] for check in step.run["verdicts"]["ReleaseGate"]["checks"]] == [
        "accuracy",
        "accuracy against always giving the most frequent answer",
        "accuracy against a linear model on counts of ids",
    ]
    [model] = step.models
    assert (model["live"], model["data"]["read"]) == (True, 3900)
    assert model["data"]["rows"] == {"train": 3000, "eval": 900}
    assert model["metrics"] == pytest.approx(step.run["metrics"]["candidate"])


def test_evaluation_holds_slices_metrics_and_counts_by_class(steps, root):
    kept = (root / "artifacts/Evaluator/evaluation").glob("*/metrics.json")
    file = min(kept, key=lambda file: int(file.parent.name))
    overall, *slices = json.loads(file.read_text())["slices"]
    by_name = {part["name"]: part for part in slices}
    for group in (["operator=+", "operator=-", "operator=*"], ["sign=-", "sign=other"]):
        assert sum(by_name[name]["rows"] for name in group) == overall["rows"] == 900
    metrics = overall["metrics"]["candidate"]
    assert metrics["accuracy"] <= metrics["top3_accuracy"] <= 1
    assert 0 <= metrics["calibration_error"] < 0.5
    for part in (overall, *slices):
        errors = part["standard_errors"]["candidate"]
        assert {"calibration_error", "loss", "macro_f1", "balanced_accuracy"} <= errors.keys()
        assert all(0 < error < 0.2 for error in errors.values())
    classes = overall["classes"]["candidate"]
    assert sum(counts["rows"] for counts in classes.values()) == 900
    assert sum(counts["answered"] for counts in classes.values()) == 900
    assert sum(counts["right"] for counts in classes.values()) == pytest.approx(metrics["accuracy"] * 900)
    assert classes["-"]["rows"] == by_name["sign=-"]["rows"]
    signs = [by_name["sign=-"], by_name["sign=other"]]
    losses = [part["rows"] * part["metrics"]["candidate"]["loss"] for part in signs]
    assert sum(losses) / 900 == pytest.approx(metrics["loss"], abs=1e-4)


def test_equal_model_is_not_pushed_as_better(steps):
    step = steps["equal, better is asked"]
    assert (step.code, step.versions) == (3, ["1"]), step.out
    [why] = step.run["why"]
    assert why.startswith("accuracy against the live model: 0.0000 higher: no clear difference, 95%: ")
    assert "better is needed, at 95%" in why
    checks = {check["subject"]: check for check in step.run["verdicts"]["ReleaseGate"]["checks"]}
    assert checks["operator=*"]["measured"].startswith("0.0000 higher on ")


def test_equal_model_is_pushed_as_not_worse_where_that_is_enough(steps):
    step = steps["equal"]
    assert (step.code, step.versions) == (0, ["1", "2"]), step.out
    checks = step.run["verdicts"]["ReleaseGate"]["checks"]
    checks = {check["name"]: check for check in checks if not check["subject"]}
    measured = checks["accuracy against the live model"]["measured"]
    assert measured.startswith("0.0000 higher: no clear difference, 95%: ")
    assert step.run["metrics"]["change"]["accuracy"] == 0
    first, second = step.models
    assert first["identity"] != second["identity"]


def test_a_live_model_that_breaks_a_later_rule_is_said_to_be_live_and_is_not_offered(steps):
    step = steps["a rule that came later"]
    assert (step.code, step.versions) == (3, ["1", "2"]), step.out
    assert (
        "This very model is live, as version 2, and stays live, but it breaks a rule of today: accuracy: "
        in (step.out)
    )
    assert "maskline bless" not in step.out


def test_model_that_is_spoilt_on_one_slice_is_refused_and_the_slice_is_named(steps):
    step = steps["spoilt"]
    assert (step.code, step.versions) == (3, ["1", "2"]), step.out
    why = "; ".join(step.run["why"])
    assert "accuracy against the live model of operator=*: 0." in why
    checks = {check["subject"]: check for check in step.run["verdicts"]["ReleaseGate"]["checks"]}
    change = {
        subject: float(check["measured"].split()[0]) * (-1 if " lower " in check["measured"] else 1)
        for subject, check in checks.items()
        if subject
    }
    assert change["operator=*"] < -0.4
    assert change["operator=*"] < min(change["operator=+"], change["operator=-"]) - 0.3
    assert f"Not released: {step.run['why'][0]}" in step.out


def test_docs_show_what_these_commands_print(steps, root):
    assert_documented("models", steps["models for people"].out, replace={root: "runs"})
    assert_documented("show", steps["show for people"].out, replace={root: "runs"})
    assert_documented("rollback", steps["rollback"].out, replace={root: "runs"})


def test_docs_show_a_line_of_the_audit_log(steps, root):
    lines = (root / "serving/maskline" / AUDIT_FILE).read_text().splitlines()
    [line] = [line for line in lines if "worse on the phone" in line]
    assert_documented("audit", line)


def test_person_may_release_it_and_is_recorded(steps, root):
    step = steps["blessed"]
    assert (step.code, step.versions) == (0, ["1", "2", "3"]), step.out
    assert step.run["override"]["reason"] == "products are not asked for any more"
    assert (step.run["exit"], step.run["live_version"], step.run["blessed"]) == (0, 3, False)
    line = audit_log(root)[2]
    assert (line["why"], line["override"]) == ("products are not asked for any more", True)


def test_run_after_it_has_nothing_to_do_and_tells_of_it(steps):
    step = steps["again"]
    assert (step.code, step.versions) == (0, ["1", "2", "3"]), step.out
    assert "Nothing changed since run" in step.out
    assert "Released on purpose by " in step.out


def test_rollback_publishes_the_earlier_model_again(steps, root):
    step = steps["rollback"]
    assert (step.code, step.versions) == (0, ["1", "2", "3", "4"]), step.out
    live = {model["version"]: model["live"] for model in step.models}
    assert live == {1: False, 2: False, 3: False, 4: True}
    second, third, fourth = step.models[1:]
    assert second["identity"] == fourth["identity"] != third["identity"]
    assert (fourth["metrics"], fourth["data"]) == (second["metrics"], second["data"])
    assert step.run["live_version"] == 4
    log = audit_log(root)
    assert [(change["from"], change["to"]) for change in log] == [(None, 1), (1, 2), (2, 3), (3, 4)]
    assert log[-1]["why"] == "rolled back to version 2: worse on the phone"
    card = (root / "serving/maskline/4" / CARD_FILE).read_text()
    assert "Published as version 4 at " in card.splitlines()[2]
    assert log[-1]["why"] in card.splitlines()[2]
    assert "accuracy minus that of the live model |" in card


def test_model_that_was_rolled_back_from_is_not_published_again_though_the_gates_bless_it(steps):
    step = steps["rolled back from"]
    assert (step.code, step.run["blessed"], step.versions) == (0, True, ["1", "2", "3", "4"]), step.out
    assert step.run["live_version"] == 4


def test_next_run_compares_with_the_model_that_was_rolled_back_to(steps):
    baseline = steps["broken"].run["metrics"]["live"]
    assert baseline == pytest.approx(steps["equal"].run["metrics"]["candidate"])
    assert baseline["accuracy"] > steps["spoilt"].run["metrics"]["candidate"]["accuracy"] + 0.1


def test_run_puts_right_what_a_killed_publisher_left(steps, root):
    assert steps["broken"].versions == ["1", "2", "3", "4"]
    assert [change["to"] for change in audit_log(root)] == [1, 2, 3, 4]


def test_broken_export_is_refused_by_name_of_the_check(steps):
    step = steps["broken"]
    assert (step.code, step.versions) == (3, ["1", "2", "3", "4"]), step.out
    [why] = step.run["why"]
    assert why.startswith("padding reaches answers: up to ")
    assert why.endswith(" of a position's attention is on padding")
    assert f"Not released: {why}" in step.out
    assert "maskline bless" not in step.out  # ModelChecks cannot be overridden
    assert step.run["verdicts"]["ReleaseGate"]["passed"]


def test_one_file_holds_what_every_gate_asked_and_measured_of_a_model_that_was_held_back(steps, root):
    files = (root / "artifacts/Pusher/pushed_model").glob(f"*/{FACTS_FILE}")
    newest = max(files, key=lambda file: int(file.parent.name))
    gates = json.loads(newest.read_text())["gates"]
    assert gates == steps["broken"].run["verdicts"]
    passed = {name: gate["passed"] for name, gate in gates.items()}
    assert passed == {"DataGate": True, "ModelChecks": False, "ReleaseGate": True}
    for gate in gates.values():
        assert all(check["asked"] and check["measured"] and check["outcome"] for check in gate["checks"])


def test_gc_leaves_the_live_version_and_it_answers(steps, root):
    step = steps["gc"]
    assert (step.code, step.versions) == (0, ["4"]), step.out
    done = maskline("predict", "--root", root, "x=-12,y=24:y+x")
    assert (done.returncode, done.stderr) == (0, "")
