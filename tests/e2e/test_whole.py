"""`task.kind: whole`: labels of uneven length go in, and a model that answers with texts comes out."""

import random

import pytest

from maskline.transform.features import SequenceSpec
from maskline.transform.task import TaskSpec
from tests.alone import ask_alone
from tests.docs.outputs import assert_documented
from tests.support import example, maskline, show, versions, write_shard

pytestmark = pytest.mark.slow

SETTINGS = """
root: here
data: {path: shards, pattern: "part-*", eval_percent: 30, min_test_rows: 50}
sequence: {features: [colours], label: said, length: 4, separator: sep, padding: <pad>,
           vocabulary: [<pad>, sep, red, green, blue]}
task: {kind: whole, length: 3}
data_gate: {max_bad_rows: 0.05}
model: {width: 16, hidden: [64]}
training: {epochs: 12, batch_size: 16, learning_rate: 0.01}
evaluation: {slices: [{name: said, feature: said, lengths: [1, 2]}]}
release_gate: {min_accuracy: 0.9, thresholds: [{metric: token_accuracy, min: 0.95},
                                               {metric: edit_distance, max: 0.2}]}
"""


def row(rng):
    """What is said: each colour that is there, once, in the order red, green, blue."""
    colours = [rng.choice([2, 3, 4]) for _ in range(rng.randint(1, 4))]
    return {"colours": colours, "said": sorted(set(colours))}


def check_that_it_is_compared_in_symbols(folder):
    """A candidate with another vocabulary asks it in words, and reads whole answers in its own ids."""
    import tensorflow as tf

    from maskline.components.evaluation.translation import translate

    task = TaskSpec(kind="whole", length=3)
    ours = SequenceSpec(
        features=("colours",), label="said", length=4, separator="sep", padding="-",
        vocabulary=("violet", "blue", "sep", "green", "red", "-"), task=task,
    )  # fmt: skip
    translate(str(folder / "here/serving/maskline/1"), str(folder / "translated"), ours)
    signatures = tf.saved_model.load(str(folder / "translated")).signatures
    rows = [
        example(colours=[1, 4, 1], said=[4, 1]),
        example(colours=[3], said=[3]),
        example(colours=[0], said=[0]),  # no violet is known there
        example(colours=[1], said=[0, 1]),
    ]
    answers = {n: v.numpy() for n, v in signatures["serving_default"](examples=tf.constant(rows)).items()}
    ids = answers["logits"].argmax(-1)
    assert ids[:2].tolist() == [[4, 1, 5], [3, 5, ids[1, 2]]]
    assert answers["unreadable"].tolist() == [0, 0, 1, 0]
    assert answers["unknown_label"].tolist() == [0, 0, 0, 1]
    assert ids[2, 0] == 5  # it counts as wrong
    labels = signatures["transform_features"](examples=tf.constant(rows))["y"].numpy()
    assert labels.tolist() == [[4, 1, 5], [3, 5, 5], [0, 5, 5], [0, 1, 5]]


def test_whole_labels_from_shards_to_a_model_that_answers_in_full(tmp_path):
    rng = random.Random(0)
    bad = [{"colours": [2], "said": [2, 3, 4, 2]}, {"colours": [2], "said": []}]
    write_shard(tmp_path / "shards/part-1", [*(row(rng) for _ in range(600)), *bad])
    config = tmp_path / "colours.yaml"
    config.write_text(SETTINGS)

    done = maskline("run", "--config", config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert versions(tmp_path / "here") == ["1"]
    shard = tmp_path / "shards/part-1"
    assert f"{shard}: record 600: feature 'said' holds 4 ids; allowed are 3 (task.length)" in done.stdout
    assert f"{shard}: record 601: feature 'said' is missing or empty" in done.stdout

    shown = show(tmp_path / "here")
    measured = shown["metrics"]["candidate"]
    assert 0.9 <= measured["accuracy"] <= measured["first_accuracy"]
    assert measured["token_accuracy"] >= 0.95
    assert measured["edit_distance"] <= 0.2
    assert {part["name"] for part in shown["evaluation"]["slices"]} == {"", "said=1", "said=2", "said=3+"}
    card = (tmp_path / "here/serving/maskline/1/MODEL_CARD.md").read_text()
    assert "The model predicts the whole of `said`, up to 3 symbols, from `colours`" in card
    told = maskline("show", "--config", config).stdout
    assert "Some rows that are answered right:" in told

    questions = {"blue red blue": "red blue", "green": "green", "blue green red red": "red green blue"}
    asked = maskline("predict", "--config", config, *questions)
    assert [line.split("\t")[1] for line in asked.stdout.splitlines()] == list(questions.values())

    check_that_it_is_compared_in_symbols(tmp_path)

    both_ways = [[way, "serving_text", *questions] for way in ("python", "session")]
    for answer in ask_alone(tmp_path / "here/serving/maskline/1", both_ways, tmp_path)[1]:
        assert answer["symbol"] == list(questions.values())
        for text, of_position, whole in zip(
            questions.values(), answer["probabilities"], answer["probability"], strict=True
        ):
            counted = 1.0
            for place in range(min(3, len(text.split()) + 1)):  # its end is a position, where there is room
                counted *= of_position[place]
            assert whole == pytest.approx(counted, rel=1e-5)


def test_a_few_exercises_are_held_back_unless_the_gate_asks_for_less(tmp_path):
    """As README.md says, with fewer records and epochs."""
    made = maskline("data", "--out", tmp_path / "data", "--shards", 2, "--records", 1000)
    assert made.returncode == 0, made.stderr
    settings = ["task.kind=whole", "task.length=5", "training.epochs=4", "release_gate.min_gain=-1"]
    sets = [part for one in settings for part in ("--set", one)]
    ours = ("--data", tmp_path / "data", "--root", tmp_path / "whole")

    held = maskline("run", *ours, *sets)
    assert held.returncode == 3, held.stdout + held.stderr
    assert "Not released: accuracy: 0." in held.stdout
    assert "at least 0.5500 is needed" in held.stdout
    assert not versions(tmp_path / "whole")

    done = maskline("run", *ours, *sets, "--set", "release_gate.min_accuracy=0")
    assert done.returncode == 0, done.stdout + done.stderr
    questions = ["x=44,y=21:x+y", "x=-12,y=24:y+x"]
    asked = maskline("predict", "--root", tmp_path / "whole", *questions)
    assert_documented("whole", done.stdout + asked.stdout, same_data=False)
