"""Answers and baselines where the whole label is predicted. Plain numpy; no TFX, no TensorFlow."""

from collections.abc import Iterable

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from maskline.components.evaluation.answers import Floats, ModelAnswers, Numbers, no_classes
from maskline.components.evaluation.baselines import Baselines, Batch
from maskline.components.evaluation.report import MAJORITY
from maskline.transform import whole


def read_whole(
    logits: Floats,
    label: Numbers,
    pad_id: int,
    *,
    unreadable: NDArray[np.bool_] | None = None,
    unknown: NDArray[np.bool_] | None = None,
) -> ModelAnswers:
    """Turns logits [rows, positions, ids] into answers; see `read_logits`.

    Args:
      logits: of a model, for each row, position and id.
      label: [rows, positions] the right ids, padded.
      pad_id: the padding, which ends an answer.
      unreadable: [rows], and
      unknown: [rows], of a model with another vocabulary.

    Returns:
      `answer` is 1 where the whole answer is right, else 0; `loss` is the sum over the row's positions.
    """
    logits = logits.astype(np.float64)
    probability = whole.probabilities(logits)
    ids, of_answer = whole.answered(probability, pad_id)
    real = whole.real_positions(label, pad_id)
    # Not the logarithm of the probability, which can be too small for float64.
    logits = logits - logits.max(axis=-1, keepdims=True)
    of_label = np.take_along_axis(logits, label[..., None], axis=-1)[..., 0]
    losses = np.where(real, np.log(np.exp(logits).sum(axis=-1)) - of_label, 0.0)
    none = np.zeros(len(label), np.bool_)
    return ModelAnswers(
        answer=whole.same(label, ids, pad_id).astype(np.int8),
        probability=of_answer,
        loss=losses.sum(axis=-1),
        rank=np.zeros(len(label), np.int8),
        positive=np.full(len(label), np.nan),
        unreadable=none if unreadable is None else unreadable,
        unknown=none if unknown is None else unknown,
        positions=real.sum(axis=-1),
        right_positions=((ids == label) & real).sum(axis=-1),
        first=(ids[:, 0] == label[:, 0]).astype(np.int8),
        edits=whole.edit_distance(label, ids, pad_id),
        classes=no_classes(len(label)),
    )


class WholeBaselines:
    """Baselines for each position of the answer, which know nothing of the other positions.

    Args:
      batches: training rows, with labels [rows, positions].
      size: of the vocabulary.
      positions: of the answer.
      pad_id: the padding, which ends an answer.
      linear: whether to fit the linear models, too.
    """

    positive = None

    def __init__(
        self, batches: Iterable[Batch], size: int, *, positions: int, pad_id: int, linear: bool
    ) -> None:
        self._positions = [Baselines([], size, linear=linear) for _ in range(positions)]
        for batch in batches:
            real = whole.real_positions(batch.label, pad_id)
            for place, baselines in enumerate(self._positions):
                which = real[:, place]
                baselines.add(Batch(batch.counts[which], batch.label[which, place]))
        for baselines in self._positions:
            baselines.fit()

    def logits(self, counts: scipy.sparse.csr_matrix) -> dict[str, NDArray[np.float64]]:
        """Each baseline's logarithms of probabilities, [rows, positions, vocabulary]."""
        found = [baselines.logits(counts) for baselines in self._positions]
        # Where a position always holds the same id, there is nothing to fit.
        names = dict.fromkeys(name for one in found for name in one)
        return {name: np.stack([one.get(name, one[MAJORITY]) for one in found], axis=1) for name in names}
