"""`task.kind: class`: classes by name and by id go in, and a model that answers with names comes out."""

import json
import math
import random
from typing import Any

import pytest

from tests.alone import ask_alone
from tests.support import maskline, show, versions, write_shard

pytestmark = pytest.mark.slow

CLASSES = ["all clear", "warning", "alarm"]  # none of them is a symbol of the vocabulary
HERE = [0.1, 3e4]
COOL = {"heat": [5020.0], "place": HERE}
SETTINGS = """
root: here
data: {path: shards, pattern: "part-*", eval_percent: 30, min_test_rows: 50}
sequence: {features: [signs], label: state, length: 6, separator: sep, padding: <pad>,
           vocabulary: [<pad>, sep, calm, smoke, fire, <unk>], unknown: <unk>, too_long: keep_end,
           numeric: {heat: 1, place: 2}}
task: {kind: class, classes: classes.txt, abstain_below: 0.4}
data_gate: {max_bad_rows: 0.05}
model: {width: 8, hidden: [16]}
training: {epochs: 12, batch_size: 16, learning_rate: 0.02, class_weights: balanced}
evaluation: {slices: [{name: state, feature: state, begins: [alarm]}]}
release_gate: {min_accuracy: 0.9, thresholds: [{metric: f1, answer: alarm, min: 0.8},
                                               {metric: coverage, min: 0.9},
                                               {metric: answered_accuracy, min: 0.9}]}
"""


def row(rng):
    """Fire is an alarm, and so is smoke where it is hot; smoke alone is a warning; most rows are neither."""
    signs = [rng.choice([2, 2, 2, 2, 2, 2, 3, 4]) for _ in range(rng.randint(1, 6))]
    hot = rng.random() < 0.5
    state = 2 if 4 in signs or (3 in signs and hot) else 1 if 3 in signs else 0
    # Far from 0 and 1, and the same in all rows, so that they only help when they are scaled.
    return {
        "signs": signs,
        "state": [state],
        "heat": [rng.gauss(5060.0 if hot else 5020.0, 3)],
        "place": HERE,
    }


def test_classes_from_shards_to_a_model_that_answers_in_words(tmp_path):
    rng = random.Random(0)
    write_shard(tmp_path / "shards/part-ids", [row(rng) for _ in range(250)])
    named = [row(rng) for _ in range(250)]
    bad: list[dict[str, Any]] = [
        {"signs": [2], "state": ["alarn"], **COOL},
        {"signs": [2], "state": [3], **COOL},
        {"signs": [2], "state": [0, 1], **COOL},
        {"signs": [2], "state": [0], **COOL, "heat": [math.nan]},
        {"signs": [2], "state": [0], **COOL, "place": [0.5]},
        {"signs": [2], "state": [0], "heat": COOL["heat"]},
        {"signs": [2], "state": [0], **COOL, "heat": [20]},
    ]
    fitted: list[dict[str, Any]] = [
        {"signs": [77, 2, 4], "state": [2], **COOL},
        {"signs": [2] * 9, "state": [0], **COOL},
    ]
    named = [{**one, "state": [CLASSES[one["state"][0]]]} for one in named]
    write_shard(tmp_path / "shards/part-names", [*named, *bad, *fitted])
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES))
    config = tmp_path / "states.yaml"
    config.write_text(SETTINGS)

    done = maskline("run", "--config", config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert versions(tmp_path / "here") == ["1"]
    shard = tmp_path / "shards/part-names"
    assert (
        f"{shard}: record 250: feature 'state' holds a class: 'alarn' is not one of task.classes; "
        "nearest are 'alarm'" in done.stdout
    )
    assert f"{shard}: record 252: feature 'state' holds 2 classes ([0, 1]); a row has one" in done.stdout
    report = json.loads(next((tmp_path / "here").glob("**/quarantine/**/report.json")).read_text())
    said = [row["reason"] for row in report["examples"]]
    assert "feature 'heat' holds nan; finite float32 numbers are allowed" in said
    assert "feature 'place' holds 1 number; 2 numbers are needed (sequence.numeric)" in said
    assert "feature 'place' is missing or empty; 2 numbers are needed" in said
    assert "feature 'heat' is not a float list; 1 number is needed" in said

    shown = show(tmp_path / "here")
    told = {check["kind"]: check["measured"] for check in shown["verdicts"]["DataGate"]["checks"]}
    assert told["unknown"].startswith("1 of ")
    assert told["too_long"].startswith("1 of 502 rows were longer than 6 ids")
    assert shown["metrics"]["candidate"]["accuracy"] >= 0.9
    assert shown["metrics"]["candidate"]["coverage"] > 0.9
    [overall] = [part for part in shown["evaluation"]["slices"] if not part["name"]]
    assert set(overall["classes"]["candidate"]) <= set(CLASSES)
    card = (tmp_path / "here/serving/maskline/1/MODEL_CARD.md").read_text()
    assert "The model predicts the class in `state` from `signs`" in card
    assert "The 3 classes: `all clear`, `warning`, `alarm`." in card

    assert "Beside them it reads numbers: `heat`, `place`, 3 in each row." in card

    questions = {
        "calm smoke calm\t5020\t0.1\t3e4": "warning",
        "calm smoke calm\t5060\t0.1\t3e4": "alarm",
        "calm smoke calm\t5060\t-17\t2": "alarm",  # what was the same in all rows counts for nothing
        "fire\t5020.5\t0.1\t3e4": "alarm",
        "calm calm\t5060\t0.1\t3e4": "all clear",
        "fire shout\t5020\t0.1\t3e4": "alarm",
        "fire" + " calm" * 7 + "\t5020\t0.1\t3e4": "all clear",  # the fire is cut off
    }
    asked = maskline("predict", "--config", config, *questions)
    assert [line.split("\t")[-2] for line in asked.stdout.splitlines()] == list(questions.values())

    both_ways = [[way, "serving_text", *questions] for way in ("python", "session")]
    for answer in ask_alone(tmp_path / "here/serving/maskline/1", both_ways, tmp_path)[1]:
        assert answer["symbol"] == list(questions.values())
        assert answer["classes"] == [CLASSES] * len(questions)
        for scores, probability in zip(answer["scores"], answer["probability"], strict=True):
            assert sum(scores) == pytest.approx(1, abs=1e-5)
            assert max(scores) == pytest.approx(probability)

    refused = maskline("predict", "--config", config, "fire\t5020")
    assert refused.returncode == 2
    assert "is followed by 1 number; 3 needed, each behind a tab (heat: 1, place: 2)" in refused.stderr
    rows = [{"text": "smoke", "heat": heat, "place": HERE} for heat in (5020, 5060)]
    lines = [json.dumps(one) for one in [*rows, {"text": "smoke", "heat": 5020}]]
    (tmp_path / "asked").mkdir()
    (tmp_path / "asked/rows.jsonl").write_text("\n".join(lines))
    write_shard(
        tmp_path / "asked/rows.tfrecord",
        [{"signs": [3], "heat": [float(one["heat"])], "place": HERE} for one in rows],
    )
    done = maskline("predict", "--config", config, "--data", tmp_path / "asked", "--out", tmp_path / "told")
    assert done.returncode == 0, done.stderr
    assert "has no field 'place'" in done.stdout
    for file in sorted((tmp_path / "told").glob("answers-*")):
        answers = [json.loads(line)["answer"] for line in file.read_text().splitlines()]
        assert answers == ["warning", "alarm"]
