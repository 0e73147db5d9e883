"""Creates masks, and defines what every masked layer does with one. Uses `keras.ops` only.

A mask is boolean [b, s] (batch, sequence position), true at real positions.
"""

from typing import Any

import keras
from keras import ops


class MaskedLayer(keras.layers.Layer):
    """Base class of the masked layers, which neither read masked positions nor write to them.

    Keras' own mechanism carries the mask. Masked positions are zeroed before `transform`, so that even a NaN
    there reaches neither an output nor a gradient, and zeroed again after it. The layer passes the mask on
    unchanged, unless its class sets `ends_mask` because its output has no positions.
    """

    ends_mask = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def transform(self, inputs: Any, mask: Any) -> Any:
        """Computes the outputs from inputs that are zero where masked; subclasses implement it.

        Args:
          inputs: [b, s, d] floating point.
          mask: [b, s] boolean or None.

        Returns:
          [b, s, …], or [b, …] where the layer ends the mask.
        """
        raise NotImplementedError

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Zeroes masked positions, applies `transform`, and zeroes them again."""
        outputs = self.transform(zero_masked(inputs, mask), mask)
        return outputs if self.ends_mask else zero_masked(outputs, mask)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Returns the mask of the output, [b, s] boolean or None."""
        return None if self.ends_mask else mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the input's shape."""
        return input_shape


@keras.saving.register_keras_serializable("maskline")
class PaddingMask(MaskedLayer):
    """Creates the mask: a position is real where its id is not the padding id. Returns the ids unchanged.

    Args:
      pad_id: the padding id.

    Input and output: [b, s] integer.
    """

    def __init__(self, pad_id: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pad_id = pad_id

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Returns `inputs`."""
        return inputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """True where `inputs` is not padding."""
        return ops.not_equal(inputs, self.pad_id)

    def get_config(self) -> dict[str, Any]:
        """Mirrors `__init__`."""
        return super().get_config() | {"pad_id": self.pad_id}


def zero_masked(values: Any, mask: Any) -> Any:
    """Replaces the values at masked positions by zeros.

    Args:
      values: [b, s, d].
      mask: [b, s] boolean or None.

    Returns:
      [b, s, d]; `values` itself if `mask` is None.
    """
    if mask is None:
        return values
    # Multiplying by the mask would keep NaN and infinity, as 0 times either is NaN.
    return ops.where(mask[..., None], values, ops.zeros_like(values))


def lowest_score(dtype: Any) -> float:
    """Returns a score of which softmax makes zero and which is well inside the finite range of `dtype`.

    The lowest finite number would become -inf as soon as something is subtracted from it, and softmax over
    scores that are all -inf is NaN.
    """
    return -3e4 if keras.backend.standardize_dtype(dtype) == "float16" else -1e38
