"""Rows that are surely good: `read_row` agrees, and what anybody writes in earnest is among them."""

import itertools

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from maskline.components.ingest.plain import good_rows
from maskline.components.ingest.rows import Row, read_row
from maskline.components.ingest.shards import MAX_RECORD, Block, _whole_records
from maskline.transform.features import SequenceSpec
from maskline.transform.task import TaskSpec
from tests.fuzz import cases
from tests.support import GOOD, _field, example, tfrecord

SPEC = SequenceSpec()
LARGE = SequenceSpec(features=("a", "b"), label="a_b", vocabulary=[str(n) for n in range(70_000)],
                     separator="3", padding="9", length=150)  # fmt: skip


def good(rows, spec=SPEC):
    content = tfrecord(rows)
    starts, ends, *_ = _whole_records(content, MAX_RECORD)
    return good_rows(Block(0, 0, content, starts, ends), spec).rows.tolist()


def by_row(rows, spec=SPEC):
    return [read_row(row, spec) == Row(None, row) for row in rows]


def test_features_in_any_order_are_plain():
    pieces = [entry(name.encode(), bytes(ids)) for name, ids in GOOD.items()]
    rows = [_field(1, b"".join(order)) for order in itertools.permutations(pieces)]
    assert good(rows) == by_row(rows) == [True] * 6


ids = st.one_of(st.integers(0, 69_999), st.sampled_from([3, 9, 127, 128, 70_000, -1, 2**62]))
lists = st.lists(ids, max_size=200)


@cases(100)
@given(rows=st.lists(st.fixed_dictionaries(dict.fromkeys(("a", "b", "a_b"), lists)), max_size=5))
def test_ids_of_several_bytes_and_lists_of_any_length(rows):
    data = [example(**row) for row in rows]
    assert good(data, LARGE) == by_row(data, LARGE)


CLASSES = LARGE.model_copy(update={"task": TaskSpec(kind="class", classes=[str(n) for n in range(300)])})


@cases(60)
@given(labels=st.lists(st.lists(st.sampled_from([0, 3, 9, 299, 300, -1]), max_size=3), max_size=6))
def test_a_class_is_one_id_among_the_classes_whatever_it_is_in_the_vocabulary(labels):
    data = [example(a=[5], b=[6], a_b=label) for label in labels]
    assert good(data, CLASSES) == by_row(data, CLASSES)
    assert good(data, CLASSES) == [len(label) == 1 and 0 <= label[0] < 300 for label in labels]


WHOLE = LARGE.model_copy(update={"task": TaskSpec(kind="whole", length=3)})


@cases(60)
@given(labels=st.lists(st.lists(st.sampled_from([0, 3, 9, 70_000]), max_size=5), max_size=6))
def test_a_whole_label_is_as_long_as_allowed(labels):
    data = [example(a=[5], b=[6], a_b=label) for label in labels]
    assert good(data, WHOLE) == by_row(data, WHOLE)
    assert good(data, WHOLE) == [1 <= len(label) <= 3 and not {9, 70_000} & set(label) for label in labels]


EACH = LARGE.model_copy(update={"task": TaskSpec(kind="each", feature="b", classes=("x", "y", "z"))})


@cases(60)
@given(labels=st.lists(st.lists(st.sampled_from([0, 2, 3, 70_000]), max_size=4), max_size=6))
def test_there_are_as_many_labels_as_ids_of_the_feature_that_has_them(labels):
    data = [example(a=[5], b=[6, 7], a_b=label) for label in labels]
    assert good(data, EACH) == by_row(data, EACH)
    assert good(data, EACH) == [len(label) == 2 and max(label) < 3 for label in labels]


def row(packed):
    """A row whose label is this packed chunk."""
    lists = {b"defs": b"\x03", b"op": b"\x04", b"res": packed}
    return _field(1, b"".join(entry(name, content) for name, content in lists.items()))


def entry(name, packed):
    return _field(1, _field(1, name) + _field(2, _field(3, _field(1, packed))))


@pytest.mark.parametrize(
    ("packed", "is_good"),
    [
        (b"\x05", True),
        (b"", False),
        (b"\x05\x85", False),  # the last number has no end
        (b"\x85\x00", True),  # a number with a byte too many, which every reader takes
        (b"\x85\x80\x80\x80\x00", False),  # so many that it is looked at for itself
        (b"\x85" + b"\x80" * 9 + b"\x02", False),
    ],
)
def test_numbers_as_they_may_be_written(packed, is_good):
    # A row before and one behind: what is not whole must not reach into its neighbour.
    rows = [example(**GOOD), row(packed), example(**GOOD)]
    assert good(rows) == [True, is_good, True]
    if is_good:
        assert read_row(rows[1], SPEC).problem is None
        assert tf.train.Example.FromString(rows[1]).features.feature["res"].int64_list.value[:] == [5]


@cases(150)
@given(place=st.integers(0, 40), change=st.integers(1, 255), cut=st.integers(0, 60))
def test_a_changed_byte_is_never_called_good_wrongly(place, change, cut):
    data = bytearray(example(**GOOD))
    data[place % len(data)] ^= change
    rows = [bytes(data), bytes(data)[:cut], example(**GOOD)]
    assert all(slow or not fast for fast, slow in zip(good(rows), by_row(rows), strict=True))
    assert good(rows)[2]
