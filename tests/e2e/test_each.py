"""`task.kind: each`: a label for each symbol goes in, and a model that labels each symbol comes out."""

import random
from typing import Any

import pytest

from tests.alone import ask_alone
from tests.support import maskline, show, versions, write_shard

pytestmark = pytest.mark.slow

# Words of the second feature are labelled; the first says what a number is there.
SETTINGS = """
root: here
data: {path: shards, pattern: "part-*", eval_percent: 30, min_test_rows: 50}
sequence: {features: [topic, words], label: tags, length: 10, separator: sep, padding: <pad>,
           vocabulary: [<pad>, sep, trip, bill, number, to, other]}
task: {kind: each, feature: words, classes: [nothing, place, train, amount]}
data_gate: {max_bad_rows: 0.05}
model: {preset: length-free, width: 16, hidden: [32]}
training: {epochs: 6, batch_size: 16, learning_rate: 0.01, class_weights: balanced, length_buckets: [6]}
evaluation: {slices: [{name: topic, feature: topic, contains: [trip, bill]}]}
release_gate: {min_accuracy: 0.9, thresholds: [{metric: token_accuracy, min: 0.95},
                                               {metric: f1, answer: place, min: 0.9}]}
"""
TAGS = ["nothing", "place", "train", "amount"]
TRIP, BILL, NUMBER, TO, OTHER = range(2, 7)


def row(rng):
    """What stands behind `to` is a place; a number is a train where it is about a trip, else an amount."""
    topic = rng.choice([TRIP, BILL])
    words = [rng.choice([NUMBER, TO, OTHER]) for _ in range(rng.randint(1, 8))]
    tags = [
        1 if before == TO else 0 if word != NUMBER else 2 if topic == TRIP else 3
        for before, word in zip([0, *words], words, strict=False)
    ]
    return {"topic": [topic], "words": words, "tags": tags}


def test_labels_of_symbols_from_shards_to_a_model_that_labels_text(tmp_path):
    rng = random.Random(0)
    write_shard(tmp_path / "shards/part-ids", [row(rng) for _ in range(400)])
    named = [{**one, "tags": [TAGS[tag] for tag in one["tags"]]} for one in (row(rng) for _ in range(100))]
    bad: list[dict[str, Any]] = [
        {"topic": [TRIP], "words": [TO, OTHER], "tags": [0]},
        {"topic": [TRIP], "words": [TO, OTHER], "tags": ["nothing", "plaice"]},
    ]
    write_shard(tmp_path / "shards/part-names", [*named, *bad])
    config = tmp_path / "words.yaml"
    config.write_text(SETTINGS)

    done = maskline("run", "--config", config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert versions(tmp_path / "here") == ["1"]
    told = f"{tmp_path / 'shards/part-names'}: record"
    assert (
        f"{told} 100: feature 'tags' holds 1 labels, and 'words' 2 ids; each id has one label" in done.stdout
    )
    assert f"{told} 101: feature 'tags' holds a class: 'plaice' is not one of task.classes" in done.stdout

    shown = show(tmp_path / "here")
    measured = shown["metrics"]["candidate"]
    assert 0.9 <= measured["accuracy"] <= measured["token_accuracy"]
    assert measured["macro_f1"] > 0.9
    overall, *slices = shown["evaluation"]["slices"]
    assert {part["name"] for part in slices} == {"topic=trip", "topic=bill"}
    assert set(overall["classes"]["candidate"]) == set(TAGS)
    assert "train" not in slices[0]["classes"]["majority"]  # no bill has one
    card = (tmp_path / "here/serving/maskline/1/MODEL_CARD.md").read_text()
    assert "The model predicts a class of `tags` for each symbol of `words` from `topic`, `words`" in card
    assert "Some rows that are answered right:" in maskline("show", "--config", config).stdout

    questions = {
        "trip sep to number number": "nothing place train",
        "bill sep number": "amount",
        "bill sep other to other number": "nothing nothing place amount",
    }
    asked = maskline("predict", "--config", config, *questions)
    assert [line.split("\t")[1] for line in asked.stdout.splitlines()] == list(questions.values())

    both_ways = [[way, "serving_text", *questions] for way in ("python", "session")]
    for answer in ask_alone(tmp_path / "here/serving/maskline/1", both_ways, tmp_path)[1]:
        assert answer["symbol"] == list(questions.values())
        assert answer["labels"] == [(text.split() + [""] * 4)[:4] for text in questions.values()]
        assert answer["classes"] == [TAGS] * 3
        for labels, scores, of_label, product in zip(
            answer["labels"], answer["scores"], answer["probabilities"], answer["probability"], strict=True
        ):
            counted = 1.0
            for label, score, probability in zip(labels, scores, of_label, strict=True):
                assert sum(score) == pytest.approx(1.0 if label else 0.0, abs=1e-5)
                assert max(score) == pytest.approx(probability)
                counted *= probability if label else 1.0
            assert product == pytest.approx(counted, rel=1e-5)
