"""Unknown symbols and rows that are too long: on exact rows, and the graph does as Python does."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from maskline.pipeline.predict.checks import TextCheck
from maskline.transform import fitting, fitting_graph
from maskline.transform.features import SequenceSpec, tokenize
from maskline.transform.preprocessing import preprocessing_fn
from maskline.transform.task import TaskSpec
from tests.fuzz import cases

WORDS = {
    "features": ("a", "b"), "label": "c", "length": 6, "separator": "|", "padding": "<pad>",
    "vocabulary": ("<pad>", "|", "<unk>", "red", "green", "blue"), "unknown": "<unk>",
}  # fmt: skip
KEEPS = ("keep_start", "keep_end")


def spec_of(**update):
    return SequenceSpec(**{**WORDS, **update})


def sparse(rows):
    return tf.ragged.constant(rows, dtype=tf.int64, ragged_rank=1).to_sparse()


@pytest.mark.parametrize(
    ("lengths", "length", "kept"),
    [
        ([9], 4, [4]),
        ([3], 4, [3]),
        ([5, 5], 6, [2, 3]),
        ([1, 9], 6, [1, 4]),
        ([9, 1], 6, [4, 1]),
        ([2, 9, 3], 10, [2, 3, 3]),
        ([9, 9, 9], 5, [1, 1, 1]),
        ([2, 2], 6, [2, 2]),
    ],
)
def test_the_longest_features_lose_first(lengths, length, kept):
    assert fitting.room(lengths, length) == kept


@cases(100)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=4), st.integers(7, 40))
def test_no_room_is_left_while_something_is_cut(lengths, length):
    kept, room = fitting.room(lengths, length), length - len(lengths) + 1
    assert all(1 <= a <= b for a, b in zip(kept, lengths, strict=True))
    assert sum(kept) == min(sum(lengths), room)
    assert all(a >= max(kept) - 1 for a, b in zip(kept, lengths, strict=True) if a < b)


@pytest.mark.parametrize("keep", KEEPS)
def test_the_graph_does_as_python_does(keep):
    rng = np.random.default_rng(0)
    spec = spec_of(too_long=keep, features=("a", "b", "d"), length=9)
    rows = [{n: rng.integers(-2, 9, rng.integers(1, 12)).tolist() for n in "abd"} for _ in range(200)]
    known = {n: [list(fitting.known(row[n], spec)) for row in rows] for n in "abd"}
    segments = {n: sparse([row[n] for row in rows]) for n in "abd"}
    ids = {n: s.with_values(fitting_graph.known(s.values, spec)) for n, s in segments.items()}
    for name, segment in ids.items():
        assert tf.RaggedTensor.from_sparse(segment).to_list() == known[name]
    expected = {n: [] for n in "abd"}
    for place in range(len(rows)):
        row = {n: known[n][place] for n in "abd"}
        row |= fitting.cut(row, spec)
        assert sum(map(len, row.values())) <= 7
        for name, left in row.items():
            expected[name].append(list(left))
    for name, segment in fitting_graph.cut(ids, spec).items():
        assert tf.RaggedTensor.from_sparse(segment).to_list() == expected[name]


@pytest.mark.parametrize(
    ("keep", "row"), [("keep_start", [3, 4, 1, 2, 5, 3]), ("keep_end", [4, 3, 1, 5, 3, 2])]
)
def test_transform_replaces_and_cuts(keep, row):
    inputs = {"a": sparse([[3, 4, 3], [3]]), "b": sparse([[9, 5, 3, -1], [-7]]), "c": sparse([[4], [5]])}
    config = {"sequence": spec_of(too_long=keep).model_dump(mode="json")}
    out = preprocessing_fn(inputs, config)
    np.testing.assert_array_equal(out["x"], [row, [3, 1, 2, 0, 0, 0]])
    np.testing.assert_array_equal(out["y"], [4, 5])


@pytest.mark.parametrize(
    ("keep", "labels"), [("keep_start", [2, 2, 2, 0, 1, 1]), ("keep_end", [2, 2, 2, 1, 1, 0])]
)
def test_labels_are_cut_with_their_ids(keep, labels):
    spec = spec_of(too_long=keep, task=TaskSpec(kind="each", feature="b", classes=("no", "yes")))
    inputs = {"a": sparse([[3, 4, 3]]), "b": sparse([[9, 5, 3, -1]]), "c": sparse([[0, 1, 1, 0]])}
    out = preprocessing_fn(inputs, {"sequence": spec.model_dump(mode="json")})
    np.testing.assert_array_equal(out["y"], [labels])
    assert fitting.cut({"a": [3, 4, 3], "b": [2, 5, 3, 2], "c": [0, 1, 1, 0]}, spec)["c"] == [
        label for label in labels if label != 2
    ]


def test_a_label_of_symbols_is_neither_replaced_nor_cut():
    inputs = {"a": sparse([[3]]), "b": sparse([[4]]), "c": sparse([[9]])}
    config = {"sequence": spec_of(too_long="keep_start").model_dump(mode="json")}
    with pytest.raises(tf.errors.InvalidArgumentError, match="ids 0…5 without"):
        preprocessing_fn(inputs, config)


def test_texts_are_read_with_unknown_symbols():
    spec, strict = spec_of(), spec_of(unknown="")
    assert tokenize("red violet | mauve", spec) == {"a": [3, 2], "b": [2]}
    for known in (spec, spec_of(vocabulary=(" ", "|", "?", "r"), unknown="?", padding=" ")):
        assert TextCheck(known)("q|r" if len(known.vocabulary) == 4 else "q | red") is None
        assert TextCheck(known)(f"{known.padding} | {known.padding}")
    assert "'violet' is not in the vocabulary" in TextCheck(strict)("red | violet").text
    long = "red " * 50 + "| mauve"
    assert str(TextCheck(spec)(long).reason) == "too long"
    assert TextCheck(spec_of(too_long="keep_end"))(long) is None


@pytest.mark.parametrize(
    ("update", "text"),
    [
        ({"unknown": "violet"}, "unknown: 'violet' is not in the vocabulary"),
        ({"unknown": "|"}, "unknown: '|' is the separator"),
        ({"unknown": "<pad>"}, "unknown: '<pad>' is the padding"),
        ({"too_long": "keep_start", "length": 2}, "too_long: a row of 2 ids cannot be cut to"),
        ({"too_long": "cut"}, "keep_start"),
    ],
)
def test_settings_that_cannot_work_are_refused(update, text):
    with pytest.raises(ValidationError) as refused:
        spec_of(**update)
    assert text in str(refused.value)


def test_defaults_leave_the_digest_as_it_was():
    assert not {"unknown", "too_long"} & SequenceSpec().model_dump().keys()
    assert len({spec_of(**u).digest for u in ({}, {"unknown": ""}, {"too_long": "keep_end"})}) == 3
