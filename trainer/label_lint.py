"""Finds out which losses and metrics of a compiled Keras model read labels where they are padded.

A mask that ends before the loss protects nothing: padding then counts as rows or positions that are right
or wrong. The verdict comes from the model itself: labels are changed at padding, and figures are compared.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np

__all__ = ["LabelFinding", "label_findings"]

_SAME = 1e-6  # how far figures may differ, relative to one plus their size


class LabelFinding(NamedTuple):
    """A loss or metric that reads padded labels. `str` gives one line that says what to do.

    `name` is what Keras calls it, `before` its value on the labels as given, `after` on those with other
    values at padding.
    """

    name: str
    before: float
    after: float

    def __str__(self) -> str:
        return (
            f"'{self.name}' reads labels at padding: it is {self.before:.4g}, and {self.after:.4g} with "
            "other values there; give sample weights of zero at padding, and metrics as weighted_metrics, or "
            "outputs with a mask"
        )


def label_findings(
    model: keras.Model,
    inputs: Any,
    labels: Any,
    padding: Any,
    *,
    sample_weight: Any = None,
) -> list[LabelFinding]:
    """Names the losses and metrics that change with what stands in padded labels.

    It evaluates the model as Keras does, in one batch: once with the labels as they are, and then with each
    of up to four other values that occur in them at padding. It neither trains nor changes the model;
    metrics are reset.

    Args:
      model: compiled, with one output.
      inputs: a batch, as the model takes it.
      labels: of that batch, an array of ids or numbers.
      padding: boolean, with the shape of `labels` or its first axes; true at padding.
      sample_weight: as training gives it.

    Returns:
      findings, that of the loss first.

    Raises:
      ValueError: the model is not compiled, or the labels have no padding or nothing else.

    Examples:
      >>> model = keras.Sequential([keras.Input((3, 2)), keras.layers.Dense(4)])
      >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
      >>> model.compile(loss=loss, weighted_metrics=["accuracy"])
      >>> x, labels = np.ones((2, 3, 2)), np.array([[1, 2, 0], [3, 0, 0]])
      >>> [found.name for found in label_findings(model, x, labels, labels == 0)]
      ['loss', 'accuracy']
      >>> label_findings(model, x, labels, labels == 0, sample_weight=(labels != 0).astype("float32"))
      []
    """
    if not model.compiled:
        raise ValueError("the model is not compiled: it has neither loss nor metrics")
    labels, padding = np.asarray(labels), np.asarray(padding, bool)
    if padding.all() or not padding.any():
        raise ValueError("the labels hold no padding, or nothing else: give a batch with both")
    before = _measured(model, inputs, labels, sample_weight)
    found: dict[str, LabelFinding] = {}
    for value in np.unique(labels[~padding])[:4]:
        changed = labels.copy()
        changed[padding] = value
        for name, after in _measured(model, inputs, changed, sample_weight).items():
            if not abs(after - before[name]) <= _SAME * (1 + abs(before[name])):
                found.setdefault(name, LabelFinding(name, before[name], after))
    return sorted(found.values(), key=lambda finding: finding.name != "loss")


def _measured(model: keras.Model, inputs: Any, labels: Any, weights: Any) -> Mapping[str, float]:
    measured = model.evaluate(
        inputs, labels, sample_weight=weights, batch_size=len(labels), verbose=0, return_dict=True
    )
    return {name: float(value) for name, value in measured.items()}
