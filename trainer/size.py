"""Counts a model's parameters and the memory of training from the settings alone. No TensorFlow."""

from itertools import pairwise

from maskline.trainer.settings import TrainerSettings
from maskline.transform.features import SequenceSpec

_FLOAT = 4  # bytes
_COPIES = 4  # of each parameter: itself, its gradient, and Adam's two moments
_PASSES = 2  # what the forward pass keeps for the backward pass, and the backward pass's own


def parameters(spec: SequenceSpec, settings: TrainerSettings) -> int:
    """How many parameters `maskline.trainer.model.build_model` makes."""
    model, width = settings.model, settings.model.width
    count = width * (spec.size + (spec.length if model.any_length else 0))
    if model.kernel:
        count += model.kernel * width**2 + width
    count += 2 * width if model.normalize else 0
    count += 3 * width**2
    count += model.queries * width
    units = (width * (model.queries or spec.length), *model.hidden, spec.size)
    return count + sum((inputs + 1) * outputs for inputs, outputs in pairwise(units))


def memory(spec: SequenceSpec, settings: TrainerSettings) -> int:
    """Bytes that training takes at least: its parameters, and what one batch is made into."""
    model, rows = settings.model, settings.training.batch_size
    row = spec.length * (4 * model.width + spec.length) + sum(model.hidden) + spec.size
    return _FLOAT * (_COPIES * parameters(spec, settings) + _PASSES * rows * row)
