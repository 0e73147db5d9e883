"""Finds the layers of any Keras graph model that let padding through. Trains nothing, changes nothing."""

import inspect
import warnings
from functools import partial
from itertools import chain, repeat
from typing import Any, Literal, NamedTuple

import keras
import numpy as np
from keras import ops, tree

# Private, as Keras 3 gives them no public name: a mask is an attribute of the tensor that it speaks of, and
# Functional alone can run its graph one operation at a time.
from keras.src.backend import get_keras_mask, set_keras_mask
from keras.src.models.functional import Functional

DROPPED = "drops the mask, and what stands in padding goes on: zero it first, or use a layer that heeds masks"
LEAKS = "keeps the mask, yet padding reaches real positions: mask the keys, or zero padding before they mix"


class MaskFinding(NamedTuple):
    """One layer that lets padding through; as text, one line that says what happens and what to do.

    `layer` is its name after those of the models around it, as in "encoder/reshape". `kind` is "dropped"
    where the output has no mask and depends on masked positions, "leaks" where it has one and real positions
    of it do. `layer_type` is the class of the layer or operation.
    """

    layer: str
    kind: Literal["dropped", "leaks"]
    layer_type: str

    def __str__(self) -> str:
        return f"layer '{self.layer}' ({self.layer_type}) {DROPPED if self.kind == 'dropped' else LEAKS}"


def mask_findings(model: keras.Model, inputs: Any) -> list[MaskFinding]:
    """Names the layers at which what stands in padding goes on.

    Runs the model in inference, one layer at a time, and calls each layer that receives a mask again with
    loud noise in masked floats and real ids in masked integers. What changes, without being masked in the
    output, is a finding; the layers after it get the original values. Not judged: a layer whose masks are
    all true on this sample, and a boolean output, which is taken for a mask in the making. Weights of zero
    hide what goes through them; random numbers that are not from Keras' generators look like a change.

    Examples:
      >>> ids = keras.Input((4,), dtype="int32")
      >>> vectors = keras.layers.Embedding(9, 3, mask_zero=True)(ids)
      >>> model = keras.Model(ids, keras.ops.mean(vectors, axis=1))
      >>> [(finding.kind, finding.layer_type) for finding in mask_findings(model, np.array([[5, 2, 0, 0]]))]
      [('dropped', 'Mean')]

    Args:
      model: functional or sequential; such models inside it are walked too, any other is one layer.
      inputs: a sample with padding, in the structure, shapes and dtypes that the model accepts.

    Returns:
      one finding for each layer and kind, in the order of the run.

    Raises:
      TypeError: the model has a `call` of its own, so that its layers cannot be run one by one.
      ValueError: no mask appears, or none has both padding and real positions.
    """
    walk = _Walk()
    with warnings.catch_warnings():
        # Keras warns of a lost mask at every call, also where it does no harm: a finding says it better.
        warnings.filterwarnings("ignore", "Layer .* destroy the mask information", UserWarning)
        if isinstance(model, keras.Sequential) and not model.built:
            model(inputs)
        if (graph := _graph_of(model)) is None:
            raise TypeError(f"model '{model.name}' is neither functional nor sequential: pass one that is")
        walk.run(graph, inputs)
    if not walk.masks:
        raise ValueError(f"model '{model.name}' makes no mask: give a sample with padding to one that does")
    if not any(mask.any() and not mask.all() for mask in walk.masks):
        raise ValueError(f"model '{model.name}' masks nothing here, or all: give a sample with padding")
    return list(dict.fromkeys(walk.findings))


class _Walk:
    """One run through a model: what it found, the masks that it met, and by id the tensors that had one."""

    def __init__(self) -> None:
        self.findings: list[MaskFinding] = []
        self.masks: list[Any] = []
        self.masked: dict[int, tuple[Any, Any]] = {}
        self.random = np.random.default_rng(0)

    def run(self, graph: Any, inputs: Any, mask: Any = None, path: str = "") -> Any:
        # As Functional.call does, which sets masks anew because a cast loses them.
        masks = tree.flatten(tree.map_structure(get_keras_mask, inputs) if mask is None else mask)
        inputs = graph._standardize_inputs(inputs)
        if not path:  # The caller's tensors: a layer that returns its input would put its mask on them.
            inputs = [x if x is None else ops.copy(x) for x in inputs]
        for x, given in zip(inputs, masks, strict=False):
            if given is not None:
                set_keras_mask(x, given)
        return graph._run_through_graph(inputs, operation_fn=lambda op: partial(self.visit, path, op))

    def visit(self, path: str, op: Any, *args: Any, **kwargs: Any) -> Any:
        given = inspect.signature(op.call).bind(*args, **kwargs).arguments
        if (graph := _graph_of(op)) is not None:
            return self.run(graph, given["inputs"], given.get("mask"), f"{path}{op.name}/")
        if "training" in getattr(op, "_call_context_args", ()):
            kwargs["training"] = False
        masks = self.masks_of(given)
        # Noise first: MultiHeadAttention takes the masks off its inputs. Both signs: a maximum hides one.
        noisy = [self.noisy_call(op, args, kwargs, masks, sign) for sign in (1, -1) if masks]
        with keras.StatelessScope():
            outputs = op(*args, **kwargs)
        for place, output in enumerate(_tensors(outputs)):
            mask, values = self.own_mask(output), _array(output)
            judged = mask is not None or values.dtype != bool
            if judged and any(_changed(values, other[place], mask) for other in noisy):
                kind: Literal["dropped", "leaks"] = "dropped" if mask is None else "leaks"
                self.findings.append(MaskFinding(path + op.name, kind, type(op).__name__))
        return outputs

    def masks_of(self, given: dict[str, Any]) -> dict[int, Any]:
        # By tensor id. A mask that is an argument of the call goes before the tensor's own.
        found = {}
        for place, (name, value) in enumerate(given.items()):
            masks = tree.flatten(given.get(f"{name}_mask", None if place else given.get("mask")))
            for x, mask in zip(tree.flatten(value), chain(masks, repeat(None)), strict=False):
                mask = self.own_mask(x) if mask is None else self.fitting(mask, x)
                if mask is not None:
                    found[id(x)] = mask
        return found

    def own_mask(self, x: Any) -> Any:
        mask = self.fitting(get_keras_mask(x), x)
        if mask is not None:
            self.masked[id(x)] = x, mask
        # Also where an earlier layer took it off: what is masked stays so, for all who read it.
        return self.masked.get(id(x), (x, None))[1]

    def fitting(self, mask: Any, x: Any) -> Any:
        if mask is None or tuple(mask.shape) != tuple(x.shape)[: len(mask.shape)]:
            return None
        self.masks.append(_array(mask).astype(bool))
        return self.masks[-1]

    def noisy_call(self, op: Any, args: Any, kwargs: Any, masks: dict[int, Any], sign: int) -> list[Any]:
        swaps = {}
        for x in _tensors((args, kwargs)):
            swaps[id(x)] = self.noisy(x, masks[id(x)], sign) if id(x) in masks else ops.copy(x)
            set_keras_mask(swaps[id(x)], get_keras_mask(x))
        args, kwargs = tree.map_structure(lambda x: swaps.get(id(x), x), (args, kwargs))
        # Each call starts from the model's own state, random generators among it, and leaves that as it was.
        with keras.StatelessScope():
            return [_array(output) for output in _tensors(op(*args, **kwargs))]

    def noisy(self, x: Any, mask: Any, sign: int) -> Any:
        values = _array(x).copy()
        real, padding = values[mask], values[~mask]
        if values.dtype == "float64":
            # Loud, yet such that float16 can hold sums of it.
            scale = 100 * np.abs(real).max(initial=1, where=np.isfinite(real))
            values[~mask] = sign * scale * self.random.uniform(1, 2, padding.shape)
        elif real.size:
            values[~mask] = self.random.choice(real.ravel(), padding.shape)
        return ops.convert_to_tensor(values, x.dtype)


def _graph_of(op: Any) -> Any:
    # Only where `call` is Keras' own: one that is overridden may do more than run the graph.
    graph = op._functional if type(op).call is keras.Sequential.call else op
    return graph if isinstance(graph, Functional) and type(graph).call is Functional.call else None


def _tensors(values: Any) -> list[Any]:
    return [x for x in tree.flatten(values) if ops.is_tensor(x)]


def _array(x: Any) -> Any:
    return np.asarray(ops.convert_to_numpy(x), "float64" if keras.backend.is_float_dtype(x.dtype) else None)


def _changed(output: Any, noisy: Any, mask: Any) -> bool:
    if mask is not None:
        output, noisy = output[mask], noisy[mask]
    if output.shape != noisy.shape or output.dtype != "float64":
        return not np.array_equal(output, noisy)
    # Rounding is no change; NaN where a number was is one.
    rounding = 1e-5 * np.abs(output).max(initial=0, where=np.isfinite(output))
    return not np.isclose(noisy, output, rtol=0, atol=rounding, equal_nan=True).all()
