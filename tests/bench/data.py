"""Rows for experiments, made in memory as the pipeline would make them from the sample shards."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskline.trainer.dataset import Rows
from maskline.transform.features import SequenceSpec, tokenize
from maskline.transform.names import SPLITS
from maskline.transform.samples import exercise_key, exercises
from maskline.transform.splits import encoded, key_digest, split_of

# As data.eval_percent and data.test_share have it by default.
_TRAIN_PERCENT, _TEST_SHARE = 80, 0.75


class Exercises(NamedTuple):
    """Exercises, by row.

    Attributes:
      rows: x [count, 20] uint8; y [count] uint8, or with a spec of whole labels [count, task.length].
      operator: [count] one of + - *.
      split: [count] the part that data.split_by deals each one to: whatever its wording, an exercise is in
        one part.
      key: [count] what decided it.
    """

    rows: Rows
    operator: NDArray[np.str_]
    split: NDArray[np.str_]
    key: NDArray[np.object_]

    def part(self, split: str, most: int | None = None) -> "Exercises":
        """Those of one part, in their order; at most so many."""
        which = np.flatnonzero(self.split == split)[:most]
        rows = Rows(self.rows.x[which], self.rows.y[which])
        return Exercises(rows, self.operator[which], self.split[which], self.key[which])


def drawn(count: int, *, seed: int, max_value: int = 100, spec: SequenceSpec | None = None) -> Exercises:
    """Exercises such as `x=-12,y=24:y+x` with the first symbol of their result, or with all of it.

    Args:
      count: how many.
      seed: same seed, same rows.
      max_value: one more than the largest absolute value.
      spec: the language; by default the reference's, which predicts the first symbol.
    """
    spec = spec or SequenceSpec()
    x = np.full((count, spec.length), spec.pad_id, np.uint8)
    y = np.full((count, spec.positions), spec.pad_id, np.uint8)
    operators, splits, keys = [], [], np.empty(count, object)
    for row, (definitions, operation, result) in enumerate(
        exercises(count, max_value=max_value, rng=np.random.default_rng(seed))
    ):
        segments = tokenize(f"{definitions}{spec.separator}{operation}", spec)
        ids = [*segments["defs"], spec.separator_id, *segments["op"]]
        x[row, : len(ids)] = ids
        label = [spec.ids[symbol] for symbol in result][: spec.positions]
        y[row, : len(label)] = label
        operators.append(operation[1])
        keys[row] = exercise_key(definitions, operation)
        hashed = key_digest(encoded(keys[row]))
        splits.append(split_of(hashed, train_percent=_TRAIN_PERCENT, test_share=_TEST_SHARE))
    rows = Rows(x, y if spec.positions > 1 else y[:, 0])
    return Exercises(rows, np.array(operators), np.array(splits), keys)


def three_parts(
    records: int, *, seed: int, max_value: int = 100, spec: SequenceSpec | None = None
) -> tuple[Exercises, Exercises, Exercises]:
    """Exercises to train on, others to choose the epoch by, and others that nothing is chosen by.

    Args:
      records: how many to train on; about a quarter as many are drawn beside them.
      seed: see `drawn`; so are
      max_value: and
      spec: explained there.

    Returns:
      train, eval and test; no exercise is in two of them, however it is worded.
    """
    found = drawn(records * 13 // 10 + 1000, seed=seed, max_value=max_value, spec=spec)
    train, held_out, test = (found.part(split, records) for split in SPLITS)
    assert len(train.split) == records, "too few fell to train"
    return train, held_out, test


def of_uneven_length(count: int, *, shortest: int, longest: int, seed: int) -> Rows:
    """Random ids, lengths uniform; the answer is the id that follows the only separator.

    Args:
      count: how many.
      shortest: ids in the shortest row, at least 2.
      longest: ids in the longest row.
      seed: same seed, same rows.

    Returns:
      x [count, longest] uint8, y [count] uint8.
    """
    spec, rng = SequenceSpec(length=longest), np.random.default_rng(seed)
    lengths = rng.integers(shortest, longest + 1, count)
    x = rng.integers(3, spec.size, (count, longest)).astype(np.uint8)
    marked = rng.integers(0, lengths - 1)
    x[np.arange(count), marked] = spec.separator_id
    y = x[np.arange(count), marked + 1]
    return Rows(np.where(np.arange(longest) < lengths[:, None], x, spec.pad_id).astype(np.uint8), y)
