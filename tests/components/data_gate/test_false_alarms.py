"""Drift and skew do not alarm where nothing changed, whatever the rows look like. Counts only; no TFX.

`python -m tests.bench.false_alarms` does the same a thousand times for each kind of rows.
"""

import numpy as np
import pyarrow as pa
import pytest

from maskline.components.data_gate.divergence import IdSample, chance, jensen_shannon
from maskline.components.data_gate.resampling import (
    KEYS,
    PARTS,
    Parts,
    in_parts,
    row_keys,
    shared_rows,
    without_group,
)
from maskline.transform.names import GROUP
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


def of_users(count, rows_each, generator):
    """Rows of users, each of whom stays on a few pages: a batch with the group of each row."""
    group = np.repeat(generator.integers(0, 2**62, count), rows_each)
    pages = np.repeat(generator.integers(0, 20, (count, 2)), rows_each, axis=0)
    ids = np.take_along_axis(pages, generator.integers(0, 2, (len(group), 12)), axis=1)
    lists = {"f": ids, GROUP: group[:, None]}
    return pa.RecordBatch.from_arrays([pa.array(v.tolist(), pa.list_(pa.int64())) for v in lists.values()],
                                      names=list(lists))  # fmt: skip


@pytest.mark.parametrize("by_group", [True, False])
def test_chance_is_dealt_out_by_the_key_that_decided_the_split(by_group):
    """By the key nothing alarms; were rows dealt out alone, as many alarms as would have come are seen."""
    generator, alarms = np.random.default_rng(0), 0
    for _ in range(12):
        samples = []
        for count in (60, 30):
            batch, parts = of_users(count, 20, generator), Parts()
            parts.add(batch if by_group else without_group(batch))
            counts = {
                v: int(n)
                for v, n in zip(*np.unique(batch.column("f").flatten(), return_counts=True), strict=True)
            }
            counts = {str(v): n for v, n in counts.items()}
            dealt = dict(zip(parts.values["f"], parts.counts["f"], strict=True))
            assert set(parts.counts) == {"f"}
            samples.append(IdSample(counts, dealt))
        ours, theirs = ([s.counts.get(str(v), 0) for v in range(20)] for s in samples)
        alarms += int(jensen_shannon(np.array(ours), np.array(theirs)) > chance(*samples))
    assert alarms == 0 if by_group else alarms > 6
