"""Asks the trained model what its positions attend to, on a few held-out rows, beside the published mask."""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from maskline.trainer.dataset import Rows
from maskline.trainer.layers import MaskedSelfAttention
from maskline.trainer.model import ids_input
from maskline.transform.attention import AttendedRow, AttentionSummary
from maskline.transform.features import SequenceSpec

_SHOWN = 32  # positions of a row that are kept, half of them on each side of the end of the row
_DIGITS = 4
_LONGEST = 4096  # ids in a row: weights grow with its square, here to 64 MiB for each mask


def note_attention(model: keras.Model, held_out: Rows, spec: SequenceSpec) -> AttentionSummary | None:
    """Computes attention for the shortest, the middle and the longest held-out row.

    Args:
      model: as trained, from ids [rows, length].
      held_out: rows that were not learned from.
      spec: symbols and padding.

    Returns:
      None where the model attends to nothing, there are no rows, or rows are too long to be drawn.
    """
    layer = next((one for one in model.layers if isinstance(one, MaskedSelfAttention)), None)
    if layer is None or not len(held_out.y) or spec.length > _LONGEST:
        return None
    published = MaskedSelfAttention.from_config(layer.get_config() | {"mask_axis": "queries"})
    before = keras.Model(ids_input(model), keras.tree.flatten(layer.input)[0])
    rows = []
    for row in _picked(held_out, spec):
        x = np.asarray(held_out.x[row : row + 1], "int32")
        inputs, mask = before(x), ops.convert_to_tensor(x != spec.pad_id)
        if not published.built:
            published.build(inputs.shape)
            published.set_weights(layer.get_weights())
        weights, reference = (_weights(one, inputs, mask) for one in (layer, published))
        rows.append(_row(x[0], weights, reference, spec))
    return AttentionSummary(mask=layer.mask_axis, rows=tuple(rows))


def _picked(held_out: Rows, spec: SequenceSpec) -> list[int]:
    """Numbers of rows of three lengths, each the first of its length; fewer where lengths are equal."""
    some = np.asarray(held_out.x[:10_000])
    lengths = (some != spec.pad_id).sum(-1)
    wanted = dict.fromkeys(np.quantile(lengths, [0, 0.5, 1], method="nearest").tolist())
    return [int(np.flatnonzero(lengths == length)[0]) for length in wanted]


def _weights(layer: MaskedSelfAttention, inputs: Any, mask: Any) -> NDArray[np.float64]:
    """[q, k]."""
    return ops.convert_to_numpy(layer.attention(inputs, mask))[0].astype(np.float64)


def _row(
    ids: NDArray[np.int32], weights: NDArray[np.float64], reference: NDArray[np.float64], spec: SequenceSpec
) -> AttendedRow:
    padding = ids == spec.pad_id
    end = int((~padding).sum())
    first = max(0, min(end - _SHOWN // 2, len(ids) - _SHOWN))
    kept = slice(first, first + _SHOWN)
    return AttendedRow(
        symbols=tuple(spec.vocabulary[i] for i in ids[kept]),
        padding=tuple(padding[kept].tolist()),
        left_out=len(ids) - len(ids[kept]),
        weights=_rounded(weights[kept, kept]),
        reference=_rounded(reference[kept, kept]),
        on_padding=_on_padding(weights, padding),
        reference_on_padding=_on_padding(reference, padding),
    )


def _on_padding(weights: NDArray[np.float64], padding: NDArray[np.bool_]) -> float:
    real = weights[~padding]
    return float(real[:, padding].sum(-1).mean()) if len(real) else 0.0


def _rounded(weights: NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    """Zero stays zero, and what is not zero does not become it."""
    shown = np.where((weights > 0) & (weights < 10**-_DIGITS), 10**-_DIGITS, weights.round(_DIGITS))
    return tuple(map(tuple, shown.tolist()))
