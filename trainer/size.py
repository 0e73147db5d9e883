"""Computes a model's parameters and the memory of training from the settings alone. No TensorFlow."""

from itertools import pairwise

from maskline.trainer.settings import TrainerSettings, answer_places, exchange_weights, first_units
from maskline.transform.features import SequenceSpec

_FLOAT = 4  # bytes
_COPIES = 4  # of each parameter: itself, its gradient, and Adam's two moments
_AT_ONCE = 400_000  # values of the layer that has most; with it, cache of 1 MB a core took the least time
_PASSES = 2  # the activations that the forward pass keeps, and the gradients of the backward pass


def parameters(spec: SequenceSpec, settings: TrainerSettings) -> int:
    """Counts the parameters of the model that `maskline.trainer.model.build_model` builds.

    Of a model of the user's own (`model.build`), nothing is known before it is built: 0.
    """
    if settings.model.build:
        return 0
    model, width = settings.model, settings.model.width
    count = width * (spec.size_at_most + (spec.length if model.any_length else 0))
    if model.kernel:
        count += model.kernel * width**2 + width
    count += 2 * width if model.normalize else 0
    count += 3 * width**2
    if spec.task.kind == "whole":
        pooled, places = model.queries * width, answer_places(spec)
        # Queries and vectors of each place, the layer that gathers, and the exchange of places.
        count += 2 * places * pooled + (pooled + 1) * width + exchange_weights(spec, model) + width
    elif spec.task.kind != "each":
        count += model.queries * width
    units = (first_units(spec, model), *model.hidden, len(spec.answers))
    return count + sum((inputs + 1) * outputs for inputs, outputs in pairwise(units))


def parts_of_batch(spec: SequenceSpec, settings: TrainerSettings, rows: int, length: int | None) -> int:
    """Returns into how many equal parts a batch is best divided, so that the cache holds what a part needs.

    A user's own model gets its batches whole, as it may look at all rows of a batch. So does a model that has
    more weights than a part has values, as the gradients of the parts have to be added.

    Args:
      spec: the task.
      settings: of the model.
      rows: in a batch.
      length: of these rows; None where the graph serves buckets of several lengths.
    """
    model, length = settings.model, length or spec.length
    if model.build or parameters(spec, settings) > _AT_ONCE:
        return 1
    fitting = _AT_ONCE // (length * max(model.kernel * model.width, model.width, length))
    number = next(n for n in range(1, rows + 1) if rows % n == 0 and rows // n <= max(1, fitting))
    # A number of rows that few others divide is left alone: small parts are slow again.
    return number if rows // number * 4 >= fitting else 1


def memory(spec: SequenceSpec, settings: TrainerSettings) -> int:
    """Estimates the least bytes that training takes, for the parameters and for one batch's activations."""
    if settings.model.build:
        return 0
    model, rows = settings.model, settings.training.batch_size
    rows //= parts_of_batch(spec, settings, rows, spec.length)
    positions = answer_places(spec) if spec.task.kind == "whole" else spec.positions
    outputs = (sum(model.hidden) + len(spec.answers)) * positions
    row = spec.length * (4 * model.width + spec.length) + outputs
    row += 2 * positions**2 if spec.task.kind == "whole" else 0  # their reading
    return _FLOAT * (_COPIES * parameters(spec, settings) + _PASSES * rows * row)
