"""Features that hold text: strings go in, and a model that reads text comes out, also unseen words."""

import json
import random
import subprocess
import sys
from typing import Any

import pytest

from maskline.pipeline.schedule.scoring import Question, Score
from maskline.pipeline.settings.load import load
from tests.alone import ask_alone
from tests.support import PATIENCE, REPOSITORY, example, maskline, show, versions, write_shard

pytestmark = pytest.mark.slow

SETTINGS = """
root: here
data: {path: shards, pattern: "part-*", eval_percent: 30, min_test_rows: 50}
sequence:
  features: [request]
  label: intent
  length: 8
  text: {split: words, size: 12, min_count: 3, case: fold, unicode: NFKD}
  too_long: keep_start
task: {kind: class, classes: [travel, food]}
data_gate: {max_unknown: 0.2, max_bad_rows: 0.05}
model: {width: 8, hidden: [16]}
training: {epochs: 8, batch_size: 16, learning_rate: 0.02}
evaluation: {slices: [{name: train, feature: request, contains: [train]}]}
release_gate: {min_accuracy: 0.9}
"""
TRAVEL, FOOD = ["train", "Zug", "café-car"], ["SOUP", "Käse", "ﬁsh"]
FILLER = ["please", "I", "want", "a"]


def row(rng):
    """One word says what it is about, in whatever case and normal form; some words come once."""
    intent, words = rng.choice([("travel", TRAVEL), ("food", FOOD)])
    said = rng.choice(words)
    others = rng.choices(FILLER, k=rng.randint(0, 4)) + ([f"w{rng.randrange(10**9)}"] * (rng.random() < 0.3))
    others.insert(rng.randint(0, len(others)), rng.choice([said, said.upper(), said.lower()]))
    text = rng.choice([" ", "  ", "\t"]).join(others)
    return {"request": rng.choice([[text], text.split()]), "intent": [intent]}


def test_text_from_shards_to_a_model_that_reads_text(tmp_path):
    rng = random.Random(0)
    bad: list[dict[str, Any]] = [{"request": [7], "intent": ["food"]}, {"request": [" "], "intent": ["food"]}]
    write_shard(tmp_path / "shards/part-1", [*(row(rng) for _ in range(600)), *bad])
    config = tmp_path / "requests.yaml"
    config.write_text(SETTINGS)

    done = maskline("run", "--config", config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert versions(tmp_path / "here") == ["1"]
    told = f"{tmp_path / 'shards/part-1'}: record"
    assert f"{told} 600: feature 'request' is not a bytes list of text" in done.stdout
    assert f"{told} 601: feature 'request' is missing or empty" in done.stdout
    shown = show(tmp_path / "here")
    assert shown["metrics"]["candidate"]["accuracy"] >= 0.9
    assert {part["name"] for part in shown["evaluation"]["slices"]} == {"", "train=train", "train=other"}
    said = {check["kind"]: check["measured"] for check in shown["verdicts"]["DataGate"]["checks"]}
    assert " ids are <unk>, " in said["unknown"]

    version = tmp_path / "here/serving/maskline/1"
    spec = json.loads((version / "assets.extra/maskline.json").read_text())["sequence"]
    assert spec["vocabulary"][:3] == ["<pad>", "<sep>", "<unk>"]
    words = ["train", "zug", "cafe\u0301-car", "soup", "ka\u0308se", "fish", "please", "i", "want", "a"]
    assert sorted(spec["vocabulary"][3:]) == sorted(words)

    questions = {
        "Please, a TRAIN": "travel",
        "I want KÄSE": "food",
        "ﬁsh": "food",
        "zug " + "unseen " * 99: "travel",
    }
    asked = maskline("predict", "--config", config, *questions)
    assert [line.split("\t")[1] for line in asked.stdout.splitlines()] == list(questions.values()), (
        asked.stderr
    )
    both_ways = [[way, "serving_text", *questions] for way in ("python", "session")]
    for answer in ask_alone(version, both_ways, tmp_path)[1]:
        assert answer["symbol"] == list(questions.values())

    write_shard(tmp_path / "more/part-1", [{"request": ["A", "Train"]}, {"request": ["KA\u0308SE please"]}])
    out = tmp_path / "answers"
    asked = maskline("predict", "--config", config, "--data", tmp_path / "more", "--out", out)
    answers = [json.loads(line) for line in next(out.glob("*.jsonl")).read_text().splitlines()]
    assert [answer["answer"] for answer in answers] == ["travel", "food"], asked.stdout + asked.stderr
    question = Question(
        sequence=load(config).sequence,
        shards=(tmp_path / "shards/part-1",),
        before=(tmp_path / "shards/part-1",),
    )
    scored = subprocess.run(
        [sys.executable, "-m", "maskline.pipeline.registry.score", version],
        input=question.model_dump_json(), capture_output=True, text=True, timeout=PATIENCE, cwd=REPOSITORY,
    )  # fmt: skip
    found = Score.model_validate_json(scored.stdout)
    assert (found.problem, found.rows) == ("", 600)
    assert found.right > 540
    assert [drift.divergence for drift in found.drift] == [0]
    stats = maskline("data", "stats", tmp_path / "shards", "--config", config)
    assert "zug" in stats.stdout, stats.stdout + stats.stderr

    # A model with another computed vocabulary is asked in words, those that only it knows among them.
    import tensorflow as tf

    from maskline.components.evaluation.translation import exported_spec, translate

    theirs = exported_spec(str(version))
    translate(str(version), str(tmp_path / "translated"), theirs.resolved(["other", "please"]))
    asked_again = tf.saved_model.load(str(tmp_path / "translated")).signatures["serving_default"](
        examples=tf.constant([example(request=[word], intent=[0]) for word in ("train", "soup", "other")])
    )
    assert asked_again["logits"].numpy()[:2].argmax(-1).tolist() == [0, 1]
    assert not asked_again["unreadable"].numpy().any()
