"""Finds out whether padding changes the outputs of a Keras model, and names the layers responsible.

The verdict comes from the whole model: it changes the values of padding, removes padding, and compares the
real outputs. The walk through the layers only names the place. It neither trains nor changes the model.
"""

from typing import Any, NamedTuple

import keras

from maskline.trainer.mask_finding import MaskFinding
from maskline.trainer.mask_trials import Trials
from maskline.trainer.mask_walk import build, graph_of, walk_model
from maskline.trainer.padding import sample_of

__all__ = ["MaskFinding", "MaskReport", "mask_findings", "mask_report"]


class MaskReport(NamedTuple):
    """What padding does in a model.

    Attributes:
      findings: layers from which it reaches an output.
      notes: layers that let it through although it reaches no output. There is nothing to fix.
    """

    findings: list[MaskFinding]
    notes: list[MaskFinding]


def mask_findings(model: keras.Model, inputs: Any, padding_id: float | None = None) -> list[MaskFinding]:
    """Names the layers from which padding reaches an output; see `mask_report`.

    Examples:
      >>> ids = keras.Input((4,), dtype="int32")
      >>> vectors = keras.layers.Embedding(9, 3, mask_zero=True)(ids)
      >>> model = keras.Model(ids, keras.ops.mean(vectors, axis=1))
      >>> [(found.kind, found.layer_type) for found in mask_findings(model, keras.ops.array([[5, 2, 0, 0]]))]
      [('dropped', 'Mean')]
    """
    return mask_report(model, inputs, padding_id).findings


def mask_report(model: keras.Model, inputs: Any, padding_id: float | None = None) -> MaskReport:
    """Finds out whether padding reaches an output, by experiments on the whole model in inference mode.

    1. It replaces the embeddings of the padding ids by strong noise, positive and negative. A weight [n, d]
       is an embedding of ids if outputs for rows without padding depend on the rows of the real ids only.
    2. If there is no such weight, it changes the inputs at padding and keeps all masks.
    3. It runs single rows with and without the padding at their end. If the model takes rows of one length
       only, this goes as far as its layers accept the shorter row.

    It compares outputs at real positions if they have positions, and as a whole if they have none. A weight
    of zero hides what passes through it. Random numbers that do not come from Keras' generators look like a
    change.

    Args:
      model: any Keras model. Layers are named in functional and sequential models, also where these are
        nested; any other model counts as one layer.
      inputs: a sample with padding, in the structure, shapes and dtypes that the model accepts.
      padding_id: the id, or the number in each feature, that is padding. By default it is found: from a mask
        among the inputs (boolean, or with "mask" in its name), from the masks that the model makes, or zero.

    Returns:
      findings and notes, one for each layer and kind, in the order of execution.

    Raises:
      ValueError: the sample contains no padding, or only padding.
    """
    build(model, inputs)
    clean = walk_model(model, inputs)
    made = [mask for call in clean.calls for mask in call.masks if mask is not None]
    sample = sample_of(inputs, _names(model, inputs), made, padding_id)
    clean = walk_model(model, sample.packed())
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
    """Returns the least precise of the layers' compute dtypes."""
    dtypes = {layer.compute_dtype for layer in model._flatten_layers()}
    return next((dtype for dtype in ("bfloat16", "float16") if dtype in dtypes), "float32")


def _has_masks(model: keras.Model) -> bool:
    return any(
        getattr(layer, "mask_zero", False) or isinstance(layer, keras.layers.Masking)
        for layer in model._flatten_layers()
    )


def _is_bool(x: Any) -> bool:
    return keras.backend.standardize_dtype(x.dtype) == "bool" and len(x.shape) > 1
