"""Finds the padding of a sample, and makes the same sample with other padding. It runs no model."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops, tree
from numpy.typing import NDArray

Array = NDArray[Any]


class PaddedSample(NamedTuple):
    """Inputs of a model, and where they are padding.

    Attributes:
      structure: the inputs as given; only their structure is used.
      arrays: the arrays, in the order of `keras.tree.flatten`.
      padding: for each array, [b, s] boolean, true at padding; None for an array without padding.
      is_mask: for each array, whether it is a mask, which is true (or 1) at real positions.
    """

    structure: Any
    arrays: list[Array]
    padding: list[Array | None]
    is_mask: list[bool]

    @property
    def reals(self) -> list[Array]:
        """Returns, for each array with padding, [b, s] boolean, true at real positions."""
        return [~padding for padding in self.padding if padding is not None]

    def packed(self, arrays: Sequence[Array] | None = None) -> Any:
        """Returns the arrays, or others instead of them, as tensors in the model's input structure."""
        flat = [ops.convert_to_tensor(x, x.dtype) for x in (self.arrays if arrays is None else arrays)]
        return tree.pack_sequence_as(self.structure, flat)

    def ids(self) -> tuple[set[int], set[int]]:
        """Returns the padding ids and the real ids."""
        padding: set[int] = set()
        real: set[int] = set()
        for x, hidden in zip(self.arrays, self.padding, strict=True):
            if hidden is not None and x.dtype.kind in "iu":
                padding |= set(np.unique(x[hidden]).tolist())
                real |= set(np.unique(x[~hidden]).tolist())
        return padding, real - padding

    def noisy(self, sign: int, scale: float) -> list[Array]:
        """Returns the arrays with noise at padded floats and real ids at padded integers; masks are kept."""
        random, arrays = np.random.default_rng(0), []
        for x, hidden in zip(self.arrays, self.padding, strict=True):
            x = x.copy()
            if hidden is not None and x.dtype.kind in "iu":
                x[hidden] = random.choice(np.unique(x[~hidden]), x[hidden].shape)
            elif hidden is not None:
                loud = scale * max(1.0, float(np.abs(x[~hidden]).max()))
                x[hidden] = sign * loud * random.uniform(1, 2, x[hidden].shape)
            arrays.append(x)
        return arrays

    def full(self) -> list[Array]:
        """Returns the arrays with real values instead of padding, and with masks that are true everywhere."""
        random, arrays = np.random.default_rng(1), []
        for x, hidden, is_mask in zip(self.arrays, self.padding, self.is_mask, strict=True):
            x = np.ones_like(x) if is_mask else x.copy()
            if hidden is not None:
                values = x[~hidden]
                x[hidden] = values[random.integers(len(values), size=hidden.sum())]
            arrays.append(x)
        return arrays

    def shortened(self) -> Iterator["Shortened"]:
        """Yields single rows of the sample, with and without the padding at the end (or at the start)."""
        seen: list[Array] = []
        for hidden in self.padding:
            if hidden is None or any(np.array_equal(hidden, other) for other in seen):
                continue
            seen.append(hidden)
            ends = _run_length(hidden[:, ::-1])
            left = not ends.any()
            ends = _run_length(hidden) if left else ends
            # Not to a length of 1, as operations would broadcast such an axis.
            lengths = np.maximum(hidden.shape[1] - ends, 2)
            rows = np.flatnonzero((lengths < hidden.shape[1]) & ~hidden.all(axis=1))
            rows = rows[np.argsort(lengths[rows], kind="stable")]
            for row in dict.fromkeys([*rows[:1].tolist(), *rows[-1:].tolist()]):
                yield self._shortened(row, hidden, int(lengths[row]), left)

    def _shortened(self, row: int, hidden: Array, length: int, left: bool) -> "Shortened":
        alone, short = [], []
        for x, padding in zip(self.arrays, self.padding, strict=True):
            one = x[row : row + 1]
            # Masks, segment ids and other inputs of the same length are cut along with the row.
            along = padding is None or np.array_equal(padding, hidden)
            cut = along and x.ndim > 1 and x.shape[1] == hidden.shape[1]
            alone.append(one)
            short.append((one[:, -length:] if left else one[:, :length]) if cut else one)
        padding_alone = [None if p is None else p[row : row + 1] for p in self.padding]
        return Shortened(self._replace(arrays=alone, padding=padding_alone), short, length, left)


class Shortened(NamedTuple):
    """A row with its padding, and the same row without the padding at one of its ends.

    Attributes:
      row: the row, a batch of one.
      arrays: the same row without padding.
      length: length of the shorter row.
      left: whether the padding was at the start.
    """

    row: PaddedSample
    arrays: list[Array]
    length: int
    left: bool

    def aligned(self, long: Array, short: Array) -> tuple[slice, ...] | None:
        """Returns where the shorter row's values are in the longer row; None if they do not correspond."""
        if long.ndim != short.ndim:
            return None
        places = []
        for many, few in zip(long.shape, short.shape, strict=True):
            if many != few and few != self.length:
                return None
            places.append(slice(None) if many == few else slice(-few, None) if self.left else slice(few))
        return tuple(places)


def sample_of(
    inputs: Any, names: Sequence[str], masks: Sequence[Array], padding_id: float | None
) -> PaddedSample:
    """Finds the padding of inputs.

    It is taken from a mask among the inputs, which is boolean or has "mask" in its name; otherwise from
    `padding_id`, from the masks that the model makes, or from zeros at the ends of rows.

    Args:
      inputs: the model's inputs: integers [b, s, …], floats [b, s, d], and others, which have no padding.
      names: names of the arrays in `inputs`.
      masks: the masks that the model makes from these inputs, [b, s] boolean each.
      padding_id: the value of padding; None to find it.

    Raises:
      ValueError: the inputs contain no padding, or only padding.
    """
    flat = tree.flatten(inputs)
    arrays = [np.asarray(ops.convert_to_numpy(ops.convert_to_tensor(x))) for x in flat]
    is_mask = [x.dtype == bool or "mask" in name.lower() for x, name in zip(arrays, names, strict=True)]
    given = [x.astype(bool) for x, yes in zip(arrays, is_mask, strict=True) if yes]
    padding: list[Array | None] = []
    for x, yes in zip(arrays, is_mask, strict=True):
        hidden = None if yes else _hidden(x, given, masks, padding_id)
        usable = hidden is not None and hidden.any() and not hidden.all()
        padding.append(hidden if usable else None)
    if all(hidden is None for hidden in padding):
        raise ValueError(
            "the sample contains no padding, or only padding: give rows of which some are padded, "
            "and padding_id if padding is neither masked by the model nor zero"
        )
    return PaddedSample(inputs, arrays, padding, is_mask)


def _hidden(
    x: Array, given: Sequence[Array], masks: Sequence[Array], padding_id: float | None
) -> Array | None:
    if x.dtype.kind not in "iuf" or x.ndim < 2 or x.shape[1] < 2:
        return None
    for mask in given:
        if mask.shape == x.shape[:2]:
            return ~mask
    if x.dtype.kind == "f" and x.ndim < 3 and padding_id is None:
        return None  # floats [b, s] may be features rather than positions
    if padding_id is not None:
        return _everywhere(x == padding_id)
    for mask in masks:
        # A mask belongs to an input if it hides exactly the positions that hold one value.
        if mask.shape != x.shape[:2]:
            continue
        values = np.unique(x[~mask])
        if len(values) == 1 and np.array_equal(_everywhere(x == values[0]), ~mask):
            return ~mask
    zeros = _everywhere(x == 0)
    return zeros if (zeros[:, 0] | zeros[:, -1]).any() else None


def _everywhere(equal: Array) -> Array:
    """Returns, [b, s], whether all values at a position are true."""
    return np.asarray(equal.all(axis=tuple(range(2, equal.ndim))))


def _run_length(hidden: Array) -> Array:
    """Counts the padded positions at the start of each row."""
    return np.where(hidden.all(axis=1), hidden.shape[1], np.argmin(hidden, axis=1))
