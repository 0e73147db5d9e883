"""What a whole answer is: ids up to its end. Plain numpy; no tensors.

An answer has a row of positions. It ends before the first padding, or with the last position; the model has
to predict that end as well, so the position of the end is real, and what stands behind it is not.

Shapes: b rows, l positions of the answer, a ids.
"""

import numpy as np
from numpy.typing import NDArray

_Ids = NDArray[np.integer]
_Flags = NDArray[np.bool_]
_Floats = NDArray[np.float64]


def real_positions(ids: _Ids, pad_id: int) -> _Flags:
    """Which positions [b, l] count: all up to the first padding, and that one, which is the end."""
    ended = np.cumsum(ids == pad_id, axis=-1)
    return np.asarray(ended - (ids == pad_id) == 0)


def lengths(ids: _Ids, pad_id: int) -> NDArray[np.int64]:
    """How many ids [b] stand before the end."""
    return np.asarray((np.cumsum(ids == pad_id, axis=-1) == 0).sum(axis=-1), np.int64)


def probabilities(logits: _Floats) -> _Floats:
    """The softmax of logits [b, l, a]."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def answered(probability: _Floats, pad_id: int) -> tuple[_Ids, _Floats]:
    """The most probable answer.

    Args:
      probability: [b, l, a] of each id at each position.
      pad_id: the id that ends an answer.

    Returns:
      its ids [b, l], and its probability [b], which is the product over its positions and its end.
    """
    ids = probability.argmax(axis=-1)
    of_position = np.where(real_positions(ids, pad_id), probability.max(axis=-1), 1.0)
    return ids, np.asarray(of_position.prod(axis=-1))


def same(label: _Ids, ids: _Ids, pad_id: int) -> _Flags:
    """Whether an answer [b, l] is the label [b, l], from its first id to its end."""
    return np.asarray(((label == ids) | ~real_positions(label, pad_id)).all(axis=-1))


def edit_distance(label: _Ids, ids: _Ids, pad_id: int) -> NDArray[np.int64]:
    """How many ids must be put in, taken out or changed to make an answer the label, [b].

    Levenshtein, 1966, "Binary codes capable of correcting deletions, insertions, and reversals", by the
    recursion of Wagner and Fischer, 1974, for all rows at once.
    """
    rows, room = label.shape
    table = np.zeros((rows, room + 1, room + 1), np.int64)
    table[:, 0, :] = np.arange(room + 1)
    table[:, :, 0] = np.arange(room + 1)
    for i in range(1, room + 1):
        for j in range(1, room + 1):
            changed = table[:, i - 1, j - 1] + (label[:, i - 1] != ids[:, j - 1])
            shorter = np.minimum(table[:, i - 1, j], table[:, i, j - 1]) + 1
            table[:, i, j] = np.minimum(changed, shorter)
    return np.asarray(table[np.arange(rows), lengths(label, pad_id), lengths(ids, pad_id)])
