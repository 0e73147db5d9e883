"""Models are compared in symbols: a model is asked rows of another vocabulary, length or features."""

import gzip
import json
import shutil

import pytest

from maskline.components.ingest.shards import read_shard
from maskline.transform.features import SequenceSpec
from tests.conftest import Finished
from tests.support import example, tfrecord

pytestmark = pytest.mark.slow

THEIRS = SequenceSpec()
SWAPPED = [*THEIRS.vocabulary[:-2], "9", "8"]
MOVED = SequenceSpec(vocabulary=("/", *SWAPPED), length=24, features=("op", "defs"))


@pytest.fixture(scope="module")
def rows(finished: Finished) -> list[dict[str, list[int]]]:
    """The run's eval rows, as ids of its own vocabulary."""
    import tensorflow as tf

    [file] = (finished.root / "artifacts").glob("ExampleGen/examples/*/Split-eval/*")
    features = [tf.train.Example.FromString(r.data).features.feature for r in read_shard(str(file))]
    return [{name: list(f[name].int64_list.value) for name in ("defs", "op", "res")} for f in features]


def encode(rows, spec):
    """The same symbols as ids of another vocabulary."""
    ids = [spec.ids[symbol] for symbol in THEIRS.vocabulary]
    return [example(**{name: [ids[i] for i in values] for name, values in row.items()}) for row in rows]


def translated(finished, target, spec):
    import tensorflow as tf

    from maskline.components.evaluation.translation import translate

    translate(str(finished.served), str(target), spec)
    return tf.saved_model.load(str(target)).signatures


def test_answers_are_the_same_symbols_whatever_their_ids(finished, rows, tmp_path):
    import numpy as np
    import tensorflow as tf

    asked = tf.constant(encode(rows, THEIRS)), tf.constant(encode(rows, MOVED))
    original = tf.saved_model.load(str(finished.served)).signatures["serving_default"](examples=asked[0])
    signatures = translated(finished, tmp_path / "moved", MOVED)
    answers = signatures["serving_default"](examples=asked[1])
    place = [MOVED.ids[symbol] for symbol in THEIRS.vocabulary]
    np.testing.assert_allclose(answers["logits"].numpy()[:, place], original["logits"], atol=1e-5)
    symbols = [MOVED.vocabulary[i].encode() for i in answers["logits"].numpy().argmax(-1)]
    assert symbols == original["symbol"].numpy().tolist()
    assert not answers["unreadable"].numpy().any()
    assert not answers["unknown_label"].numpy().any()
    labels = signatures["transform_features"](examples=asked[1])["y"].numpy()
    assert [MOVED.vocabulary[i] for i in labels] == [THEIRS.vocabulary[row["res"][0]] for row in rows]


def test_rows_that_the_model_cannot_read_are_wrong_and_counted(finished, tmp_path):
    import tensorflow as tf

    vocabulary = ("_", "?", ":", *THEIRS.vocabulary[2:], " ", "/")
    spec = SequenceSpec(vocabulary=vocabulary, padding="_", separator="?", length=40)
    cases = [
        ({}, (0, 0)),
        ({"op": [22, 8, 4]}, (1, 0)),  # '/', which the model lacks
        ({"op": [4, 2, 4]}, (1, 0)),  # ':' is the separator there
        ({"op": [4, 21, 4]}, (1, 0)),  # ' ' is the padding there
        ({"defs": [4] * 17}, (1, 0)),  # 21 ids after joining, and it takes 20
        ({"defs": [4] * 16}, (0, 0)),
        ({"res": [22]}, (0, 1)),
        ({"res": [21]}, (0, 1)),  # the padding is no answer
        ({"op": [22], "res": [22]}, (1, 0)),
    ]
    rows = [{"defs": [4, 6, 12], "op": [4, 8, 4], "res": [13]} | change for change, _ in cases]
    asked = tf.constant([example(**row) for row in rows])
    answer = translated(finished, tmp_path / "other", spec)["serving_default"](examples=asked)
    found = zip(answer["unreadable"].numpy(), answer["unknown_label"].numpy(), strict=True)
    assert list(found) == [expected for _, expected in cases]
    for row, (_, flags), logits in zip(rows, cases, answer["logits"].numpy(), strict=True):
        if any(flags):
            assert row["res"][0] not in logits.argsort()[-3:]


@pytest.mark.parametrize(
    "change",
    [{"features": ("defs", "operation")}, {"label": "result"}, {"vocabulary": (" ", ":", "x", "=", "1")}],
    ids=["another feature", "another label", "answers that the rows have no symbol for"],
)
def test_a_model_of_another_task_is_wrong_on_every_row(finished, tmp_path, change):
    import tensorflow as tf

    spec = SequenceSpec.model_validate(THEIRS.model_dump() | change)
    row = {"defs": [2, 3, 4], spec.features[1]: [2], spec.label: [4]}
    asked = tf.constant([example(**row)] * 2)
    signatures = translated(finished, tmp_path / "task", spec)
    answer = signatures["serving_default"](examples=asked)
    if "vocabulary" not in change:
        assert answer["unreadable"].numpy().tolist() == [1, 1]
        assert answer["logits"].numpy().argmax(-1).tolist() == [spec.pad_id] * 2
    else:
        assert answer["unreadable"].numpy().tolist() == [0, 0]
        original = tf.saved_model.load(str(finished.served)).signatures["serving_text"]
        [said] = original(text=tf.constant(["x=1:x"]))["symbol"].numpy()
        shown = spec.vocabulary[answer["logits"].numpy()[0].argmax()]
        assert shown == (said.decode() if said.decode() in spec.ids else spec.padding)


def test_live_model_of_another_vocabulary_is_measured_on_the_same_rows(finished, rows, tmp_path):
    """The candidate is the live model in another language: no row may tell them apart."""
    from tfx.types import standard_artifacts

    from maskline.components.evaluation.component import Executor
    from maskline.components.evaluation.report import CANDIDATE, LIVE, Unread, read_evaluation
    from maskline.pipeline.settings.engine import BeamSettings

    candidate = tmp_path / "candidate/Format-Serving"
    translated(finished, candidate, MOVED)
    (candidate / "assets.extra").mkdir()
    (candidate / "assets.extra/maskline.json").write_text(json.dumps({"sequence": MOVED.model_dump()}))
    shutil.copytree(finished.served, tmp_path / "live/Format-Serving")
    folder = tmp_path / "examples/Split-eval"
    folder.mkdir(parents=True)
    unread = example(defs=[5], op=[0], res=[5])
    shard = tfrecord([*encode(rows, MOVED), unread])

    (folder / "data_tfrecord-00000-of-00001.gz").write_bytes(gzip.compress(shard))
    shutil.copytree(folder, folder.parent / "Split-train")

    def artifact(kind, name):
        made = kind()
        made.uri = str(tmp_path / name)
        return made

    examples = artifact(standard_artifacts.Examples, "examples")
    examples.split_names = '["train", "eval"]'
    context = Executor.Context(
        beam_pipeline_args=list(BeamSettings().args), tmp_dir=str(tmp_path / "tmp"), unique_id="1"
    )
    Executor(context).Do(
        {
            "examples": [examples],
            "model": [artifact(standard_artifacts.Model, "candidate")],
            "training_examples": [examples],
            "live_model": [artifact(standard_artifacts.Model, "live")],
        },
        {"evaluation": [artifact(standard_artifacts.ModelEvaluation, "out")]},
        {"sequence": MOVED.model_dump_json(), "slices": "[]", "settings": '{"baselines": []}'},
    )
    overall = read_evaluation(tmp_path / "out").overall
    assert overall.unread == {LIVE: Unread(rows=1, labels=0)}
    assert (overall.rows, overall.pairs[LIVE].better, overall.pairs[LIVE].worse) == (
        len(rows) + 1,
        0,
        0,
    )
    ours, theirs = overall.metrics[CANDIDATE], overall.metrics[LIVE]
    assert ours["accuracy"] == theirs["accuracy"] > 0.3
