"""The layer that tells the positions of a whole answer apart, on any Keras backend."""

from typing import Any

import keras


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
