"""A live model is asked a span whose rows hold numbers beside their ids."""

import json
import subprocess
import sys

import tensorflow as tf

from maskline.pipeline.schedule.scoring import Question, Score
from maskline.transform.features import SequenceSpec
from maskline.transform.names import IDENTITY_FILE
from maskline.transform.task import TaskSpec
from tests.support import PATIENCE, REPOSITORY, example, tfrecord

SPEC = SequenceSpec(
    features=("seen",), label="said", length=3, vocabulary=tuple("_|sf"), padding="_", separator="|",
    numeric={"heat": 1, "place": 2}, task=TaskSpec(kind="class", classes=("calm", "fire")),
)  # fmt: skip


class Model(tf.Module):
    """Says fire where heat and both places together are above 1."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def asked(self, examples):
        wanted = {
            "heat": tf.io.FixedLenFeature([1], tf.float32),
            "place": tf.io.FixedLenFeature([2], tf.float32),
        }
        numbers = tf.io.parse_example(examples, wanted)
        score = numbers["heat"][:, 0] + tf.reduce_sum(numbers["place"], axis=1)
        fire = tf.cast(score > 1, tf.float32)
        return {
            "symbol": tf.where(score > 1, "fire", "calm"),
            "probability": tf.ones_like(score),
            "logits": tf.stack([1 - fire, fire], axis=1),
        }


def test_numbers_of_a_span_reach_the_model_and_bad_rows_do_not(tmp_path):
    model = Model()
    tf.saved_model.save(model, str(tmp_path / "1"), signatures={"serving_default": model.asked})
    identity = tmp_path / "1" / IDENTITY_FILE
    identity.parent.mkdir(exist_ok=True)
    identity.write_text(json.dumps({"sequence": SPEC.model_dump(mode="json")}))
    good = [
        {"said": ["fire"], "heat": [2.0], "place": [0.0, 0.0]},
        {"said": [1], "heat": [0.5], "place": [0.5, 0.5]},
        {"said": ["calm"], "heat": [3.0], "place": [-1.5, -1.5]},
        {"said": ["calm"], "heat": [3.0], "place": [0.0, 0.0]},  # which it gets wrong
    ]
    bad = [
        {"said": ["fire"], "heat": [2.0]},
        {"said": ["fire"], "heat": [2.0], "place": [0.0]},
        {"said": ["fire"], "heat": [2], "place": [0.0, 0.0]},
        {"said": ["fire"], "heat": [float("nan")], "place": [0.0, 0.0]},
    ]
    (tmp_path / "shard").write_bytes(tfrecord([example(seen=[2, 3], **row) for row in good + bad]))
    question = Question(sequence=SPEC, shards=(tmp_path / "shard",))
    done = subprocess.run(
        [sys.executable, "-m", "maskline.pipeline.registry.score", str(tmp_path / "1")],
        input=question.model_dump_json(), capture_output=True, text=True, timeout=PATIENCE, cwd=REPOSITORY,
    )  # fmt: skip
    found = Score.model_validate_json(done.stdout)
    assert (found.problem, found.rows, found.right) == ("", 4, 3), done.stderr
