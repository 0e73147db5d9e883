"""Runs a Keras model operation by operation, and records the inputs and outputs of each."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops, tree

# Private, as Keras 3 has no public names for them: a mask is an attribute of its tensor, and only Functional
# can run its graph one operation at a time.
from keras.src.backend import get_keras_mask, set_keras_mask
from keras.src.models.functional import Functional

from maskline.trainer.padding import Array


class Call(NamedTuple):
    """One operation of a run.

    Attributes:
      name: the layer's name, with the names of the enclosing models before it, as in "encoder/reshape".
      layer_type: the name of its class.
      inputs: its input tensors.
      outputs: its output tensors.
      masks: for each output, its Keras mask as an array, or None.
    """

    name: str
    layer_type: str
    inputs: list[Any]
    outputs: list[Any]
    masks: list[Array | None]


class Walk(NamedTuple):
    """A run of a model.

    Attributes:
      outputs: the model's outputs as a flat list; None if an operation failed.
      calls: its operations in their order; empty for a model that overrides `call`.
      same: maps the `id` of a tensor that is a copy to the `id` of its original.
    """

    outputs: list[Any] | None
    calls: list[Call]
    same: dict[int, int]

    def mask_of(self, tensor: Any) -> Array | None:
        """Returns the Keras mask that a tensor was made with; attention later removes those of its inputs."""
        for call in self.calls:
            for output, mask in zip(call.outputs, call.masks, strict=True):
                if output is tensor and mask is not None:
                    return mask
        return fitting_mask(tensor)


def walk_model(
    model: keras.Model,
    inputs: Any,
    *,
    weights: Sequence[tuple[Any, Any]] = (),
    like: Walk | None = None,
    replaced: Mapping[int, Sequence[Any]] | None = None,
) -> Walk:
    """Runs a model in inference mode, without changing its state or the inputs.

    Args:
      model: any model; a functional or sequential one is run operation by operation.
      inputs: the model's inputs.
      weights: variables, with the values to use instead of theirs.
      like: an earlier run on inputs of the same shapes. Its Keras masks and all its boolean tensors are used
        again, so that changed values of padding remain padding.
      replaced: maps the number of an operation in the run to outputs to use instead of its own.
    """
    walk = _Walk(like, replaced or {})
    with _quiet(), keras.StatelessScope(state_mapping=list(weights)):
        if (graph := graph_of(model)) is None:
            return Walk(tensors(model(inputs, training=False)), [], {})
        try:
            outputs = tensors(walk.through(graph, inputs))
        except Exception:  # an operation may raise anything on rows of a length that it does not support
            if like is not None or replaced:
                raise
            outputs = None
    return Walk(outputs, walk.calls, walk.same)


def build(model: keras.Model, inputs: Any) -> None:
    """Creates the model's variables if they do not exist yet."""
    if not model.built:
        with _quiet():
            model(inputs, training=False)


def graph_of(op: Any) -> Any:
    """Returns the graph of a functional or sequential model, and None for any other operation."""
    # Only if `call` is Keras' own: an overridden one may do more than run the graph.
    graph = op._functional if type(op).call is keras.Sequential.call else op
    return graph if isinstance(graph, Functional) and type(graph).call is Functional.call else None


def tensors(values: Any) -> list[Any]:
    """Returns all tensors in a structure."""
    return [x for x in tree.flatten(values) if ops.is_tensor(x)]


def array(x: Any) -> Array:
    """Returns a tensor's values; floats of any precision as float64."""
    floating = keras.backend.is_float_dtype(keras.backend.standardize_dtype(x.dtype))
    return np.asarray(ops.convert_to_numpy(x), "float64" if floating else None)


def fitting_mask(x: Any) -> Array | None:
    """Returns the Keras mask of a tensor if its shape is that of the tensor's leading axes."""
    mask = get_keras_mask(x)
    if mask is None or tuple(mask.shape) != tuple(x.shape)[: len(mask.shape)]:
        return None
    return array(mask).astype(bool)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        # Keras warns of a lost mask at every call, also where it does no harm. Findings report it instead.
        warnings.filterwarnings("ignore", "Layer .* destroy the mask information", UserWarning)
        yield


class _Walk:
    """One run through a graph."""

    def __init__(self, like: Walk | None, replaced: Mapping[int, Sequence[Any]]) -> None:
        self.like, self.replaced = like, replaced
        self.calls: list[Call] = []
        self.same: dict[int, int] = {}
        self.kept: list[Any] = []  # keeps tensors alive, so that no two of them have the same `id`

    def through(self, graph: Any, inputs: Any, mask: Any = None, path: str = "") -> Any:
        # Functional.call does the same: it sets masks again because a cast loses them.
        given = tensors(inputs)
        masks = tree.flatten(tree.map_structure(get_keras_mask, inputs) if mask is None else mask)
        inputs = graph._standardize_inputs(inputs)
        if not path:  # Copies: a layer that returns its input would set its mask on the caller's tensors.
            inputs = [x if x is None else ops.copy(x) for x in inputs]
        for x, its_mask in zip(inputs, masks, strict=False):
            if its_mask is not None:
                set_keras_mask(x, its_mask)
        present = [x for x in inputs if x is not None]
        self.kept += present
        if len(present) == len(given):
            self.same |= {
                id(x): self.same.get(id(y), id(y)) for x, y in zip(present, given, strict=True) if x is not y
            }
        return graph._run_through_graph(inputs, operation_fn=lambda op: partial(self.visit, path, op))

    def visit(self, path: str, op: Any, *args: Any, **kwargs: Any) -> Any:
        if (graph := graph_of(op)) is not None:
            given = kwargs.pop("inputs") if "inputs" in kwargs else args[0]
            return self.through(graph, given, kwargs.get("mask"), f"{path}{op.name}/")
        if "training" in getattr(op, "_call_context_args", ()):
            kwargs["training"] = False
        given = tensors((args, kwargs))
        outputs = op(*args, **kwargs)
        flat, number = tree.flatten(outputs), len(self.calls)
        if number in self.replaced:
            flat = list(self.replaced[number])
        if self.like is not None:
            before = self.like.calls[number]
            flat = [
                old if keras.backend.standardize_dtype(old.dtype) == "bool" else new
                for new, old in zip(flat, before.outputs, strict=True)
            ]
            masks = before.masks
            for x, mask in zip(flat, masks, strict=True):
                if mask is not None:
                    set_keras_mask(x, ops.convert_to_tensor(mask))
        else:
            masks = [fitting_mask(x) for x in flat]
        self.calls.append(Call(path + op.name, type(op).__name__, given, flat, masks))
        return tree.pack_sequence_as(outputs, flat)
