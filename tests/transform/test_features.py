"""The data's language: settings, row checks, text, schema."""

import pytest
from google.protobuf import text_format
from pydantic import ValidationError
from tensorflow_metadata.proto.v0 import schema_pb2

from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec, make_schema, row_problem, schema_problem, tokenize
from maskline.transform.labels import label_ids
from maskline.transform.task import TaskSpec
from tests.support import GOOD, REPOSITORY

SPEC = SequenceSpec()
ALL = ("defs", "op", "res")
CLASSES = SequenceSpec(task=TaskSpec(kind="class", classes=("ham", "spam")))


def test_reference_language():
    assert "".join(SPEC.vocabulary) == " :|xy=,+-*0123456789"
    assert (SPEC.size, SPEC.pad_id, SPEC.separator_id, SPEC.length) == (20, 0, 1, 20)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"label": "op"}, "label: 'op' is also an input"),
        ({"features": ("defs", "defs")}, "name a feature twice"),
        ({"vocabulary": (" ", ":", "x", "x")}, "vocabulary: symbols 2 and 3 are both 'x'"),
        ({"separator": "#"}, "separator: '#' is not in the vocabulary; nearest are"),
        ({"separator": " "}, "separator and padding are both ' '"),
        ({"vocabulary": (" ", ":", "a b")}, "holds white space"),
        (
            {"vocabulary": ("_", ":", " ", "ab"), "padding": "_"},
            "symbol ' ' may only be the padding: no text could hold it, as spaces divide the symbols",
        ),
        (
            {"features": ("defs", "examples")},
            "features: 'examples' is the name of an input of exported",
        ),
        ({"label": "examples"}, "label: 'examples' is the name of an input of exported models; rename"),
        ({"lenght": 3}, "Extra inputs are not permitted"),
        ({"length": 0}, "greater than or equal to 1"),
        ({"features": ()}, "at least 1 item"),
    ],
)
def test_settings_that_disagree_are_refused(change, text):
    with pytest.raises(ValidationError, match=text):
        SequenceSpec.model_validate(change)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"defs": [2] * 16}, None),
        (
            {"defs": [2] * 17},
            "the joined row holds 21 ids ('defs' 17, 'op' 3, and separators); allowed are 20",
        ),
        ({"op": []}, "feature 'op' is missing or empty; at least one id is needed"),
        ({"res": []}, "feature 'res' is missing or empty; at least one id is needed"),
        ({"defs": None}, "feature 'defs' is not a list of int64 ids"),
        ({"defs": [3, 20]}, "feature 'defs' holds id 20; allowed are ids 0…19 without the padding id 0"),
        ({"defs": [3, -1]}, "feature 'defs' holds id -1; allowed are ids 0…19 without the padding id 0"),
        ({"op": [3, 1]}, "feature 'op' holds the separator, id 1, which only stands between features"),
        ({"res": [1]}, None),
        ({"res": [0]}, "feature 'res' holds id 0; allowed are ids 0…19 without the padding id 0"),
    ],
)
def test_row_problem_names_feature_value_and_what_is_allowed(change, problem):
    found = row_problem({**GOOD, **change}, ALL, SPEC)
    assert (found and found.text) == problem


def test_absent_feature_is_missing():
    assert row_problem({"defs": [3], "res": [3]}, ALL, SPEC) == (
        "missing",
        "feature 'op' is missing or empty; at least one id is needed",
    )


def test_tokenize_gives_the_published_ids():
    assert tokenize("x=-12,y=24:y+x", SPEC) == {
        "defs": [3, 5, 8, 11, 12, 6, 4, 5, 12, 14],
        "op": [4, 7, 3],
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x=1", "has 1 segments; 2 are needed (defs, op)"),
        ("x=1:y:z", "has 3 segments"),
        ("x=1:y?x", "'?' is not in the vocabulary"),
        ("x=1: ", "' ' is the padding, which only fills up rows"),
        ("x=1:", "feature 'op' is missing or empty"),
        ("x=1" + "2" * 20 + ":x", "the joined row holds 25 ids"),
    ],
)
def test_tokenize_refuses_other_languages(text, problem):
    with pytest.raises(InputError) as refused:
        tokenize(text, SPEC)
    assert problem in str(refused.value)
    assert text in str(refused.value)


def test_words_are_divided_by_spaces():
    spec = SequenceSpec(
        features=("left", "right"),
        vocabulary=("<pad>", "sep", "red", "green"),
        separator="sep",
        padding="<pad>",
    )
    assert tokenize("red  green sep red", spec) == {"left": [2, 3], "right": [2]}


def test_curated_schema_is_the_reference_language():
    text = (REPOSITORY / "transform" / "schema.pbtxt").read_text()
    assert text_format.Parse(text, schema_pb2.Schema()) == make_schema(SPEC)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it has no feature 'defs'"),
        ("feature { name: 'id' type: INT }", "it names feature 'id', which sequence does not"),
        ("feature { name: 'defs' type: BYTES }", "feature 'defs' is not of type INT"),
        ("feature { name: 'defs' type: INT shape { dim { size: 3 } } }", "fixed shape"),
        ("feature { name: 'defs' type: INT int_domain { max: 20 } }", "allows ids up to 20"),
        ("feature { name: 'defs' type: INT int_domain { max: 19 } }", "no int_domain with is_categorical"),
        ("feature { name: 'defs' type: INT }", "no int_domain with is_categorical"),
    ],
)
def test_schema_that_disagrees_is_named(text, problem):
    assert problem in schema_problem(text_format.Parse(text, schema_pb2.Schema()), SPEC)


def test_without_a_task_a_spec_is_written_and_hashed_as_before_there_were_tasks():
    assert "task" not in SPEC.model_dump()
    assert SPEC.digest == "497ea9232adb16fd"
    again = SequenceSpec.model_validate_json(CLASSES.model_dump_json())
    assert again == CLASSES == SequenceSpec.of_export(CLASSES.model_dump())
    assert again.digest != SPEC.digest
    assert again.vocabulary_digest() != SPEC.vocabulary_digest()


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ([0], None),
        ([1], None),
        ([2], "feature 'res' holds id 2; allowed are 0…1, the places in task.classes"),
        ([-1], "feature 'res' holds id -1; allowed are 0…1, the places in task.classes"),
        ([0, 1], "feature 'res' holds 2 classes ([0, 1]); a row has one"),
        ([], "feature 'res' is missing or empty; at least one id is needed"),
        (None, "feature 'res' is not a list of int64 ids"),
    ],
)
def test_a_label_of_a_class(label, text):
    problem = row_problem(GOOD | {"res": label}, ALL, CLASSES)
    assert (problem.text if problem else None) == text


def test_classes_by_name():
    assert label_ids([b"spam", b"ham"], CLASSES) == [1, 0]
    assert label_ids([b"spma"], CLASSES) == (
        "not a class",
        "feature 'res' holds a class: 'spma' is not one of task.classes; nearest are 'spam'",
    )
    assert label_ids([b"\xff"], CLASSES)[0] == "not a class"


def test_the_schema_of_a_class_allows_one_of_the_classes():
    [label] = [feature for feature in make_schema(CLASSES).feature if feature.name == "res"]
    assert (label.value_count.min, label.value_count.max) == (1, 1)
    assert (label.int_domain.min, label.int_domain.max) == (0, 1)
    assert schema_problem(make_schema(CLASSES), CLASSES) is None
    wider = "feature 'res' allows ids up to 19, task.classes end at 1"
    assert schema_problem(make_schema(SPEC), CLASSES) == wider


def test_a_whole_label_has_a_longest_length():
    spec = SequenceSpec(task=TaskSpec(kind="whole", length=2))
    assert row_problem(GOOD, ALL, spec) is None
    too_long = row_problem(GOOD | {"res": [12, 13, 14]}, ALL, spec)
    assert too_long.text == "feature 'res' holds 3 ids; allowed are 2 (task.length)"
    [label] = [feature for feature in make_schema(spec).feature if feature.name == "res"]
    assert label.value_count.max == 2


TAGS = SequenceSpec(task=TaskSpec(kind="each", feature="op", classes=("name", "sign")))


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ([0, 1, 0], None),
        ([0, 1], "feature 'res' holds 2 labels, and 'op' 3 ids; each id has one label"),
        ([0, 1, 0, 1], "feature 'res' holds 4 labels, and 'op' 3 ids; each id has one label"),
        ([0, 1, 2], "feature 'res' holds id 2; allowed are 0…1, the places in task.classes"),
        ([], "feature 'res' is missing or empty; at least one id is needed"),
    ],
)
def test_each_id_of_a_feature_has_a_label(label, text):
    problem = row_problem({"defs": [3, 5, 11], "op": [3, 7, 4], "res": label}, ALL, TAGS)
    assert (problem.text if problem else None) == text


def test_the_schema_of_labels_of_ids_allows_as_many_as_ids():
    features = {feature.name: feature for feature in make_schema(TAGS).feature}
    assert features["res"].value_count.max == features["op"].value_count.max
    assert features["res"].int_domain.max == 1
    assert schema_problem(make_schema(TAGS), TAGS) is None


def test_what_is_decided_of_an_answer_asks_for_no_other_rows():
    decided = CLASSES.model_copy(
        update={"task": CLASSES.task.model_copy(update={"threshold": 0.3, "abstain_below": 0.9})}
    )
    assert decided != CLASSES
    assert decided.undecided == CLASSES
    assert decided.digest == CLASSES.digest
    assert decided.task.same_answers(CLASSES.task)
    unsure = SequenceSpec(task=TaskSpec(abstain_below=0.5))
    assert "task" not in unsure.undecided.model_dump()
    assert unsure.digest == SPEC.digest
