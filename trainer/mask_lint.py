"""Judges whether padding reaches the answers of a Keras model, and names the layers that let it through.

The verdict comes from the whole model: what stands in padding is changed, padding is taken away, and the real
outputs are compared. The walk through the layers only names the place. Trains nothing, changes nothing.
"""

from typing import Any, NamedTuple

import keras

from maskline.trainer.mask_finding import MaskFinding
from maskline.trainer.mask_trials import Trials
from maskline.trainer.mask_walk import build, graph_of, run
from maskline.trainer.padding import sample_of

__all__ = ["MaskFinding", "MaskReport", "mask_findings", "mask_report"]


class MaskReport(NamedTuple):
    """What padding does in a model.

    Attributes:
      findings: places from which it reaches an answer.
      notes: places that let it through, though it reaches no answer: information, nothing to fix.
    """

    findings: list[MaskFinding]
    notes: list[MaskFinding]


def mask_findings(model: keras.Model, inputs: Any, padding_id: float | None = None) -> list[MaskFinding]:
    """Names the places from which padding reaches an answer; see `mask_report`.

    Examples:
      >>> ids = keras.Input((4,), dtype="int32")
      >>> vectors = keras.layers.Embedding(9, 3, mask_zero=True)(ids)
      >>> model = keras.Model(ids, keras.ops.mean(vectors, axis=1))
      >>> [(found.kind, found.layer_type) for found in mask_findings(model, keras.ops.array([[5, 2, 0, 0]]))]
      [('dropped', 'Mean')]
    """
    return mask_report(model, inputs, padding_id).findings


def mask_report(model: keras.Model, inputs: Any, padding_id: float | None = None) -> MaskReport:
    """Judges whether padding reaches an answer, by three trials on the whole model, in inference.

    1. The embeddings of padding ids become loud noise of either sign: in each weight [n, d] whose rows belong
       to ids, the rows of the padding ids. Answers to rows without padding tell such a weight from others.
    2. Where there is no such weight, the inputs are changed at padding, and all masks are kept.
    3. Rows are asked alone, with and without the padding at their end. A model for rows of one length is
       taken as far as its layers go.

    Answers are compared at real positions where they have positions, and as a whole where they have none.
    Weights of zero hide what goes through them. Random numbers that are not from Keras' generators look like
    a change.

    Args:
      model: any Keras model. Layers are named in functional and sequential ones, and in such models inside
        them; any other is one place.
      inputs: a sample with padding, in the structure, shapes and dtypes that the model accepts.
      padding_id: the id, or in each feature the number, that is padding. By default it is found: by a mask
        among the inputs (boolean, or with "mask" in its name), by the masks that the model makes, or zero.

    Returns:
      findings and notes, one for each place and kind, in the order of the run.

    Raises:
      ValueError: the sample has no padding, or nothing else.
    """
    build(model, inputs)
    clean = run(model, inputs)
    made = [mask for call in clean.calls for mask in call.masks if mask is not None]
    sample = sample_of(inputs, _names(model, inputs), made, padding_id)
    clean = run(model, sample.packed())
    trials = Trials(model, sample, clean, _precision(model))
    if not (findings := trials.findings()):
        return MaskReport([], trials.notes())
    masked = made or any(sample.is_mask) or any(_is_bool(x) for call in clean.calls for x in call.outputs)
    if not masked and not (graph_of(model) is None and _has_masks(model)):
        findings = [MaskFinding(model.name, "unmasked", type(model).__name__)]
    return MaskReport(findings, [note for note in trials.notes() if note not in findings])


def _names(model: keras.Model, inputs: Any) -> list[str]:
    paths = [".".join(map(str, path)) for path, _ in keras.tree.flatten_with_path(inputs)]
    graph = graph_of(model)
    names = [x.name for x in graph.inputs] if graph is not None and not isinstance(inputs, dict) else paths
    return names if len(names) == len(paths) else paths


def _precision(model: keras.Model) -> str:
    """The coarsest of the layers' compute dtypes."""
    dtypes = {layer.compute_dtype for layer in model._flatten_layers()}
    return next((dtype for dtype in ("bfloat16", "float16") if dtype in dtypes), "float32")


def _has_masks(model: keras.Model) -> bool:
    return any(
        getattr(layer, "mask_zero", False) or isinstance(layer, keras.layers.Masking)
        for layer in model._flatten_layers()
    )


def _is_bool(x: Any) -> bool:
    return keras.backend.standardize_dtype(x.dtype) == "bool" and len(x.shape) > 1
