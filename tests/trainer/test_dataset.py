"""Rows on disk and batches of them: their order depends on content and seed alone."""

from contextlib import closing

import numpy as np
import pytest

from maskline.trainer import dataset
from maskline.trainer.dataset import Rows, batches_of, in_order, longest_of, power_of_two, read_rows, stacks
from maskline.transform import stored
from maskline.transform.features import SequenceSpec

SPEC = SequenceSpec(length=5)
RNG = np.random.default_rng(0)
X = np.where(np.arange(5) < RNG.integers(1, 6, (200, 1)), RNG.integers(1, 20, (200, 5)), 0).astype(np.int32)
ROWS = Rows(X, X[:, 0].copy())


def write_rows(path, rows):
    columns = stored.columns_of({"x": ("i", rows.x.shape[1]), "y": ("i", 1)})
    with closing(stored.RowsWriter(open(path, "wb"), columns)) as writer:
        for start in range(0, len(rows.y), 70):  # several blocks
            writer.write({"x": rows.x[start : start + 70], "y": rows.y[start : start + 70]})


def as_sorted(rows):
    return sorted((*x, y) for x, y in zip(rows.x.tolist(), rows.y.tolist(), strict=True))


def epochs(*numbers, batch_size=7, lengths=(5,), steps=3):
    """The batches of these epochs."""
    batches = stacks(ROWS, steps=steps, batch_size=batch_size, lengths=lengths, seed=3, epochs=numbers)
    made = list(batches.as_numpy_iterator())
    assert len(made) == batches.cardinality()
    each = len(made) // len(numbers)
    taken = [made[start : start + each] for start in range(0, len(made), each)]
    assert len(taken) == len(numbers)
    assert not any(weights[count:].any() for epoch in taken for _, _, weights, count in epoch)
    return [
        [(x[i][weights[i] > 0], y[i][weights[i] > 0]) for x, y, weights, count in epoch for i in range(count)]
        for epoch in taken
    ]


def test_rows_are_read_in_an_order_of_their_own(tmp_path):
    write_rows(tmp_path / "a.arrow", ROWS)
    write_rows(tmp_path / "b.arrow", Rows(ROWS.x[::-1], ROWS.y[::-1]))
    a, b = (read_rows([f"{tmp_path}/{name}.arrow"], SPEC, tmp_path) for name in "ab")
    np.testing.assert_array_equal(a.x, b.x)
    np.testing.assert_array_equal(a.y, b.y)
    assert a.digest() == b.digest()
    assert as_sorted(a) == as_sorted(ROWS)


def test_digest_knows_targets_from_ids():
    moved = Rows(ROWS.x, np.roll(ROWS.y, 1))
    assert ROWS.digest() != moved.digest()


def test_few_rows_are_held_and_many_are_mapped_in_the_same_order(tmp_path, monkeypatch):
    write_rows(tmp_path / "a.arrow", ROWS)
    held = read_rows([f"{tmp_path}/a.arrow"], SPEC, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.arrow"]
    monkeypatch.setattr(dataset, "_IN_MEMORY", 70 * 6)
    mapped = read_rows([f"{tmp_path}/a.arrow"], SPEC, tmp_path)
    assert isinstance(mapped.x.base, np.memmap)
    assert held.x.dtype == mapped.x.dtype == np.uint8
    assert not mapped.x.flags.writeable
    np.testing.assert_array_equal(held.x, mapped.x)
    np.testing.assert_array_equal(held.y, mapped.y)


@pytest.mark.parametrize(("size", "dtype"), [(20, np.uint8), (300, np.uint16), (70_000, np.uint32)])
def test_rows_keep_the_order_that_models_were_trained_in(tmp_path, size, dtype):
    """By a hash's first byte, then by ids; the digest of rows in their order is part of an identity."""
    rng = np.random.default_rng(1)
    x = rng.integers(1, size, (300, 5))
    x[200:] = x[:100]
    write_rows(tmp_path / "a.arrow", Rows(x, x[:, 2]))
    spec = SequenceSpec(length=5, vocabulary=[*SPEC.vocabulary, *map(str, range(100, 80 + size))])
    found = read_rows([f"{tmp_path}/a.arrow"], spec, tmp_path)
    table = np.column_stack([x, x[:, 2]]).astype(np.uint32)
    factors = np.random.default_rng(0).integers(2**32, size=6, dtype=np.uint32)
    order = np.lexsort([*table.T[::-1], table @ factors >> np.uint32(24)])
    np.testing.assert_array_equal(found.x, x[order])
    np.testing.assert_array_equal(found.y, x[order, 2])
    assert found.x.dtype == dtype


def test_no_rows_are_no_rows(tmp_path):
    write_rows(tmp_path / "a.arrow", Rows(ROWS.x[:0], ROWS.y[:0]))
    assert read_rows([f"{tmp_path}/a.arrow"], SPEC, tmp_path).x.shape == (0, 5)


@pytest.mark.parametrize("steps", [1, 3, 100])
@pytest.mark.parametrize("batch_size", [1, 7, 50, 64, 199, 200])
@pytest.mark.parametrize("lengths", [(5,), (1, 5), (2, 3, 4, 5), (4, 5)])
def test_every_row_comes_once_an_epoch_in_a_new_order(lengths, batch_size, steps):
    first, second = epochs(0, 1, batch_size=batch_size, lengths=lengths, steps=steps)
    rows = [
        [tuple(np.pad(row, (0, 5 - len(row)))) for x, _ in epoch for row in x] for epoch in (first, second)
    ]
    assert sorted(rows[0]) == sorted(rows[1]) == sorted(map(tuple, ROWS.x))
    assert rows[0] != rows[1]
    for x, y in first:
        np.testing.assert_array_equal(x[:, 0], y)
    assert [len(y) for _, y in first[:-1]] == [batch_size] * (len(first) - 1)
    assert len(first) == -(-len(ROWS.y) // batch_size)


def test_an_epoch_is_the_same_whether_others_came_before_it():
    later = epochs(0, 1, 2)[2]
    [at_once] = epochs(2)
    for a, b in zip(later, at_once, strict=True):
        np.testing.assert_array_equal(a[0], b[0])


@pytest.mark.parametrize("lengths", [(2, 4, 5), (3, 5)])
def test_buckets_cut_rows_and_pass_on_what_fills_no_batch(lengths):
    [epoch] = epochs(0, batch_size=4, lengths=lengths)
    longer = 0
    for x, _ in epoch:
        longest = (x != 0).sum(axis=1)
        assert longest.max() <= x.shape[1]
        longer += int((np.searchsorted(lengths, longest) < lengths.index(x.shape[1])).sum())
    assert {x.shape[1] for x, _ in epoch} == set(lengths)
    assert longer < 4 * (len(lengths) - 1)  # in a longer batch than their own: fewer than fill one
    assert len(epoch) == batches_of(ROWS, batch_size=4, lengths=lengths).sum()


def test_in_order_is_all_of_them():
    x, y, weights = (
        np.concatenate(parts)
        for parts in zip(*in_order(ROWS, batch_size=64).as_numpy_iterator(), strict=True)
    )
    np.testing.assert_array_equal(x, ROWS.x)
    np.testing.assert_array_equal(y, ROWS.y)
    np.testing.assert_array_equal(weights, np.ones(200, np.float32))


def test_the_longest_row_is_that_with_most_ids():
    assert longest_of(ROWS) == 5
    short = ROWS._replace(x=np.pad(np.where(np.arange(5) < 3, X, 0) + 4, ((0, 0), (0, 2)), constant_values=4))
    assert longest_of(short, pad_id=4) == 3
    assert longest_of(Rows(X[:0], X[:0, 0])) == longest_of(Rows(X[:2] * 0, X[:2, 0])) == 1


def test_rows_in_order_are_cut_and_labels_of_ids_with_them():
    labels = np.where(X == 0, 99, X + 1)
    parts = in_order(Rows(X, labels), batch_size=64, length=3, no_label=99).as_numpy_iterator()
    x, y, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
    np.testing.assert_array_equal(x, X[:, :3])
    np.testing.assert_array_equal(y, np.where(X == 0, 0, X + 1)[:, :3])
    np.testing.assert_array_equal(weights, X[:, :3] > 0)


def test_filled_batches_have_one_shape_and_their_last_rows_no_weight():
    made = list(in_order(ROWS, batch_size=64, fill=True).as_numpy_iterator())
    assert {x.shape for x, _, _ in made} == {(64, 5)}
    x, y, weights = (np.concatenate(parts) for parts in zip(*made, strict=True))
    np.testing.assert_array_equal(x, np.concatenate([ROWS.x, ROWS.x[:56]]))
    np.testing.assert_array_equal(y, np.concatenate([ROWS.y, ROWS.y[:56]]))
    np.testing.assert_array_equal(weights, np.arange(256) < 200)
    [(x, _, weights)] = in_order(ROWS, batch_size=512, fill=True).as_numpy_iterator()  # more than twice
    assert (len(x), weights.sum()) == (512, 200)
    [(_, _, weights)] = in_order(Rows(ROWS.x, ROWS.x), batch_size=256, fill=True).as_numpy_iterator()
    assert not weights[200:].any()


def test_power_of_two_is_the_least_that_is_not_smaller():
    assert [power_of_two(n) for n in (0, 1, 2, 3, 4, 5, 511, 512, 513)] == [1, 1, 2, 4, 4, 8, 512, 512, 1024]


def test_weights_of_classes_are_those_of_rows_and_fill_rows_have_none():
    of_class = RNG.uniform(0.5, 2, 20).astype(np.float32)
    [(_, y, weights, count)] = stacks(
        ROWS, steps=30, batch_size=7, lengths=(5,), seed=3, epochs=[0], class_weights=of_class
    ).as_numpy_iterator()
    assert (count, weights.size) == (29, 210)
    np.testing.assert_array_equal(weights.ravel()[:200], of_class[y.ravel()[:200]])
    assert not weights.ravel()[200:].any()
    held_out = [w for _, _, w in in_order(ROWS, class_weights=of_class).as_numpy_iterator()]
    np.testing.assert_array_equal(np.concatenate(held_out), of_class[ROWS.y])
