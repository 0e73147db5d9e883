"""Answers and baselines where each id of a feature has a label. Plain numpy; no TFX, no TensorFlow."""

from collections.abc import Iterable

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from maskline.components.evaluation.answers import Floats, ModelAnswers, Numbers
from maskline.components.evaluation.baselines import Baselines, Batch


def read_each(
    logits: Floats,
    label: Numbers,
    no_label: int,
    *,
    unreadable: NDArray[np.bool_] | None = None,
    unknown: NDArray[np.bool_] | None = None,
) -> ModelAnswers:
    """Turns logits into answers; see `read_logits`.

    Args:
      logits: [rows, positions, classes] of a model; or [labels, classes] of those positions alone that have
        a label, row by row.
      label: [rows, positions] the right classes, `no_label` where a position has none.
      no_label: see `SequenceSpec.no_label`.
      unreadable: [rows], and
      unknown: [rows], of a model with another vocabulary.

    Returns:
      `answer` is 1 where all labels of a row are right, else 0; `loss` is the sum over them, and
      `probability` the product.
    """
    real = label != no_label
    row, place = np.nonzero(real)
    logits = (logits[row, place] if logits.ndim > 2 else logits).astype(np.float64)
    classes = label[row, place]
    logits = logits - logits.max(axis=-1, keepdims=True)
    normalizer = np.log(np.exp(logits).sum(axis=-1))
    answers = logits.argmax(axis=-1)
    right = answers == classes
    rows = len(label)

    def by_row(values: NDArray[np.generic]) -> Floats:
        return np.asarray(np.bincount(row, values.astype(np.float64), minlength=rows), np.float64)

    counts = np.zeros((rows, 3, no_label), np.int32)
    for kind, (which, of_class) in enumerate(((..., classes), (..., answers), (right, classes))):
        np.add.at(counts, (row[which], kind, of_class[which]), 1)
    positions, hits = real.sum(axis=-1), by_row(right).astype(np.int64)
    none = np.zeros(rows, np.bool_)
    return ModelAnswers(
        answer=(hits == positions).astype(np.int8),
        probability=np.exp(-by_row(normalizer)),
        loss=by_row(normalizer - logits[np.arange(len(logits)), classes]),
        rank=np.zeros(rows, np.int8),
        positive=np.full(rows, np.nan),
        unreadable=none if unreadable is None else unreadable,
        unknown=none if unknown is None else unknown,
        positions=positions,
        right_positions=hits,
        first=np.zeros(rows, np.int8),
        edits=positions - hits,
        classes=counts,
    )


def neighbours(ends: Numbers, ids: Numbers, size: int) -> scipy.sparse.csr_matrix:
    """What the baselines see of an id: itself, and the ids before and behind it in its list.

    Args:
      ends: [rows] where each row's list ends.
      ids: [labels] all lists behind one another.
      size: of the vocabulary.

    Returns:
      [labels, 3 · size], 1 for each of the ids that are there.
    """
    place = np.arange(len(ids))
    starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    has_before, has_behind = ~np.isin(place, starts), ~np.isin(place + 1, ends)
    rows = np.concatenate([place, place[has_before], place[has_behind]])
    behind = ids[place[has_behind] + 1] if has_behind.any() else ids[:0]
    columns = np.concatenate([ids, size + ids[place[has_before] - 1], 2 * size + behind])
    values = np.ones(len(rows), np.float32)
    return scipy.sparse.csr_matrix((values, (rows, columns)), shape=(len(ids), 3 * size))


class EachBaselines:
    """Baselines for each label by itself: the most frequent one, and a linear model on `neighbours`.

    Args:
      batches: training rows, with labels [rows, positions], and counts for each label.
      classes: how many there are.
      no_label: see `SequenceSpec.no_label`.
      linear: whether to fit the linear model, too.
    """

    positive = None

    def __init__(self, batches: Iterable[Batch], classes: int, *, no_label: int, linear: bool) -> None:
        of_labels = (Batch(batch.counts, batch.label[batch.label != no_label]) for batch in batches)
        self._baselines = Baselines(of_labels, classes, linear=linear)

    def logits(self, counts: scipy.sparse.csr_matrix) -> dict[str, NDArray[np.float64]]:
        """Each baseline's logarithms of probabilities, [labels, classes]."""
        return self._baselines.logits(counts)
