"""Joining, padding and refusing, on exact rows."""

import re

import numpy as np
import pytest
import tensorflow as tf

from maskline.transform import sequences
from maskline.transform.features import SequenceSpec
from maskline.transform.preprocessing import preprocessing_fn
from maskline.transform.task import TaskSpec

SPEC = SequenceSpec(length=6)
CONFIG = {"sequence": SPEC.model_dump(mode="json")}


def sparse(rows):
    return tf.ragged.constant(rows, dtype=tf.int64).to_sparse()


def call(inputs):
    return preprocessing_fn(inputs, CONFIG)


def features(defs, op, res):
    return {"defs": sparse(defs), "op": sparse(op), "res": sparse(res)}


def test_rows_are_joined_in_order_and_padded_behind():
    out = call(features([[3, 4], [5]], [[6], [7, 8, 9]], [[9, 3], [4]]))
    np.testing.assert_array_equal(out["x"], [[3, 4, 1, 6, 0, 0], [5, 1, 7, 8, 9, 0]])
    np.testing.assert_array_equal(out["y"], [9, 4])
    assert out["x"].dtype == out["y"].dtype == tf.int64


def test_order_separator_and_padding_are_settings():
    spec = SequenceSpec(features=("op", "defs"), separator="|", padding="9", length=4)
    inputs = {"defs": sparse([[0]]), "op": sparse([[6]]), "res": sparse([[0]])}
    out = preprocessing_fn(inputs, {"sequence": spec.model_dump(mode="json")})
    np.testing.assert_array_equal(out["x"], [[6, 2, 0, 19]])
    np.testing.assert_array_equal(out["y"], [0])


def test_three_features_have_two_separators():
    spec = SequenceSpec(features=("a", "b", "c"), length=6)
    names = ("a", "b", "c", "res")
    out = preprocessing_fn(
        {n: sparse([[i + 3]]) for i, n in enumerate(names)}, {"sequence": spec.model_dump(mode="json")}
    )
    np.testing.assert_array_equal(out["x"], [[3, 1, 4, 1, 5, 0]])


NONE = 2
TAGS = SequenceSpec(
    features=("a", "b", "c"), length=8, task=TaskSpec(kind="each", feature="b", classes=("name", "sign"))
)


def labelled(labels):
    inputs = {"a": sparse([[3], [4, 5]]), "b": sparse([[6, 7], [8]]), "c": sparse([[9], [9]])}
    config = {"sequence": TAGS.model_dump(mode="json")}
    return preprocessing_fn(inputs | {"res": sparse(labels)}, config)


def test_labels_of_ids_stand_where_the_ids_do():
    out = labelled([[0, 1], [1]])
    np.testing.assert_array_equal(out["x"], [[3, 1, 6, 7, 1, 9, 0, 0], [4, 5, 1, 8, 1, 9, 0, 0]])
    none = [NONE] * 3
    np.testing.assert_array_equal(out["y"], [[NONE, NONE, 0, 1, NONE, *none], [*none, 1, NONE, *none]])
    where = sequences.tagged_positions(out["x"], TAGS)
    np.testing.assert_array_equal(where, np.not_equal(out["y"], NONE))


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ([[0, 1], []], r"a label for each id of .*b.*; row, labels and ids:\] \[1\] \[0\] \[1\]"),
        ([[0, 1, 1], [1]], r"a label for each id of .*b.*; row, labels and ids:\] \[0\] \[3\] \[2\]"),
        ([[0, 2], [1]], r"classes 0…1 are allowed; found:\] \[2\]"),
    ],
)
def test_labels_that_do_not_fit_their_ids_are_refused(labels, text):
    with pytest.raises(tf.errors.InvalidArgumentError) as refused:
        labelled(labels)
    assert re.search(text, str(refused.value), re.DOTALL), refused.value


@pytest.mark.parametrize("mode", [call, tf.function(call)], ids=["eager", "graph"])
@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (([[3], []], [[4], [4]], [[5], [5]]), r"missing or empty.*\[.?defs.?\] \[1\]"),
        (([[3], [3]], [[4], [4]], [[], [5]]), r"missing or empty.*\[.?res.?\] \[0\]"),
        (([[3], [20]], [[4], [4]], [[5], [5]]), r"ids 0…19 without.*\[.?defs.?\] \[20\]"),
        (([[3], [3]], [[4], [-1]], [[5], [5]]), r"ids 0…19 without.*\[.?op.?\] \[-1\]"),
        (([[3], [3]], [[4], [4]], [[5], [0]]), r"ids 0…19 without.*\[.?res.?\] \[0\]"),
        (([[3], [3, 1]], [[4], [4]], [[1], [5]]), r"not the separator 1;.*\[.?defs.?\] \[1\]"),
        (([[3] * 4, [3]], [[4], [4, 4, 4, 4, 4]], [[5], [5]]), r"may hold 6 ids.*\[1\] \[7\]"),
    ],
    ids=[
        "missing input",
        "missing label",
        "unknown id",
        "negative id",
        "padding id",
        "separator",
        "too long",
    ],
)
def test_bad_rows_are_refused_in_both_modes(mode, rows, text):
    with pytest.raises(tf.errors.InvalidArgumentError) as refused:
        mode(features(*rows))
    assert re.search(text, str(refused.value), re.DOTALL), refused.value


@pytest.mark.parametrize("fetched", ["x", "y"])
@pytest.mark.parametrize("rows", [([[20]], [[4]], [[5]]), ([[3]], [[]], [[5]]), ([[3]], [[4]], [[0]])])
def test_checks_are_part_of_every_output(rows, fetched):
    """A session, as a server, runs only what the output needs."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        inputs = {name: v1.sparse_placeholder(tf.int64, [None, None]) for name in ("defs", "op", "res")}
        output = call(inputs)[fetched]
        fed = [
            v1.SparseTensorValue([[0, i] for i, _ in enumerate(row)] or np.zeros((0, 2)), row, [1, len(row)])
            for [row] in rows
        ]
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"allowed|missing or empty"):
            session.run(output, dict(zip(inputs.values(), fed, strict=True)))


def test_text_is_split_into_features():
    parts = sequences.split_text(tf.constant(["x=1:y", "=:xx"]), SPEC)
    rows = {name: tf.RaggedTensor.from_sparse(part).to_list() for name, part in parts.items()}
    assert rows == {"defs": [[b"x", b"=", b"1"], [b"="]], "op": [[b"y"], [b"x", b"x"]]}


@pytest.mark.parametrize("text", ["x=1", "x:y:1", ""])
def test_text_with_other_segments_is_refused(text):
    with pytest.raises(tf.errors.InvalidArgumentError, match="needs 2 segments"):
        sequences.split_text(tf.constant(["x:y", text]), SPEC)


def test_what_is_too_long_for_a_row_is_refused_and_not_repeated():
    assert sequences.bounded(tf.constant(["a" * 9, "é"]), 9, "a text").numpy().tolist() == [
        b"a" * 9,
        "é".encode(),
    ]
    assert sequences.bounded(tf.zeros([0], tf.string), 9, "a text").shape == [0]
    with pytest.raises(tf.errors.InvalidArgumentError) as refused:
        sequences.bounded(tf.constant(["a", "a" * 50_000_000]), 9, "a text")
    assert "a text holds" in refused.value.message
    assert "50000000" in refused.value.message
    assert "at most 9 are allowed" in refused.value.message
    assert len(refused.value.message) < 300
