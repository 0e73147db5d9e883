"""Trains in a compiled loop, which takes several optimizer steps in one call of TensorFlow."""

from typing import Any

import keras
import tensorflow as tf


class SteppingModel(keras.Model):
    """A functional model whose `fit` takes stacks of batches, with one optimizer step for each batch.

    Keras' own `steps_per_execution` enters compiled code for each step anew, which takes longer than a small
    step. Here the loop itself is compiled, with XLA too. `fit` reads tuples of x [steps, batch, …],
    y [steps, batch], weights [steps, batch] and the number of steps to take; `evaluate` reads x and y.
    Rows of weight 0 have no effect. The metric `rows` counts the rows of weight 1.

    Compile it with a loss that is a weighted mean, and build the optimizer and metrics before fitting,
    because the loop cannot create variables.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rows = keras.metrics.Sum(name="rows", dtype="float64")

    def train_step(self, data: tuple[Any, Any, Any, Any]) -> dict[str, Any]:
        """Takes one optimizer step for each batch of a stack."""
        x, y, weights, count = data

        def body(step: Any) -> list[Any]:
            self._step(x[step], y[step], weights[step])
            return [step + 1]

        tf.while_loop(lambda step: step < count, body, [tf.constant(0)])
        return dict(self.get_metrics_result())

    def _step(self, x: Any, y: Any, weights: Any) -> None:
        with tf.GradientTape() as tape:
            answers = self(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=answers, sample_weight=weights)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        for metric in self.metrics:
            if metric is self.rows:
                metric.update_state(weights)
            elif metric.name == "loss":
                metric.update_state(loss, sample_weight=tf.reduce_sum(weights))
            else:
                metric.update_state(y, answers, sample_weight=weights)
