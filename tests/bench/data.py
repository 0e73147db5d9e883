"""Rows for experiments, made in memory as the pipeline would make them from the sample shards."""

import numpy as np

from maskline.trainer.dataset import Rows
from maskline.transform.features import SequenceSpec, tokenize
from maskline.transform.samples import exercises


def arithmetic(count: int, *, seed: int, max_value: int = 100) -> Rows:
    """Exercises such as `x=-12,y=24:y+x` with the first symbol of their result.

    Args:
      count: how many.
      seed: same seed, same rows.
      max_value: one more than the largest absolute value.

    Returns:
      rows of the reference's language: x [count, 20] uint8, y [count] uint8.
    """
    spec = SequenceSpec()
    x, y = np.full((count, spec.length), spec.pad_id, np.uint8), np.zeros(count, np.uint8)
    for row, (definitions, operation, result) in enumerate(
        exercises(count, max_value=max_value, rng=np.random.default_rng(seed))
    ):
        segments = tokenize(f"{definitions}{spec.separator}{operation}", spec)
        ids = [*segments["defs"], spec.separator_id, *segments["op"]]
        x[row, : len(ids)] = ids
        y[row] = spec.vocabulary.index(result[0])
    return Rows(x, y)


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
