"""A live model that reads numbers is asked under other settings: other ids, order and further numbers."""

import numpy as np
import pytest
import tensorflow as tf

from maskline.components.evaluation import translation
from maskline.transform import numeric_graph
from maskline.transform.features import SequenceSpec
from tests.support import example

COMMON = {"label": "said", "length": 5, "separator": "|", "padding": "_"}
THEIRS = SequenceSpec(
    **COMMON, features=("a", "b"), vocabulary=tuple("_|rgb"), numeric={"heat": 1, "place": 2}
)  # fmt: skip
OTHERS = {"features": ("b", "a"), "vocabulary": tuple("gb_r|v")}


class Live(tf.Module):
    """Its logits are the numbers of a row, in its own order, and whether its text begins with r or b."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def asked(self, text):
        ids, numbers = numeric_graph.split(text, THEIRS)
        heat, place = (tf.sparse.to_dense(numbers[name]) for name in ("heat", "place"))
        begins = [tf.cast(tf.strings.substr(ids, 0, 1) == symbol, tf.float32) for symbol in "rb"]
        return {"logits": tf.concat([heat, place, tf.stack(begins, axis=1)], axis=1)}


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    folder, model = str(tmp_path_factory.mktemp("live")), Live()
    tf.saved_model.save(model, folder, signatures={"serving_text": model.asked})
    return folder


def answers(live, ours, rows):
    model = translation._Translated(live, THEIRS, ours)  # its functions do not keep it
    made = model.answer(tf.constant([example(**row) for row in rows]))
    return {name: value.numpy() for name, value in made.items()}


def test_numbers_reach_a_model_whatever_the_order_of_settings(live):
    numeric = {"wind": 1, "place": 2, "heat": 1}
    ours = SequenceSpec(**COMMON, **OTHERS, numeric=numeric)
    values = np.float32([[0.1, -3e-30, 3e4], [1 / 3, 2, -7.25]])
    rows = [
        {"a": [begins], "b": [0, 3], "said": [1], "wind": [9.0], "heat": row[:1], "place": row[1:]}
        for begins, row in ((3, values[0].tolist()), (1, values[1].tolist()))
    ]
    found = answers(live, ours, rows)
    assert not found["unreadable"].any()
    # Their symbols are _ | r g b; ours g b _ r | v. The padding stands for what ours has no symbol for.
    mine = found["logits"][:, [4, 3, 0, 1]]
    np.testing.assert_array_equal(mine, np.concatenate([values[:, 1:], [[1, 0], [0, 1]]], axis=1))
    np.testing.assert_array_equal(found["logits"][:, 2], values[:, 0])


@pytest.mark.parametrize("numeric", [{}, {"heat": 1}, {"heat": 2, "place": 2}], ids=str)
def test_a_model_that_needs_other_numbers_reads_no_row(live, numeric):
    ours = SequenceSpec(**COMMON, **OTHERS, numeric=numeric)
    row = {name: [0.5] * length for name, length in numeric.items()}
    found = answers(live, ours, [{"a": [3], "b": [0], "said": [1], **row}] * 2)
    assert found["unreadable"].tolist() == [1, 1]
    assert found["logits"].argmax(-1).tolist() == [ours.pad_id] * 2
    assert found["logits"].argmin(-1).tolist() == [1, 1]
