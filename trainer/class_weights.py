"""How much a row, or a label of its ids, counts in the loss, by its class. Plain numpy; no TensorFlow."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from maskline.transform.features import SequenceSpec

_AT_ONCE = 1 << 20  # labels in memory at a time


def class_weights(
    labels: NDArray[np.integer], spec: SequenceSpec, chosen: str | Mapping[str, float]
) -> NDArray[np.float32] | None:
    """The weight of each class.

    Args:
      labels: [rows] ids of the classes of the training rows, or [rows, positions] where each id of a row has
        one; see `SequenceSpec.no_label`.
      spec: with the classes.
      chosen: `none`; `balanced`, by which rows / (classes with rows * rows of the class) makes all classes
        count the same (King and Zeng, 2001, "Logistic Regression in Rare Events Data"); or weights by class,
        where a class that is not named counts 1.

    Returns:
      [classes] float32, or None where every row counts 1.
    """
    if chosen == "none":
        return None
    if isinstance(chosen, Mapping):
        return np.array([chosen.get(name, 1.0) for name in spec.answers], np.float32)
    counted = np.zeros(len(spec.answers) + 1, np.int64)
    step = max(1, _AT_ONCE // spec.positions)
    for start in range(0, len(labels), step):
        counted += np.bincount(labels[start : start + step].ravel(), minlength=len(counted))
    rows = counted[:-1]  # what stands where no label is, comes last
    return np.where(rows > 0, rows.sum() / (max(1, (rows > 0).sum()) * np.maximum(rows, 1)), 1.0).astype(
        np.float32
    )
