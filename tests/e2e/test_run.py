"""One run from shards to a released model, and what a user sees of it."""

import contextlib
import json
import os
import pty
import shlex
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
from keras.losses import SparseCategoricalCrossentropy

from maskline.components.ingest.rows import values_of
from maskline.components.ingest.shards import read_shard
from maskline.trainer.dataset import read_rows
from maskline.trainer.loading import load_model
from maskline.transform.features import SequenceSpec
from maskline.transform.names import GROUP, SPLITS
from maskline.transform.samples import same_exercise
from tests.alone import ask_alone
from tests.docs.outputs import assert_documented, blocks
from tests.support import (
    GOOD,
    QUICK,
    RESOLVERS,
    command,
    environment,
    example,
    maskline,
    show,
    states,
    versions,
    write_shard,
)

pytestmark = pytest.mark.slow

COMPONENTS = {
    "ExampleGen", "StatisticsGen", "ImportSchemaGen", "ExampleValidator", "DataGate", "Transform",
    "Trainer", "Evaluator", "ReleaseGate", "ModelChecks", "Pusher", *RESOLVERS,
}  # fmt: skip


def test_progress_and_summary_are_plain_lines(finished):
    out = finished.process.stdout
    assert finished.process.stderr == ""
    for component in COMPONENTS:
        assert f"  {component} …\n" in out
        assert f"✓ {component} " in out
    assert "  Trainer: epoch 12/12: loss " in out
    assert "\nReleased as version 1. It is right on " in out
    assert f"Live is version 1: {finished.served}\n" in out
    [log] = (finished.root / "logs").iterdir()
    assert f"log: {log}\n" in out
    assert "Traceback" not in log.read_text()
    assert "\x1b" not in out


def test_readme_shows_what_a_run_prints(finished):
    typed = {
        finished.root: "…/maskline-root",
        " --root …/maskline-root": "",
        "settings: maskline.yaml, and options": "settings: maskline.yaml",
        "Next: maskline": "Next: .venv/bin/maskline",
        "      maskline": "      .venv/bin/maskline",
    }
    chosen = "the older stack on Python 3.11 (once; about a minute on a fast line)"
    made = f"Getting uv 0.13.9 into .tools\nSetting up .venv: {chosen}\n"
    data = "10 shards of 1,000 records in data/reference\n"
    printed = made + data + finished.process.stdout
    assert_documented("run", printed, replace=typed, in_order=False, same_data=False)


def test_show_tells_states_counts_metrics_and_model(finished):
    run = show(finished.root)
    assert states(run) == dict.fromkeys(COMPONENTS, "COMPLETE")
    parts = {component["name"]: component for component in run["components"]}
    split = parts["ExampleGen"]["records_out"]
    assert parts["ExampleGen"]["records_in"] == {"read": 2000} == {"read": sum(split.values())}
    assert parts["StatisticsGen"]["records_in"] == parts["Transform"]["records_in"] == split
    assert parts["Transform"]["records_out"] == parts["Trainer"]["records_in"] == split
    assert parts["Evaluator"]["records_in"] == {"test": split["test"]}
    assert parts["Trainer"]["seconds"] > 0.5
    assert set(run["metrics"]) == {"candidate", "majority", "linear"}
    assert 0.3 <= run["metrics"]["candidate"]["accuracy"] < 1
    assert (run["blessed"], run["why"], run["released_version"], run["live_version"]) == (True, [], 1, 1)
    assert (run["model"], run["exit"], run["working"]) == (str(finished.served), 0, None)


def test_show_for_people(finished):
    out = maskline("show", "--root", finished.root).stdout
    for component in COMPONENTS:
        assert component in out
    assert "2,000" in out
    assert str(finished.served) in out


def test_evaluator_agrees_with_keras_on_rows_that_chose_nothing(finished, tmp_path):
    [report] = finished.root.glob("artifacts/Trainer/history/*/history.json")
    trained = json.loads(report.read_text())
    evaluated = show(finished.root)["metrics"]["candidate"]
    assert trained["parameters"] <= 49_145
    assert trained["rows"]["test"] == evaluated["example_count"]
    transformed = finished.root.glob("artifacts/Transform/transformed_examples/*/Split-test/*")
    rows = read_rows([str(file) for file in transformed], SequenceSpec(), tmp_path)
    model = load_model(finished.served)
    model.compile(loss=SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    loss, accuracy = model.evaluate(rows.x, rows.y, verbose=0)
    assert accuracy == pytest.approx(evaluated["accuracy"], abs=1e-6)
    assert loss == pytest.approx(evaluated["loss"], abs=1e-4)
    [answers] = finished.root.glob("artifacts/Trainer/history/*/answers.json")
    asked = json.loads(answers.read_text())
    assert 1 - asked["wrong"] / asked["rows"] == pytest.approx(evaluated["accuracy"], abs=1e-6)


def test_on_a_terminal_progress_is_live(shards, tmp_path):
    primary, secondary = pty.openpty()
    arguments = command("run", "--data", shards, "--root", tmp_path / "root", *QUICK)
    with subprocess.Popen(arguments, stdout=secondary, stderr=secondary, env=environment()) as process:
        os.close(secondary)
        screen = b""
        with contextlib.suppress(OSError):  # how Linux says that the other end was closed
            while data := os.read(primary, 65536):
                screen += data
    os.close(primary)
    text = screen.decode()
    assert process.returncode == 0, text
    assert "epoch 1/1: loss" in text
    assert "Trainer …" not in text  # live, so no plain lines
    assert "\x1b[" in text
    assert "WARNING" not in text


def test_no_exercise_is_in_two_parts_whatever_its_words(finished):
    keys = {}
    for split in SPLITS:
        [folder] = finished.root.glob(f"artifacts/ExampleGen/examples/*/Split-{split}")
        rows = [values_of(row.data) for file in folder.iterdir() for row in read_shard(str(file))]
        keys[split] = [same_exercise(row) for row in rows]
        assert len({row[GROUP][0] for row in rows}) == len(set(keys[split]))
    assert sum(map(len, keys.values())) == 2000
    assert sum(len(set(found)) for found in keys.values()) == len(set(chain(*keys.values())))
    assert all(keys.values())


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("no_such:key", "there is no module 'no_such'"),
        ("constant", "leaves all 40 rows in train: all have the same value"),
    ],
)
def test_key_of_the_split_that_cannot_be_used_is_one_line_before_anything_is_trained(tmp_path, key, problem):
    write_shard(tmp_path / "data/a.tfrecords", [GOOD | {"constant": [4]}] * 40)
    options = ("--data", tmp_path / "data", "--root", tmp_path / "root")
    refused = maskline("run", *options, "--set", f"data.split_by={key}")
    assert refused.returncode == 2, refused.stderr
    [line] = [line for line in refused.stderr.splitlines() if line.startswith("maskline: ")]
    assert "data.split_by" in line
    assert problem in line
    assert "Traceback" not in refused.stderr + refused.stdout
    assert not versions(tmp_path / "root")


def test_second_run_has_nothing_to_do(finished):
    again = maskline(
        "run", "--data", finished.data, "--root", finished.root, "--set", "release_gate.min_accuracy=0.3"
    )
    assert again.returncode == 0
    assert f"all {len(COMPONENTS)} components reused" in again.stdout
    assert versions(finished.root) == ["1"]
    assert len(list((finished.root / "logs").iterdir())) == 1


def test_predict_asks_the_live_model(finished):
    texts = ("x=-12,y=24:y+x", "x=7,y=3:x*y")
    done = maskline("predict", "--root", finished.root, *texts)
    assert (done.returncode, done.stderr) == (0, "")
    assert_documented("predict", done.stdout, same_data=False)
    for line, text in zip(done.stdout.splitlines(), texts, strict=True):
        asked, symbol, probability = line.split("\t")
        assert asked == text
        assert symbol in "-0123456789"
        assert 0 < float(probability) <= 1


def test_tensorflows_own_tool_asks_the_model(finished):
    """The command is read from the README, so that it can be typed as it stands there."""
    *_, first, second = [line for line in blocks()["saved_model_cli"].lines if line[:1] in "$ "]
    typed = (
        first.removesuffix("\\").replace("maskline-root/serving/maskline/1", str(finished.served)) + second
    )
    _, program, *arguments = shlex.split(typed)
    done = subprocess.run(
        [Path(sys.executable).with_name(Path(program).name), *arguments],
        capture_output=True, text=True, env=environment() | {"TF_CPP_MIN_LOG_LEVEL": "2"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert_documented("saved_model_cli", done.stdout, same_data=False)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x=1?y=2:x+y", "'?' is not in the vocabulary"),
        ("x=1,y=2", "has 1 segments; 2 are needed"),
        ("x=11111111,y=22222222:x+y", "the joined row holds 25 ids"),
    ],
)
def test_predict_refuses_other_languages(finished, text, problem):
    done = maskline("predict", "--root", finished.root, text)
    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture(scope="module", params=["python", "session"])
def ask(finished, tmp_path_factory, request):
    """Asks the served model in a fresh process; in a session, as TensorFlow Serving does, too."""

    def ask(*questions):
        asked = [[request.param, *question] for question in questions]
        return ask_alone(finished.served, asked, tmp_path_factory.mktemp("elsewhere"))

    return ask


def serialized(**features):
    return example(**features).hex()


def test_all_signatures_are_served_without_our_packages(ask):
    text = "x=-12,y=24:y+x"
    ids = {"defs": [3, 5, 8, 11, 12, 6, 4, 5, 12, 14], "op": [4, 7, 3]}
    long = "x=-99,y=-99:y*x"
    names, answers = ask(
        ["serving_text", text, long],
        ["serving_default", serialized(**ids)],
        ["serving_default", serialized(**ids, res=[0, 77])],
        ["transform_features", serialized(**ids, res=[11, 12])],
        ["serving_text"],
        ["serving_text_rows", text, "x=?:y", long],
        ["serving_default_rows", serialized(defs=[3]), serialized(**ids)],
    )
    by_row = ["serving_default", "serving_default_rows", "serving_text", "serving_text_rows"]
    assert names == [*by_row, "transform_features"]
    by_text, by_example, with_label, transformed, nothing, texts, examples = answers
    assert texts["status"] == ["answered", "outside vocabulary", "answered"]
    assert examples["status"] == ["missing", "answered"]
    assert texts["symbol"] == [by_text["symbol"][0], "", by_text["symbol"][1]]
    assert texts["top_classes"][0][0] == examples["symbol"][1] == by_example["symbol"][0]
    assert len(by_text["symbol"]) == 2
    assert by_text["logits"][0] == pytest.approx(by_example["logits"][0], rel=1e-5, abs=1e-6)
    assert (
        by_text["symbol"][0]
        == by_example["symbol"][0]
        == " :|xy=,+-*0123456789"[max(range(20), key=by_example["logits"][0].__getitem__)]
    )
    assert with_label == by_example  # the label is neither needed nor read
    assert transformed == {"x": [[*ids["defs"], 1, *ids["op"], 0, 0, 0, 0, 0, 0]], "y": [11]}
    assert nothing["symbol"] == []


def test_bad_requests_are_refused_inside_the_graph(ask):
    bad = {
        "missing or empty; feature and row:] [op] [0]": ["serving_default", serialized(defs=[3])],
        "[op] [1]": ["serving_default", serialized(**GOOD), serialized(defs=[3])],
        "[defs] [20]": ["serving_default", serialized(defs=[20], op=[3])],
        "[op] [0]": ["serving_default", serialized(defs=[3], op=[0])],
        "may hold 20 ids": ["serving_default", serialized(defs=[3] * 19, op=[3])],
        "outside the vocabulary": ["serving_text", "x=1:y?x"],
        "needs 2 segments": ["serving_text", "x=1:y+x", "x=1"],
        "[defs] [0]": ["serving_text", " :x"],
        "[res] [0]": ["transform_features", serialized(defs=[3], op=[3])],
        "may hold 20 ids after": ["serving_text", "x" * 19 + ":x"],
        "Could not parse example": ["serving_default", b"no example".hex()],
        "at most 320 are allowed": ["serving_text", "x" * 5_000_000],
        "at most 1048576 are allowed": ["serving_default", serialized(defs=[3] * 2_000_000, op=[3])],
    }
    _, answers = ask(*bad.values())
    for text, answer in zip(bad, answers, strict=True):
        assert isinstance(answer, str), (text, answer)
        assert len(answer) < 5000
        assert text in answer
