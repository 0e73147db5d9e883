"""Which slice a row falls into, and settings that name what the data do not have."""

import pytest
from pydantic import ValidationError

from maskline.components.evaluation.slices import SliceSpec, default_slices
from maskline.transform.features import SequenceSpec, tokenize

EXERCISES = SequenceSpec()
COLOURS = SequenceSpec(
    features=("shape", "colours"), label="answer", length=8, vocabulary=("<pad>", "sep", "red", "square"),
    separator="sep", padding="<pad>",
)  # fmt: skip


def row(text, result):
    return {**tokenize(text, EXERCISES), "res": [EXERCISES.ids[symbol] for symbol in result]}


@pytest.mark.parametrize(
    ("text", "result", "slices"),
    [
        ("x=-12,y=24:y+x", "12", ["+", "other", "14"]),
        ("x=-12,y=24:y*x", "-288", ["*", "-", "14"]),
        ("y=3,x=1:x-y", "-2", ["-", "-", "1-13"]),
        ("x=-12,y=-24:y-x", "-12", ["-", "-", "15+"]),
    ],
)
def test_exercises_by_operator_sign_and_length(text, result, slices):
    assert [s.value(row(text, result), EXERCISES) for s in default_slices(EXERCISES)] == slices


@pytest.mark.parametrize(
    ("length", "bucket"), [(1, "1-2"), (2, "1-2"), (3, "3-5"), (5, "3-5"), (6, "6"), (7, "7+"), (99, "7+")]
)
def test_length_buckets_meet_without_gap(length, bucket):
    slices = SliceSpec(name="l", feature="defs", lengths=(2, 5, 6))
    assert slices.value({"defs": [3] * length}, EXERCISES) == bucket


def test_symbols_that_were_not_asked_for_are_other():
    found = {"shape": [3], "colours": [2, 2, 3]}
    assert SliceSpec(name="s", feature="colours", contains=("square",)).value(found, COLOURS) == "square"
    assert SliceSpec(name="s", feature="colours", begins=("square",)).value(found, COLOURS) == "other"


def test_other_data_are_parted_by_length_alone():
    [length] = default_slices(COLOURS)
    assert (length.name, length.lengths) == ("length", (2, 4, 6))
    assert length.value({"shape": [3], "colours": [2, 2, 3]}, COLOURS) == "5-6"  # with the separator


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"feature": "op"}, "needs one of contains, begins, lengths"),
        ({"feature": "op", "contains": ["+"], "begins": ["-"]}, "needs one of"),
        ({"contains": ["+"]}, "needs the feature that holds its symbols"),
        ({"lengths": [5, 3]}, r"\[5, 3\] do not grow"),
        ({"lengths": [0]}, "greater than or equal to 1"),
    ],
)
def test_slice_that_says_nothing_is_refused(settings, problem):
    with pytest.raises(ValidationError, match=problem):
        SliceSpec(name="s", **settings)


def test_slice_of_what_the_data_do_not_have_is_named():
    problem = SliceSpec(name="s", feature="op", contains=("+",)).problem
    assert problem(EXERCISES) is None
    assert problem(COLOURS) == "slice 's': no feature 'op'; there are shape, colours, answer"
    other = SliceSpec(name="s", feature="shape", contains=("+",)).problem(COLOURS)
    assert other == "slice 's': '+' is not in the vocabulary"
