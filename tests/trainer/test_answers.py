"""What is noted of rows and answers, held against a model whose answers are known."""

import keras
import numpy as np
import pytest

from maskline.trainer.answers import note_answers
from maskline.trainer.dataset import Rows
from maskline.transform.features import SequenceSpec

SPEC = SequenceSpec(features=("a",), length=4, vocabulary=(" ", "|", "p", "q", "r"), separator="|")


class FirstSymbol(keras.Model):
    """Answers with the row's first symbol; the logit is the row's number of symbols."""

    def call(self, ids, training=False):
        length = keras.ops.sum(keras.ops.cast(ids != SPEC.pad_id, "float32"), axis=-1, keepdims=True)
        return keras.ops.one_hot(ids[:, 0], SPEC.size) * length


def test_wrong_rows_come_most_confident_first_and_counts_agree():
    x = np.array([[2, 3, 0, 0], [2, 3, 3, 3], [3, 2, 2, 0], [4, 0, 0, 0], [4, 4, 4, 0]] * 500, np.uint8)
    y = np.array([2, 3, 2, 4, 2] * 500, np.uint8)
    found = note_answers(FirstSymbol(), {"train": Rows(x[:5], y[:5]), "eval": Rows(x, y)}, SPEC)
    assert (found.rows, found.wrong) == (2500, 1500)
    assert [(c.label, c.answer, c.rows) for c in found.confusions] == [
        ("p", "q", 500), ("p", "r", 500), ("q", "p", 500)
    ]  # fmt: skip
    first = found.wrong_rows[0]
    assert (first.text, first.label, first.answer) == ("pqqq", "q", "p")
    assert first.probability == pytest.approx(np.exp(4) / (np.exp(4) + 4))
    assert len(found.wrong_rows) == 200  # of 1,500, so the 500 most confident alone fill it
    assert {row.text for row in found.wrong_rows} == {"pqqq"}
    assert found.labels == {"train": {"p": 3, "q": 1, "r": 1}, "eval": {"p": 1500, "q": 500, "r": 500}}
    assert found.lengths["train"] == {1: 1, 2: 1, 3: 2, 4: 1}


def test_the_test_rows_are_asked_where_there_are_some():
    x = np.array([[2, 0, 0, 0], [3, 0, 0, 0]], np.uint8)
    right, wrong = Rows(x, x[:, 0]), Rows(x, x[:, 0] + 1)
    found = note_answers(FirstSymbol(), {"train": right, "eval": right, "test": wrong}, SPEC)
    assert (found.split, found.rows, found.wrong) == ("test", 2, 2)
    assert list(found.labels) == ["train", "eval", "test"]


def test_model_that_is_always_right_has_no_wrong_rows():
    x = np.array([[2, 0, 0, 0], [3, 0, 0, 0]], np.uint8)
    rows = Rows(x, x[:, 0])
    found = note_answers(FirstSymbol(), {"train": rows, "eval": rows}, SPEC)
    assert (found.wrong, found.confusions, found.wrong_rows) == (0, (), ())
