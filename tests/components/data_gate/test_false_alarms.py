"""Drift and skew do not alarm where nothing changed, whatever the rows look like. Counts only; no TFX.

`python -m tests.bench.false_alarms` does the same a thousand times for each kind of rows.
"""

import numpy as np
import pyarrow as pa
import pytest

from maskline.components.data_gate.resampling import KEYS, PARTS, Parts, in_parts, row_keys, shared_rows
from tests.bench.false_alarms import REPEATS, SHAPES, draw, false_alarms

NONE = {"drift": 0, "skew": 0}


@pytest.mark.parametrize("repeats", REPEATS)
@pytest.mark.parametrize("shape", SHAPES)
def test_unchanged_data_do_not_alarm(shape, repeats):
    assert false_alarms(6, 200, 20, shape, repeats) == NONE
    assert false_alarms(1, 2_000, 5_000, shape, repeats) == NONE


def test_chance_alone_is_reason_enough_without_the_help_of_the_limits():
    assert false_alarms(20, 500, 20, "two pages", "90 %", limit=1e-9) == NONE


def test_unchanged_data_with_a_large_vocabulary_do_not_alarm():
    assert false_alarms(1, 20_000, 50_000, "two pages", "50 %") == NONE


def batch(*rows, kind=None):
    return pa.RecordBatch.from_arrays([pa.array(rows, type=pa.list_(kind or pa.int64()))], ["f"])


def test_equal_rows_have_equal_keys_and_others_do_not():
    rows = [[1, 2], [1, 2], [2, 1], [1], [2], [1, 2, 0], [0, 1, 2], [], [0], [-1]]
    keys = row_keys(batch(*rows))
    assert keys[0] == keys[1]
    assert len(set(keys.tolist())) == len(rows) - 1


def test_key_does_not_depend_on_the_batch_or_on_features_that_a_row_lacks():
    alone = row_keys(batch([3, 4]))
    among = pa.RecordBatch.from_arrays(
        [pa.array([None, [7]], type=pa.list_(pa.int64())), pa.array([[3, 4], [3, 4]])], ["e", "f"]
    )
    assert row_keys(among)[0] == alone[0] != row_keys(among)[1]


@pytest.mark.parametrize(
    ("one", "other", "kind"), [([b"ab"], [b"ba"], pa.large_binary()), ([0.5], [0.25], pa.float32())]
)
def test_rows_of_text_and_of_floats_have_keys_too(one, other, kind):
    keys = row_keys(batch(one, other, one, kind=kind))
    assert keys[0] == keys[2] != keys[1]


def test_rows_are_dealt_out_evenly_and_each_part_for_itself():
    parts = in_parts(row_keys(draw(20_000, 50_000, "even", np.random.default_rng(0)).batch()))
    share = np.repeat([0.5, 51 / 256], PARTS // 2)
    np.testing.assert_allclose(parts.mean(axis=0), share, atol=0.015)
    correlation = np.corrcoef(parts.T) - np.eye(PARTS)
    assert np.abs(correlation).max() < 0.04


def test_parts_are_the_same_however_the_rows_are_cut_into_batches(tmp_path):
    rows = draw(300, 50, "bursts", np.random.default_rng(0))
    whole, merged, other = Parts(), Parts(), Parts()
    whole.add(rows.batch())
    merged.add(rows.take(np.arange(100)).batch())
    other.add(rows.take(np.arange(100, 300)).batch())
    merged.merge(other)
    with (tmp_path / "parts.npz").open("wb") as file:
        merged.write(file)
    with (tmp_path / "parts.npz").open("rb") as file:
        again = Parts.read(file)
    for parts in (merged, again):
        assert parts.rows == 300
        np.testing.assert_array_equal(parts.keys, whole.keys)
        np.testing.assert_array_equal(parts.key_rows, whole.key_rows)
        ours, theirs = (dict(zip(p.values["f"], p.counts["f"], strict=True)) for p in (parts, whole))
        assert ours.keys() == theirs.keys()
        assert all((ours[value] == theirs[value]).all() for value in theirs)


@pytest.mark.parametrize(("distinct", "within"), [(1_000, 1e-12), (2 * KEYS, 0.02)])
def test_share_of_shared_rows_is_exact_or_estimated_from_a_sample(distinct, within):
    numbers = np.arange(distinct)
    ours, theirs = Parts(), Parts()
    for parts, rows in ((ours, numbers), (theirs, numbers[distinct // 4 :])):
        lists = pa.ListArray.from_arrays(np.arange(len(rows) + 1, dtype=np.int32), rows)
        parts.add(pa.RecordBatch.from_arrays([lists], ["f"]))
    assert shared_rows(ours, theirs) == pytest.approx(0.75, abs=within)
    assert shared_rows(theirs, ours) == 1
