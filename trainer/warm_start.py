"""Starts a training from the weights of an earlier model, whose symbols may have other ids."""

import json
import tempfile
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import keras
import numpy as np
import tensorflow as tf

from maskline.trainer.model import EMBEDDING, LOGITS
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec
from maskline.transform.names import IDENTITY_FILE, KERAS_FILE

_ADVICE = "set training.warm_start=false"


class Predecessor(NamedTuple):
    """The model to start from.

    Attributes:
      file: its Keras file, on any file system that TensorFlow reads.
      spec: the features and symbols that it was trained on.
    """

    file: str
    spec: SequenceSpec

    @classmethod
    def of_export(cls, saved_model: str) -> Self:
        """Reads an exported model's features and symbols."""
        with tf.io.gfile.GFile(f"{saved_model}/{IDENTITY_FILE}") as file:
            spec = SequenceSpec.of_export(json.loads(file.read())["sequence"])
        return cls(f"{saved_model}/{KERAS_FILE}", spec)


def take_weights(model: keras.Model, predecessor: Predecessor, spec: SequenceSpec) -> None:
    """Sets the weights of `model` to those of an earlier model.

    Weights that belong to a symbol follow it: if a symbol has another id today, so have its weights. A symbol
    that the earlier model does not know keeps its initial weights.

    Args:
      model: from `build_model`; its weights are replaced.
      predecessor: the earlier model.
      spec: the features and symbols of `model`.

    Raises:
      InputError: the earlier model was trained on other features, with other roles of symbols or for another
        kind of task, has other layers or sizes, or has no Keras file.
    """
    theirs = predecessor.spec
    for name in ("features", "label", "separator", "padding", "numeric"):
        if getattr(theirs, name) != getattr(spec, name):
            raise InputError(
                f"training.warm_start: the live model was trained with another sequence.{name} "
                f"({_listed(getattr(theirs, name))}, now {_listed(getattr(spec, name))}); {_ADVICE}"
            )
    if theirs.task.kind != spec.task.kind:
        raise InputError(
            "training.warm_start: the live model was trained with another task.kind "
            f"({theirs.task.kind}, now {spec.task.kind}); {_ADVICE}"
        )
    earlier = _load(predecessor.file)
    names = [name.partition("/")[0] for name in (variable.path for variable in model.weights)]
    if not {EMBEDDING, LOGITS} <= set(names) and (theirs.ids, theirs.answers) != (spec.ids, spec.answers):
        raise InputError(
            "training.warm_start: the symbols or classes are others than those of the live model, and which "
            f"weights of a model of model.build belong to them is not known; {_ADVICE}"
        )
    symbols, answers = _Moves(spec.ids, theirs.ids), _Moves(spec.answer_ids, theirs.answer_ids)
    try:
        weights = [
            _moved(new, old, answers if axis == -1 else symbols, axis=axis)
            for (new, axis), (old, _) in zip(_by_symbol(model), _by_symbol(earlier), strict=True)
        ]
        model.set_weights(weights)
    except ValueError:
        raise InputError(
            "training.warm_start: the live model has other layers or sizes than `model` asks for; "
            f"{_ADVICE}, or model as it was"
        ) from None


def _load(file: str) -> keras.Model:
    try:
        with tempfile.TemporaryDirectory() as local:  # Keras reads from this machine only
            tf.io.gfile.copy(file, f"{local}/model.keras")
            return keras.saving.load_model(f"{local}/model.keras", compile=False)
    except (ValueError, TypeError, tf.errors.NotFoundError):
        raise InputError(
            f"training.warm_start: the Keras file of the live model is missing or cannot be read; {_ADVICE}"
        ) from None


def _by_symbol(model: keras.Model) -> list[tuple[Any, int | None]]:
    """The weights in their order, each with the axis that symbols (0) or answers (-1) are on, or None."""
    found: list[tuple[Any, int | None]] = []
    for variable in model.weights:
        layer, _, name = variable.path.rpartition("/")
        axis = None
        if layer == EMBEDDING and name == "table":
            axis = 0
        elif layer == LOGITS:
            axis = -1
        found.append((variable.numpy(), axis))
    return found


class _Moves:
    """Where the weights of each name go that both models know: from its id in one to its id in the other."""

    def __init__(self, ours: Mapping[str, int], theirs: Mapping[str, int]) -> None:
        known = [name for name in ours if name in theirs]
        self.ours, self.theirs = [ours[name] for name in known], [theirs[name] for name in known]
        self.sizes = len(ours), len(theirs)


def _moved(new: Any, old: Any, moves: _Moves, *, axis: int | None) -> Any:
    if axis is None:
        return old
    if (new.shape[axis], old.shape[axis]) != moves.sizes:
        raise ValueError("the axis does not have the size of the vocabulary")
    moved = np.moveaxis(new.copy(), axis, 0)
    moved[moves.ours] = np.moveaxis(old, axis, 0)[moves.theirs]
    return np.moveaxis(moved, 0, axis)


def _listed(names: str | tuple[str, ...] | Mapping[str, int]) -> str:
    if isinstance(names, Mapping):
        return ", ".join(f"{name}: {length}" for name, length in names.items()) or "none"
    return ", ".join(f"'{name}'" for name in ((names,) if isinstance(names, str) else names))
