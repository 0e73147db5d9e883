"""Where masks come from and what each of our layers does with them. `keras.ops` alone.

A mask is boolean [b, s] (batch, sequence position), true where a position is real.
"""

from typing import Any

import keras
from keras import ops


class MaskedLayer(keras.layers.Layer):
    """Base of our layers: nothing in a masked position gets in, and nothing comes out of one.

    The mask comes and goes by Keras' own mechanism. Masked positions are zeroed before `transform`, so
    that not even NaN there reaches an answer or a gradient, and zeroed again after it. The mask passes on
    unchanged, unless the subclass sets `ends_mask` because its output has no positions any more.
    """

    ends_mask = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def transform(self, inputs: Any, mask: Any) -> Any:
        """What the layer does, on inputs that are zero where masked.

        Args:
          inputs: [b, s, d] floating point.
          mask: [b, s] boolean or None.

        Returns:
          [b, s, …], or [b, …] where the layer ends the mask.
        """
        raise NotImplementedError

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """`transform` between two zeroings."""
        outputs = self.transform(zero_masked(inputs, mask), mask)
        return outputs if self.ends_mask else zero_masked(outputs, mask)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the output, [b, s] boolean or None."""
        return None if self.ends_mask else mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's shape."""
        return input_shape


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
