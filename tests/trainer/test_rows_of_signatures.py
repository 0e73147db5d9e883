"""A row that cannot be answered says why, and its neighbours are answered as without it."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from maskline.components.ingest.rows import read_row
from maskline.trainer.model import build_model
from maskline.trainer.settings import ModelSettings
from maskline.trainer.signatures import ServedModel
from maskline.transform.features import ROW, TARGET, SequenceSpec, text_problem
from maskline.transform.preprocessing import preprocessing_fn
from maskline.transform.task import TaskSpec
from tests.support import example

WORDS = {
    "features": ("a", "b"), "label": "c", "length": 6, "separator": "|", "padding": "<pad>",
    "vocabulary": ("<pad>", "|", "red", "green", "blue"),
}  # fmt: skip
SPECS = {
    "first": SequenceSpec(),
    "class": SequenceSpec(**WORDS, task=TaskSpec(kind="class", classes=("no", "yes"))),
    "each": SequenceSpec(**WORDS, task=TaskSpec(kind="each", feature="b", classes=("no", "yes", "maybe"))),
    "whole": SequenceSpec(**WORDS, task=TaskSpec(kind="whole", length=3)),
}
GOOD = {"first": ["x=1,y=2:x+y", "y=4,x=-1:y-x"], "words": ["red | green", "blue red | blue green"]}
BAD = {
    "first": ["x=1", "x=1:y:", "x=?:y", "x= :y", ":y", "x=1:", "", "x=1,y=2:" + "y" * 13,
              "7" * 10_000 + ":x"],
    "words": ["red", "red | green | blue", "red | violet", "red | <pad>", "| red", "red |", "",
              "red red red red | green red", "red " * 5_000 + "| red"],
}  # fmt: skip


class Graph:
    """Transform's graph, as it would be saved."""

    def __init__(self, spec):
        self.spec = spec

    def transform_fn(self, raw):
        return preprocessing_fn(raw, {"sequence": self.spec.model_dump(mode="json")})


@pytest.fixture(params=SPECS)
def served(request, monkeypatch):
    spec = SPECS[request.param]
    monkeypatch.setattr(tf.saved_model, "load", lambda folder: Graph(spec))
    model = build_model(spec, ModelSettings(any_length=True, width=4, hidden=(4,), kernel=3))
    places = type("Output", (), {"transform_savedmodel_dir": ""})()
    return ServedModel(model, places, spec)


def texts_of(served, kinds):
    return kinds["first" if served._spec.task.kind == "first" else "words"]


def test_texts_are_answered_row_by_row(served):
    good, bad = texts_of(served, GOOD), texts_of(served, BAD)
    mixed = [good[0], *bad, good[1]]
    answers = tf.function(served.answer_text)(tf.constant(mixed))
    expected = ["answered", *(str(text_problem(text, served._spec).reason) for text in bad), "answered"]
    assert [status.decode() for status in answers["status"].numpy()] == expected
    assert "answered" not in expected[1:-1]
    strict = served.serve_text(tf.constant(good))
    for name, value in answers.items():
        if name in strict:
            width = strict[name].shape[1:]
            found = value.numpy()[[0, -1]][(slice(None), *map(slice, width))]
            if value.dtype == tf.string:
                assert found.tolist() == strict[name].numpy().tolist()
            else:
                np.testing.assert_allclose(found, strict[name], rtol=1e-5, atol=1e-6)
        if name != "status":
            assert not value.numpy()[1:-1].any()
    for text in bad:
        with pytest.raises(tf.errors.InvalidArgumentError):
            served.serve_text(tf.constant([good[0], text]))


def test_unknown_symbols_and_long_rows_are_answered(served, monkeypatch):
    spec = served._spec.model_copy(update={"unknown": "|" if served._spec.separator == ":" else "red"})
    spec = spec.model_copy(update={"too_long": "keep_start"})
    monkeypatch.setattr(tf.saved_model, "load", lambda folder: Graph(spec))
    lenient = ServedModel(served._model, type("Output", (), {"transform_savedmodel_dir": ""})(), spec)
    chars = spec.separator == ":"
    odd = ["x=?:y", "z" * 5_000 + ":xy"] if chars else ["violet | red", "blue " * 5_000 + "| mauve green"]
    plain = ["x=|:y", "|" * 17 + ":xy"] if chars else ["red | red", "blue blue blue | red green"]
    of_text: list[Any] = [lenient.serve_text, lenient.answer_text]
    for ask in of_text:
        found, expected = ask(tf.constant(odd)), ask(tf.constant(plain))
        for name, value in expected.items():
            assert found[name].numpy().tolist() == value.numpy().tolist(), name
    a, b = spec.features
    ids = [example(**{a: [99, 3], b: [4, -1]}), example(**{a: [4] * 30, b: [4]})]
    fitted = [spec.unknown_id, 3], [4, spec.unknown_id], [4] * (spec.length - 2), [4]
    same = [example(**{a: fitted[0], b: fitted[1]}), example(**{a: fitted[2], b: fitted[3]})]
    of_examples: list[Any] = [lenient.serve_examples, lenient.answer_examples]
    for ask in of_examples:
        np.testing.assert_array_equal(ask(tf.constant(ids))["logits"], ask(tf.constant(same))["logits"])
    assert set(lenient.answer_examples(tf.constant(ids))["status"].numpy()) == {b"answered"}


@pytest.mark.parametrize("unknown", ["", "?"])
def test_texts_of_examples_are_answered_as_texts_are(monkeypatch, unknown):
    words = {**WORDS, "vocabulary": ("<pad>", "|", "red", "green", "blue", "?")}
    text = {"split": "words", "case": "fold"}
    task = TaskSpec(kind="class", classes=("no", "yes"))
    spec = SequenceSpec(**words, text=text, unknown=unknown, task=task)
    monkeypatch.setattr(tf.saved_model, "load", lambda folder: Graph(spec))
    model = build_model(spec, ModelSettings(any_length=True, width=4, hidden=(4,), kernel=3))
    served = ServedModel(model, type("Output", (), {"transform_savedmodel_dir": ""})(), spec)
    texts = ["RED \t green | Blue", "blue | red red"]
    rows = [example(a=["RED \t green"], b=["Blue"]), example(a=["blue"], b=["red", "red"])]
    for name, value in served.serve_text(tf.constant(texts)).items():
        assert served.serve_examples(tf.constant(rows))[name].numpy().tolist() == value.numpy().tolist()
    ids = served.transform_features(tf.constant([example(a=["Red"], b=["BLUE green"], c=[1])]))
    np.testing.assert_array_equal(ids[ROW], [[2, 1, 4, 3, 0, 0]])
    bad = [example(a=["red"]), example(a=["violet"], b=["red"]), example(a=["|"], b=["red"]),
           example(a=["red"], b=["red " * 9])]  # fmt: skip
    status = served.answer_examples(tf.constant([*rows, *bad]))["status"].numpy()
    outside = b"answered" if unknown else b"outside vocabulary"
    assert list(status) == [b"answered"] * 2 + [b"missing", outside, b"holds the separator", b"too long"]
    if not unknown:
        with pytest.raises(tf.errors.InvalidArgumentError, match="outside the vocabulary"):
            served.serve_examples(tf.constant(bad[1:2]))
    odd = ["Violet | red", "red | | red", "red"]
    expected = [((problem := text_problem(t, spec)) and str(problem.reason)) or "answered" for t in odd]
    assert [s.decode() for s in served.answer_text(tf.constant(odd))["status"].numpy()] == expected


@pytest.mark.parametrize("kind", ["first", "whole"])
def test_labels_of_text_are_targets_and_answers_are_text(kind, monkeypatch):
    words = {**WORDS, "vocabulary": ("<pad>", "|", "red", "green", "blue", "?")}
    task = TaskSpec(kind=kind, length=3) if kind == "whole" else TaskSpec()
    spec = SequenceSpec(**words, text={"split": "words", "case": "fold"}, unknown="?", task=task)
    monkeypatch.setattr(tf.saved_model, "load", lambda folder: Graph(spec))
    model = build_model(spec, ModelSettings(any_length=True, width=4, hidden=(4,), kernel=3))
    served = ServedModel(model, type("Output", (), {"transform_savedmodel_dir": ""})(), spec)
    ingested = [
        read_row(example(a=["RED \t mauve"], b=["Blue"], c=["Green  BLUE"]), spec).data,
        read_row(example(a=["blue"], b=["red", "red"], c=["red"]), spec).data,
    ]
    made = served.transform_features(tf.constant(ingested))
    np.testing.assert_array_equal(made[ROW], [[2, 5, 1, 4, 0, 0], [4, 1, 2, 2, 0, 0]])
    expected = [[3, 4, 0], [2, 0, 0]] if kind == "whole" else [3, 2]
    np.testing.assert_array_equal(made[TARGET], expected)
    answers = served.serve_text(tf.constant(["RED \t mauve | Blue", "blue | red red"]))
    of_examples = served.serve_examples(tf.constant(ingested))
    assert of_examples["symbol"].numpy().tolist() == answers["symbol"].numpy().tolist()
    ids = answers["logits"].numpy().argmax(-1).reshape(2, -1)
    for row, symbol in zip(ids, answers["symbol"].numpy(), strict=True):
        ended = row.tolist().index(0) if kind == "whole" and 0 in row else len(row)
        assert symbol.decode() == " ".join(spec.vocabulary[i] for i in row[:ended])


def test_ids_are_answered_row_by_row(served):
    a, b = served._spec.features
    bad = [
        ({a: [], b: [4]}, "missing"),
        ({b: [4]}, "missing"),
        ({a: [4], b: [99]}, "outside vocabulary"),
        ({a: [-1], b: [4]}, "outside vocabulary"),
        ({a: [served._spec.pad_id], b: [4]}, "outside vocabulary"),
        ({a: [4, served._spec.separator_id], b: [4]}, "holds the separator"),
        ({a: [4] * served._spec.length, b: [4]}, "too long"),
    ]
    rows = [example(**{a: [3, 4], b: [4]}), *(example(**row) for row, _ in bad), example(**{a: [3], b: [3]})]
    answers = tf.function(served.answer_examples)(tf.constant(rows))
    assert [s.decode() for s in answers["status"].numpy()] == [
        "answered",
        *(why for _, why in bad),
        "answered",
    ]
    strict = served.serve_examples(tf.constant([rows[0], rows[-1]]))
    np.testing.assert_allclose(answers["logits"].numpy()[[0, -1]], strict["logits"], rtol=1e-5, atol=1e-6)
    assert answers["symbol"].numpy()[[0, -1]].tolist() == strict["symbol"].numpy().tolist()
    assert not answers["logits"].numpy()[1:-1].any()


def test_a_batch_of_bad_rows_alone_is_answered_with_reasons(served):
    bad = texts_of(served, BAD)
    status = served.answer_text(tf.constant(bad))["status"].numpy()
    assert len(status) == len(bad)
    assert b"answered" not in status
    assert len(tf.function(served.answer_text)(tf.constant([], tf.string))["status"]) == 0


def test_classes_have_their_scores_and_the_best_come_first(served):
    if served._spec.task.has_positions:
        pytest.skip("a row has several answers")
    answers = {
        name: value.numpy() for name, value in served.answer_text(tf.constant(texts_of(served, GOOD))).items()
    }
    assert answers["classes"].tolist() == [[name.encode() for name in served._spec.answers]] * 2
    np.testing.assert_allclose(answers["scores"].sum(-1), 1, rtol=1e-5)
    order = np.argsort(-answers["scores"], axis=-1)[:, :3]
    assert answers["top_classes"].tolist() == np.take_along_axis(answers["classes"], order, 1).tolist()
    np.testing.assert_array_equal(answers["top_scores"], np.take_along_axis(answers["scores"], order, 1))
    assert answers["top_classes"][:, 0].tolist() == answers["symbol"].tolist()
    assert ROW not in answers


def decided(monkeypatch, **task):
    spec = SequenceSpec(**WORDS, task=TaskSpec(kind="class", classes=("no", "yes"), **task))
    monkeypatch.setattr(tf.saved_model, "load", lambda folder: Graph(spec))
    model = build_model(spec, ModelSettings(any_length=True, width=4, hidden=(4,), kernel=3))
    served = ServedModel(model, type("Output", (), {"transform_savedmodel_dir": ""})(), spec)
    return {
        n: v.numpy() for n, v in served.answer_text(tf.constant(GOOD["words"] + BAD["words"][:1])).items()
    }


@pytest.mark.parametrize(("threshold", "answer"), [(0.001, b"yes"), (0.999, b"no")])
def test_a_threshold_decides_between_two_classes(threshold, answer, monkeypatch):
    answers = decided(monkeypatch, threshold=threshold)
    assert answers["symbol"].tolist() == [answer, answer, b""]
    place = [b"no", b"yes"].index(answer)
    np.testing.assert_array_equal(answers["probability"], answers["scores"][:, place])


def test_answers_that_are_not_sure_enough_are_not_given(monkeypatch):
    answers = decided(monkeypatch, abstain_below=0.999)
    assert answers["status"].tolist() == [b"not sure enough"] * 2 + [b"wrong number of segments"]
    assert answers["symbol"].tolist() == [b""] * 3
    assert answers["probability"][:2].all()
    assert set(decided(monkeypatch, abstain_below=0.001)["status"][:2]) == {b"answered"}
