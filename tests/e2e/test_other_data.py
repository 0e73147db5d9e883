"""Another data set: other names, words for symbols, another length. One YAML file, no code."""

import random

import pytest

from tests.support import maskline, show, versions, write_shard

pytestmark = pytest.mark.slow

WORDS = ["red", "green", "blue", "sep", "<pad>", "circle", "square", "yes", "no"]
SETTINGS = """
root: here
data: {path: shards, pattern: "part-*", eval_percent: 30}
sequence:
  features: [wanted, shape, text]
  label: answer
  length: 9
  vocabulary: words.txt
  separator: sep
  padding: <pad>
model: {width: 8, hidden: [16]}
training: {epochs: 30, batch_size: 16, learning_rate: 0.01}
evaluation: {min_accuracy: 0.9}
"""


def row(rng):
    """Is it a red circle that is wanted? A feature may be called as an input of the exported model is."""
    wanted, shape = rng.choice([0, 1, 2]), rng.choice([5, 6])
    answer = 7 if (wanted, shape) == (0, 5) else 8
    colours = [rng.choice([0, 1, 2]) for _ in range(rng.randint(1, 4))]
    return {"wanted": [wanted], "shape": [shape], "text": colours, "answer": [answer]}


def test_other_data_set_needs_no_code(tmp_path):
    """Padding is id 4 here, and id 0 is a colour like the others."""
    rng = random.Random(0)
    write_shard(tmp_path / "shards/part-1", [row(rng) for _ in range(300)])
    write_shard(tmp_path / "shards/part-2", [row(rng) for _ in range(300)], compress=True)
    (tmp_path / "words.txt").write_text("\n".join(WORDS))
    (tmp_path / "colours.yaml").write_text(SETTINGS)

    done = maskline("run", "--config", tmp_path / "colours.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert versions(tmp_path / "here") == ["1"]
    assert show(tmp_path / "here")["metrics"]["candidate"]["accuracy"] >= 0.9

    questions = {"red sep circle sep red green": "yes", "green sep square sep blue": "no"}
    asked = maskline("predict", "--config", tmp_path / "colours.yaml", *questions)
    assert [line.split("\t")[1] for line in asked.stdout.splitlines()] == list(questions.values())

    # Symbols change places in vocabulary and data, one is appended, and rows may be longer: the live model,
    # which was trained on the ids of before, is asked in words. A worse candidate must not replace it.
    moved = [{"red": "green", "green": "red", "yes": "no", "no": "yes"}.get(w, w) for w in WORDS] + ["violet"]
    place = [moved.index(word) for word in WORDS]
    for number in (1, 2):
        rows = [{name: [place[i] for i in ids] for name, ids in row(rng).items()} for _ in range(300)]
        write_shard(tmp_path / f"shards/part-{number}", rows)
    (tmp_path / "words.txt").write_text("\n".join(moved))
    untrained = ("training.epochs=1", "training.learning_rate=1e-9", "sequence.length=11")
    worse = [part for setting in untrained for part in ("--set", setting)]
    done = maskline("run", "--config", tmp_path / "colours.yaml", *worse)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "Blocked by ReleaseGate: accuracy against the live model: " in done.stdout
    assert "drift: nothing was compared" in done.stdout
    assert "has another `sequence`" not in done.stdout  # it could read every row, and knew every label
    assert versions(tmp_path / "here") == ["1"]
    metrics = show(tmp_path / "here")["metrics"]
    assert metrics["live"]["accuracy"] >= 0.9 > metrics["candidate"]["accuracy"]
