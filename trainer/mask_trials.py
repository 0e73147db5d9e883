"""Experiments that show whether padding reaches an output of a model, and at which layer."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from maskline.trainer.mask_finding import MaskFinding
from maskline.trainer.mask_walk import Call, Walk, array, graph_of, walk_model
from maskline.trainer.padding import Array, PaddedSample, Shortened

# How far outputs may differ, relative to the largest. With equal shapes, sums are nearly always equal too.
_SAME_SHAPE = {"float16": 2e-3, "bfloat16": 2e-2}
_OTHER_SHAPE = {"float16": 1e-2, "bfloat16": 5e-2}
_LOUD = 10.0  # the noise, in multiples of real values: more than any maximum, and float16 can hold its sums


class Trials:
    """The experiments with one model on one sample.

    Args:
      model: a model that is built.
      sample: inputs that contain padding.
      clean: the model's run on the unchanged sample.
      precision: the least precise dtype in which the model computes.
    """

    def __init__(self, model: keras.Model, sample: PaddedSample, clean: Walk, precision: str) -> None:
        self.model, self.sample, self.clean = model, sample, clean
        self.same_shape = _SAME_SHAPE.get(precision, 1e-5)
        self.other_shape = _OTHER_SHAPE.get(precision, 1e-4)
        self.noisy: list[Walk] = []

    def findings(self) -> list[MaskFinding]:
        """Returns the findings of all experiments, each once."""
        found: list[MaskFinding] = []
        self.noisy = list(self.noisy_runs())
        for noisy in self.noisy:
            if self.answers_changed(noisy):
                found += self.places(noisy)
        for short in self.sample.shortened():
            found += self.places_of_length(short)
        return list(dict.fromkeys(found))

    def noisy_runs(self) -> Iterator[Walk]:
        """Yields runs of the model with other values at padding."""
        padding, real = self.sample.ids()
        has_tables = False
        if padding and real:
            full = self.sample.packed(self.sample.full())
            answers = walk_model(self.model, full)
            for table in self.tables(max(real | padding)):
                values = array(ops.copy(table))
                swapped = [(table, _with_rows(table, values, padding, sign)) for sign in (1, -1)]
                if self.differ(answers, walk_model(self.model, full, weights=swapped[:1])):
                    continue  # rows without padding depend on it too: not an embedding of ids, or a tied one
                moved = [(table, _with_rows(table, values, real, 1))]
                if not self.differ(answers, walk_model(self.model, full, weights=moved)):
                    continue
                has_tables = True
                for swap in swapped:
                    yield walk_model(self.model, self.sample.packed(), weights=[swap], like=self._like())
        if not has_tables and graph_of(self.model) is not None and not self.length_tells():
            for sign in (1, -1):
                other = self.sample.packed(self.sample.noisy(sign, _LOUD))
                yield walk_model(self.model, other, like=self.clean)

    def length_tells(self) -> bool:
        """Returns whether rows with and without padding show all that it does, so that noise adds nothing.

        Of ids, padding is one value: another one in its place is no padding to a model that looks for it. A
        mask among the inputs says itself what is padding, whatever stands there.
        """
        padded = [
            x for x, hidden in zip(self.sample.arrays, self.sample.padding, strict=True) if hidden is not None
        ]
        if any(self.sample.is_mask) or any(x.dtype.kind not in "iu" for x in padded):
            return False
        shorter = (
            walk_model(self.model, short.row.packed(short.arrays)) for short in self.sample.shortened()
        )
        return any(walk.outputs is not None for walk in shorter)

    def tables(self, highest: int) -> list[Any]:
        """Returns the weights that may hold a row for each id.

        The rows of a kernel belong to units, not ids. If a unit is 0 for all rows without padding, its row
        would look like the embedding of the padding id, and what it adds to rows with padding like a leak.
        """
        return [
            v for v in self.model.variables
            if len(v.shape) == 2 and v.shape[0] > highest and keras.backend.is_float_dtype(v.dtype)
            and not v.name.endswith("kernel")
        ]  # fmt: skip

    def differ(self, one: Walk, other: Walk) -> bool:
        """Returns whether outputs for rows without padding differ."""
        pairs = zip(one.outputs or [], other.outputs or [], strict=True)
        return any(_changed(array(x), array(y), None, self.same_shape) for x, y in pairs)

    def answers_changed(self, other: Walk) -> bool:
        """Returns whether real outputs differ from those for the sample."""
        return any(
            _changed(array(x), array(y), self.real(x, self.clean, only_positions=True), self.same_shape)
            for x, y in zip(self.clean.outputs or [], other.outputs or [], strict=True)
        )

    def real(
        self, x: Any, of: Walk, *, reals: Sequence[Array] | None = None, only_positions: bool = False
    ) -> Array:
        """Returns which entries of a tensor padding must not change: boolean, in the tensor's shape."""
        return _real_entries(
            tuple(x.shape), of.mask_of(x), self.sample.reals if reals is None else reals, only_positions
        )

    def places(self, noisy: Walk) -> list[MaskFinding]:
        """Names the layers where changed values of padding reach real positions on the way to an output."""
        if not self.clean.calls:
            return [MaskFinding(self.model.name, "dropped", type(self.model).__name__)]
        found, reached = [], _Reached(self.clean)
        for number, (before, after) in enumerate(zip(self.clean.calls, noisy.calls, strict=True)):
            changed = [
                _changed(array(x), array(y), self.real(x, self.clean), self.same_shape)
                for x, y in zip(before.outputs, after.outputs, strict=True)
            ]
            if not any(changed) or reached.by(before.inputs):
                reached.add(before.outputs, changed)
                continue
            alone = walk_model(
                self.model, self.sample.packed(), like=self.clean, replaced={number: after.outputs}
            )
            if self.answers_changed(alone):
                found.append(_finding(before, changed))
                reached.add(before.outputs, changed)
        # An operation that only moves axes changes no real entry that could be recognized, but the output.
        return found or [_finding(self.clean.calls[-1], [True])]

    def places_of_length(self, short: Shortened) -> list[MaskFinding]:
        """Names the layers where the number of padded positions changes real values, up to an output."""
        row = walk_model(self.model, short.row.packed())
        try:
            other = walk_model(self.model, short.row.packed(short.arrays))
        except Exception:  # a model that overrides `call` and takes no other length
            return []
        if row.outputs is None:
            return []
        reals = short.row.reals
        if other.outputs is not None:
            pairs = zip(row.outputs, other.outputs, strict=True)
            if not any(self.length_changed(short, x, y, row, reals, True) for x, y in pairs):
                return []
        if not row.calls:
            return [MaskFinding(self.model.name, "dropped", type(self.model).__name__)]
        found, reached = [], _Reached(row)
        for number, (before, after) in enumerate(zip(row.calls, other.calls, strict=False)):
            changed = [
                self.length_changed(short, x, y, row, reals)
                for x, y in zip(before.outputs, after.outputs, strict=True)
            ]
            if not any(changed) or reached.by(before.inputs):
                reached.add(before.outputs, changed)
                continue
            outputs = [
                _transplanted(short, x, y) if yes else x
                for x, y, yes in zip(before.outputs, after.outputs, changed, strict=True)
            ]
            alone = walk_model(self.model, short.row.packed(), like=row, replaced={number: outputs})
            if any(
                _changed(
                    array(x), array(y), self.real(x, row, reals=reals, only_positions=True), self.other_shape
                )
                for x, y in zip(row.outputs, alone.outputs or [], strict=True)
            ):
                found.append(_finding(before, changed))
                reached.add(before.outputs, changed)
        if other.outputs is not None and not found:
            return [_finding(row.calls[-1], [True])]
        return found

    def length_changed(
        self, short: Shortened, x: Any, y: Any, of: Walk, reals: Sequence[Array], only_positions: bool = False
    ) -> bool:
        """Returns whether real entries of a tensor differ between a row with padding and without."""
        long, few = array(x), array(y)
        if (places := short.aligned(long, few)) is None:
            return False  # these cannot be compared, but what is computed from them can
        real = self.real(x, of, reals=reals, only_positions=only_positions)
        return _changed(long[places], few, real[places], self.other_shape)

    def notes(self) -> list[MaskFinding]:
        """Names the layers that drop the mask while the values of padding go on."""
        found = []
        for noisy in self.noisy:
            for before, after in zip(self.clean.calls, noisy.calls, strict=True):
                had = any(self.clean.mask_of(x) is not None for x in before.inputs)
                for x, y, mask in zip(before.outputs, after.outputs, before.masks, strict=True):
                    if had and mask is None and _changed(array(x), array(y), None, self.same_shape):
                        found.append(_finding(before, [True]))
        return list(dict.fromkeys(found))

    def _like(self) -> Walk | None:
        return self.clean if self.clean.calls else None


class _Reached:
    """The set of tensors of a run that padding has reached."""

    def __init__(self, of: Walk) -> None:
        self.of = of
        self.ids: set[int] = set()

    def by(self, inputs: Sequence[Any]) -> bool:
        return any(self.of.same.get(id(x), id(x)) in self.ids for x in inputs)

    def add(self, outputs: Sequence[Any], changed: Sequence[bool]) -> None:
        self.ids |= {id(x) for x, yes in zip(outputs, changed, strict=True) if yes}


def _finding(call: Call, changed: Sequence[bool]) -> MaskFinding:
    masks = [mask for mask, yes in zip(call.masks, changed, strict=False) if yes]
    return MaskFinding(
        call.name, "dropped" if any(mask is None for mask in masks) else "leaks", call.layer_type
    )


def _real_entries(
    shape: tuple[int, ...], mask: Array | None, reals: Sequence[Array], only_positions: bool
) -> Array:
    keep = np.ones(shape, bool)
    if mask is not None:
        return keep & mask.reshape(mask.shape + (1,) * (len(shape) - mask.ndim))
    for real in reals:
        rows, length = real.shape
        if shape[0] != rows:
            continue
        # Scores have positions on two axes. An output has them on its first axis, or has none.
        axes = [axis for axis in range(1, len(shape)) if shape[axis] == length]
        for axis in [axis for axis in axes if axis == 1] if only_positions else axes:
            keep &= real.reshape(rows, *(length if a == axis else 1 for a in range(1, len(shape))))
    return keep


def _changed(output: Array, other: Array, real: Array | None, tolerance: float) -> bool:
    if output.shape != other.shape:
        return True
    if real is not None:
        output, other = output[real], other[real]
    if output.dtype != "float64":
        return not np.array_equal(output, other)
    # Rounding is no change. A NaN in the place of a number is one.
    rounding = tolerance * np.abs(output).max(initial=0, where=np.isfinite(output))
    return not np.isclose(other, output, rtol=0, atol=rounding, equal_nan=True).all()


def _transplanted(short: Shortened, x: Any, y: Any) -> Any:
    values, few = array(x).copy(), array(y)
    values[short.aligned(values, few)] = few
    return ops.convert_to_tensor(values, x.dtype)


def _with_rows(table: Any, values: Array, rows: set[int], sign: int) -> Any:
    values = values.copy()
    loud = _LOUD * max(0.1, float(np.abs(values).max()))
    noise = np.random.default_rng(0).uniform(1, 2, (len(rows), values.shape[1]))
    values[sorted(rows)] = sign * loud * noise
    return ops.convert_to_tensor(values, table.dtype)
