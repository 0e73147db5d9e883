"""Layers for answers of several positions, on any Keras backend."""

from typing import Any

import keras

from maskline.trainer.masking import MaskedLayer


@keras.saving.register_keras_serializable("maskline")
class AnswerPositions(keras.layers.Layer):
    """Adds a learned vector to each position of an answer.

    Without the vectors, layers that all positions share could not tell them apart where a row holds the same
    symbol throughout: every weighted average of equal vectors is that vector.

    Input and output: [b, positions, d] floating point.
    """

    def build(self, input_shape: Any) -> None:
        """Creates the vectors, [positions, d]."""
        initializer = keras.initializers.RandomNormal(stddev=0.5)
        self.vectors = self.add_weight(shape=input_shape[1:], initializer=initializer, name="vectors")

    def call(self, inputs: Any) -> Any:
        """Returns [b, positions, d]."""
        return inputs + self.vectors

    def compute_output_shape(self, input_shape: Any) -> Any:
        """[b, positions, d]."""
        return input_shape


@keras.saving.register_keras_serializable("maskline")
class EachPosition(MaskedLayer):
    """Gives each real position of a row its logits, zero at padding, and ends the mask on purpose.

    Keras would use a mask of the output as weights in the loss. It is that of the inputs, and not that of the
    labels: a row has positions without a label, such as separators. Weights of the labels say what counts.

    Input and output: [b, s, answers] floating point.
    """

    ends_mask = True

    def transform(self, inputs: Any, mask: Any) -> Any:
        """Returns the inputs, [b, s, answers], which are zero at padding by then."""
        return inputs
