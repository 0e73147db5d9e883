"""Keras layers through which a mask follows the data. `keras.ops` alone; no TensorFlow.

Axes in names: b batch, s or q or k sequence position (q asks, k answers), d width.
A mask is boolean [b, s], true where a position is real.
"""

from typing import Any

import keras
from keras import ops


class MaskedLayer(keras.layers.Layer):
    """Base of our layers: takes a mask by Keras' own mechanism and passes it on unchanged.

    A subclass that makes or ends a mask overrides `compute_mask` and says so in its docstring.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the output, [b, s] boolean or None."""
        return mask


@keras.saving.register_keras_serializable("maskline")
class PaddingMask(MaskedLayer):
    """Passes ids on and makes the mask: a position is real where its id is not the padding id.

    Args:
      pad_id: the id of padding.

    Input and output: [b, s] integer.
    """

    def __init__(self, pad_id: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pad_id = pad_id

    def call(self, inputs: Any) -> Any:
        """Returns `inputs`."""
        return inputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """True where `inputs` is not padding."""
        return ops.not_equal(inputs, self.pad_id)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Mirrors `__init__`."""
        return super().get_config() | {"pad_id": self.pad_id}


@keras.saving.register_keras_serializable("maskline")
class MaskedEmbedding(MaskedLayer):
    """Looks ids up in a table and zeroes masked positions; passes the mask on.

    Args:
      size: number of ids.
      width: numbers for each id.

    Input: [b, s] integer. Output: [b, s, width] in the compute dtype.
    """

    def __init__(self, size: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size, self.width = size, width

    def build(self, input_shape: Any) -> None:
        """Makes the table, [size, width]."""
        self.table = self.add_weight(shape=(self.size, self.width), initializer="uniform", name="table")

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Returns the rows of the table, zero where masked."""
        return zero_masked(ops.take(self.table, inputs, axis=0), mask)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """[b, s, width]."""
        return (*input_shape, self.width)

    def get_config(self) -> dict[str, Any]:
        """Mirrors `__init__`."""
        return super().get_config() | {"size": self.size, "width": self.width}


@keras.saving.register_keras_serializable("maskline")
class MaskedSelfAttention(MaskedLayer):
    """One head of self-attention that neither reads nor writes masked positions.

    Scaled dot-product attention (Vaswani et al., 2017, "Attention Is All You Need", section 3.2.1)
    with three square projections and no bias. Masked keys get weight exactly zero; masked queries
    come out as zero, so that nothing downstream can read them; the mask passes on. A row that is
    all padding comes out as zeros.

    Input and output: [b, s, d] floating point.
    """

    def build(self, input_shape: Any) -> None:
        """Makes the three projections, [d, d] each."""
        width = input_shape[-1]
        self.query, self.key, self.value = (
            self.add_weight(shape=(width, width), initializer="glorot_uniform", name=name)
            for name in ("query", "key", "value")
        )

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Returns the attended values, zero where masked."""
        inputs_bsd = zero_masked(inputs, mask)
        query_bqd = ops.matmul(inputs_bsd, self.query)
        key_bkd = ops.matmul(inputs_bsd, self.key)
        value_bkd = ops.matmul(inputs_bsd, self.value)
        scores_bqk = ops.matmul(query_bqd, ops.transpose(key_bkd, (0, 2, 1)))
        scores_bqk = scores_bqk * inputs.shape[-1] ** -0.5
        if mask is not None:
            # The mask belongs on keys. On queries it adds a constant to a row, and softmax cancels it.
            lowest = lowest_score(scores_bqk.dtype)
            scores_bqk = ops.where(mask[:, None, :], scores_bqk, lowest)
        return zero_masked(ops.matmul(ops.softmax(scores_bqk, axis=-1), value_bkd), mask)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's shape."""
        return input_shape


@keras.saving.register_keras_serializable("maskline")
class FlattenRows(MaskedLayer):
    """Lays each row's positions side by side, and ends the mask on purpose.

    After this no axis of positions is left for a mask to speak of. Masked positions are zeroed
    first, so what is dense on top reads nothing of them.

    Input: [b, s, d]. Output: [b, s·d].
    """

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Returns [b, s·d], zero where masked."""
        _, length, width = inputs.shape
        return ops.reshape(zero_masked(inputs, mask), (-1, length * width))

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """None: the mask ends here."""
        return None

    def compute_output_shape(self, input_shape: Any) -> Any:
        """[b, s·d]."""
        batch, length, width = input_shape
        return (batch, length * width)


def zero_masked(values: Any, mask: Any) -> Any:
    """Zeroes masked positions, whatever stands there.

    Args:
      values: [b, s, d].
      mask: [b, s] boolean or None.

    Returns:
      [b, s, d]; `values` itself without a mask.
    """
    if mask is None:
        return values
    # A product would keep NaN and infinity alive: where it is.
    return ops.where(mask[..., None], values, ops.zeros_like(values))


def lowest_score(dtype: Any) -> float:
    """A score that softmax turns into zero and that is finite in `dtype`, with room to spare.

    The lowest finite number itself would become -inf as soon as anything is added to it, and a row whose
    keys are all -inf is NaN.
    """
    return -3e4 if keras.backend.standardize_dtype(dtype) == "float16" else -1e38
