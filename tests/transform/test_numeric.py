"""What rows may hold as numbers: in lists and behind texts, in Python and in graphs."""

import random

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata

from maskline.components.ingest.rows import read_row
from maskline.pipeline.predict.checks import TextCheck
from maskline.transform import numeric, numeric_graph, status
from maskline.transform.features import (
    SequenceSpec,
    example_text,
    make_schema,
    numeric_task_problem,
    schema_problem,
    text_problem,
    tokenize,
)
from maskline.transform.problems import Reason
from maskline.transform.task import TaskSpec
from tests.support import example

SPEC = SequenceSpec(numeric={"heat": 1, "place": 2})
GOOD = {"defs": [3, 5, 11], "op": [3, 7, 4], "heat": [21.5], "place": [0.25, -3.0]}


def test_without_numbers_the_digest_is_as_it_was():
    assert "numeric" not in SequenceSpec().model_dump()
    assert SequenceSpec().digest == SequenceSpec(numeric={}).digest
    assert SPEC.digest != SequenceSpec(numeric={"heat": 1, "place": 3}).digest
    assert SequenceSpec.of_export(SPEC.model_dump()) == SPEC


@pytest.mark.parametrize(
    ("changed", "reason", "words"),
    [
        ({"heat": []}, Reason.NOT_FLOAT, "feature 'heat' is not a float list; 1 number is needed"),
        ({"heat": [21]}, Reason.NOT_FLOAT, "feature 'heat' is not a float list; 1 number is needed"),
        ({"heat": None}, Reason.MISSING, "feature 'heat' is missing or empty; 1 number is needed"),
        ({"place": [0.5]}, Reason.NUMBERS, "feature 'place' holds 1 number; 2 numbers are needed (sequence"),
        ({"heat": [0.5, 0.5]}, Reason.NUMBERS, "feature 'heat' holds 2 numbers; 1 number is needed"),
        ({"place": [0.5, float("inf")]}, Reason.NOT_A_NUMBER, "feature 'place' holds inf; finite float32"),
        ({"heat": [float("nan")]}, Reason.NOT_A_NUMBER, "feature 'heat' holds nan; finite float32"),
    ],
)
def test_rows_without_the_numbers_are_refused(changed, reason, words):
    row = {name: values for name, values in (GOOD | changed).items() if values is not None}
    problem = read_row(example(**row), SPEC, SPEC.inputs).problem
    assert problem is not None
    assert problem.reason == reason
    assert problem.text.startswith(words)


def test_a_good_row_stays_as_it_is_and_loses_what_is_not_named():
    good = example(**dict(sorted(GOOD.items())))
    assert read_row(good, SPEC, SPEC.inputs)[:2] == (None, good)
    more = read_row(example(**GOOD, noise=[0.5]), SPEC, SPEC.inputs)
    assert (more.problem, more.unnamed, more.data) == (None, (("noise", "float"),), good)
    # A list in pieces is read by some readers in part.
    feature = b"\x12\x06\x0a\x04\x00\x00\x80\x3f" + b"\x12\x06\x0a\x04\x00\x00\x80\x3f"
    entry = b"\x0a\x04heat\x12" + bytes([len(feature)]) + feature
    pieces = b"\x0a" + bytes([len(entry) + 2]) + b"\x0a" + bytes([len(entry)]) + entry
    found = read_row(pieces, SPEC, SPEC.inputs).problem
    assert found is not None
    assert found.reason == Reason.AMBIGUOUS


TEXTS = {
    "x=1,y=2:x+y\t21.5\t0.25\t-3": None,
    "x=1,y=2:x+y\t+.5\t1.\t-3e-7": None,
    "x=1,y=2:x+y": Reason.NUMBERS,
    "x=1,y=2:x+y\t1\t2": Reason.NUMBERS,
    "x=1,y=2:x+y\t1\t2\t3\t4": Reason.NUMBERS,
    "x=1,y=2:x+y\t1\t2\t": Reason.NOT_A_NUMBER,
    "x=1,y=2:x+y\t1\t2\tnan": Reason.NOT_A_NUMBER,
    "x=1,y=2:x+y\t1\t2\tinf": Reason.NOT_A_NUMBER,
    "x=1,y=2:x+y\t1\t2\t1e39": Reason.NOT_A_NUMBER,
    "x=1,y=2:x+y\t1\t2\t٣": Reason.NOT_A_NUMBER,
    "x=1,y=2:x+y\t1\t2\t 3": Reason.NOT_A_NUMBER,
    "x=1,y=2:x+y\t1\t2\t0x3": Reason.NOT_A_NUMBER,
    "x=1?y=2:x+y\t1\t2\t3": Reason.OUTSIDE_VOCABULARY,
    "x=1,y=2\t1\t2\t3": Reason.SEGMENTS,
    "\t1\t2\t3": Reason.SEGMENTS,
    "": Reason.NUMBERS,
}


def ids_of(symbols: tf.Tensor) -> tf.Tensor:
    return tf.constant([SPEC.ids.get(s.decode(), -1) for s in symbols.numpy()], tf.int64)


def test_texts_with_numbers_are_judged_alike_in_python_and_in_the_graph():
    python = [problem.reason if (problem := text_problem(t, SPEC)) else None for t in TEXTS]
    assert python == list(TEXTS.values())
    assert [p.reason if (p := TextCheck(SPEC)(t)) else None for t in TEXTS] == python
    found, good = status.of_texts(tf.constant(list(TEXTS)), SPEC, ids_of, limit=1 << 20)
    assert [s.decode() for s in found.numpy()] == [reason or "answered" for reason in python]
    read, numbers = numeric_graph.split(good, SPEC)
    assert read.numpy()[0] == b"x=1,y=2:x+y"
    np.testing.assert_array_equal(tf.sparse.to_dense(numbers["place"]).numpy()[0], np.float32([0.25, -3]))
    assert tokenize(example_text(SPEC), SPEC)["op"]


def test_numbers_survive_being_written_behind_a_text():
    draw = random.Random(0)
    numbers = np.array([draw.uniform(-1, 1) * 10 ** draw.randint(-30, 38) for _ in range(300)], np.float32)
    rows = tf.RaggedTensor.from_tensor(numbers.reshape(100, 3))
    parts = {"heat": rows[:, :1], "place": rows[:, 1:]}
    text = numeric_graph.texts_with_numbers(tf.fill([100], "x=1,y=2:x+y"), parts, SPEC)
    _, back = numeric_graph.split(text, SPEC)
    both = np.concatenate([tf.sparse.to_dense(back[name]).numpy() for name in ("heat", "place")], axis=1)
    np.testing.assert_array_equal(both.ravel(), numbers)
    one = numeric.with_numbers("x=1,y=2:x+y", numbers[:3].tolist())
    assert numeric.split_numbers(one, SPEC.numeric) == ("x=1,y=2:x+y", None)


def test_a_bad_number_spoils_no_other_row():
    rows = [
        GOOD,
        GOOD | {"heat": [float("inf")]},
        {name: values for name, values in GOOD.items() if name != "place"},
        GOOD | {"place": [1.0, 2.0, 3.0]},
    ]
    kinds = {n: tf.float32 if n in SPEC.numeric else tf.int64 for n in SPEC.inputs}
    wanted = {name: tf.io.VarLenFeature(kind) for name, kind in kinds.items()}
    parsed = tf.io.parse_example(tf.constant([example(**row) for row in rows]), wanted)
    found, good = status.of_segments(parsed, SPEC)
    expected = ["answered", "not a finite number", "missing", "wrong number of numbers"]
    assert [s.decode() for s in found.numpy()] == expected
    np.testing.assert_array_equal(
        tf.sparse.to_dense(good["heat"]).numpy(), np.float32([[21.5], [0], [0], [0]])
    )
    place = np.float32([[0.25, -3], [0, 0], [0, 0], [0, 0]])
    np.testing.assert_array_equal(tf.sparse.to_dense(good["place"]).numpy(), place)


def test_the_schema_asks_for_so_many_floats():
    schema = make_schema(SPEC)
    [place] = [feature for feature in schema.feature if feature.name == "place"]
    assert (place.value_count.min, place.value_count.max) == (2, 2)
    assert schema_problem(schema, SPEC) is None
    place.type = 2
    assert schema_problem(schema, SPEC) == "feature 'place' is not of type FLOAT"
    assert schema_problem(make_schema(SequenceSpec()), SPEC) == "it has no feature 'heat'"


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match="'op' is also in features or label"):
        SequenceSpec(numeric={"op": 1})
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        SequenceSpec(numeric={"heat": 0})
    with pytest.raises(ValueError, match="name of an input of exported models"):
        SequenceSpec(numeric={"examples": 1})
    with pytest.raises(ValueError, match="a tab is no symbol here"):
        SequenceSpec(vocabulary=(" ", ":", "a", "\t"), numeric={"heat": 1})
    each = SPEC.model_copy(update={"task": TaskSpec(kind="each", classes=("a", "b"), feature="op")})
    assert "numbers belong to a row" in (numeric_task_problem(each) or "")
    assert numeric_task_problem(SPEC) is None


def test_numbers_are_scaled_by_the_rows_that_transform_reads(tmp_path):
    """Mean 0 and deviation 1; a number that is always the same becomes 0, also where it is another."""
    seen = [{"heat": [heat], "place": [place, 7.0]} for heat, place in ((1.0, -4.0), (2.0, 0.0), (6.0, 1.0))]
    other = [{"heat": [3.0], "place": [-1.0, 9.0]}]
    metadata = dataset_metadata.DatasetMetadata.from_feature_spec(
        {name: tf.io.VarLenFeature(tf.float32) for name in SPEC.numeric}
    )
    with tft_beam.Context(temp_dir=str(tmp_path)):
        (rows, _), graph = (seen, metadata) | tft_beam.AnalyzeAndTransformDataset(
            lambda inputs: {"numbers": numeric_graph.scaled(inputs, SPEC)}
        )
        later, _ = ((other, metadata), graph) | tft_beam.TransformDataset()
    table = np.array([[*row["heat"], *row["place"]] for row in seen])
    mean, deviation = table.mean(axis=0), np.array([*table.std(axis=0)[:2], np.inf])
    np.testing.assert_allclose([row["numbers"] for row in rows], (table - mean) / deviation, atol=1e-6)
    expected = (np.array([3.0, -1.0, 9.0]) - mean) / deviation
    np.testing.assert_allclose(later[0]["numbers"], expected, atol=1e-6)
