"""Trains in a compiled loop, which takes several optimizer steps in one call of TensorFlow."""

from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework import ops

_ROUND = 100_000


def counted(weights: Any) -> Any:
    """1 for what has a weight, else 0; the same shape, float32."""
    return tf.cast(weights > 0, tf.float32)


def number_from_a_round_one() -> None:
    """Call it where a function is traced that XLA compiles.

    TensorFlow gives tensors and functions numbers from one counter, and XLA knows a program by its names,
    which hold those numbers. From a round number on they do not depend on how many tensors there were
    before, as for the batches of other rows, and compiled code is found again (`maskline.trainer.compiled`).
    """
    while ops.uid() % _ROUND:
        pass


class CountedAccuracy(keras.metrics.SparseCategoricalAccuracy):
    """Accuracy in which all rows count the same that have a weight.

    A weight of 0 says that a row is none. Other weights, such as those of classes, belong to the loss. Where
    labels have positions, each position counts the same: Keras would take the mean over a row's positions
    first, so that batches of longer rows counted less.
    """

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """See Keras' metric."""
        weights = None if sample_weight is None else counted(sample_weight)
        if len(y_pred.shape) > 2:
            y_true, y_pred = tf.reshape(y_true, [-1]), tf.reshape(y_pred, [-1, y_pred.shape[-1]])
            weights = None if weights is None else tf.reshape(weights, [-1])
        return super().update_state(y_true, y_pred, sample_weight=weights)


class SteppingModel(keras.Model):
    """A functional model whose `fit` takes stacks of batches, with one optimizer step for each batch.

    Keras' own `steps_per_execution` enters compiled code for each step anew, which takes longer than a small
    step. Here the loop itself is compiled, with XLA too. `fit` reads tuples of x [steps, batch, …],
    y [steps, batch], weights [steps, batch] and the number of steps to take; `evaluate` reads x, y and
    weights of single batches. Labels and weights may have positions as a last axis. What has weight 0 has
    no effect; the metric `rows` counts the rows that have any other. The loss over many batches is the mean
    by weight of all of them, however they are divided.

    Compile it with a loss that is a weighted mean, and build the optimizer and metrics before fitting,
    because the loop cannot create variables.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rows = keras.metrics.Sum(name="rows", dtype="float64")

    def _number_for_xla(self) -> None:
        if self.jit_compile:  # without it, nobody reads the numbers, and counting so far takes time
            number_from_a_round_one()

    def train_step(self, data: tuple[Any, Any, Any, Any]) -> dict[str, Any]:
        """Takes one optimizer step for each batch of a stack."""
        self._number_for_xla()
        x, y, weights, count = data

        def body(step: Any) -> list[Any]:
            self._step(tf.nest.map_structure(lambda one: one[step], x), y[step], weights[step])
            return [step + 1]

        tf.while_loop(lambda step: step < count, body, [tf.constant(0)])
        return dict(self.get_metrics_result())

    def _step(self, x: Any, y: Any, weights: Any) -> None:
        with tf.GradientTape() as tape:
            answers = self(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=answers, sample_weight=weights)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        self._measure(y, answers, weights, loss)

    def test_step(self, data: tuple[Any, Any, Any]) -> dict[str, Any]:
        """Measures one batch."""
        self._number_for_xla()
        x, y, weights = data
        answers = self(x, training=False)
        loss = self.compute_loss(x=x, y=y, y_pred=answers, sample_weight=weights, training=False)
        self._measure(y, answers, weights, loss)
        return dict(self.get_metrics_result())

    def _measure(self, y: Any, answers: Any, weights: Any, loss: Any) -> None:
        for metric in self.metrics:
            if metric is self.rows:
                of_row = tf.reshape(counted(weights), [tf.shape(weights)[0], -1])
                metric.update_state(tf.reduce_max(of_row, axis=1))
            elif metric.name == "loss":
                metric.update_state(loss, sample_weight=tf.reduce_sum(weights))
            else:
                metric.update_state(y, answers, sample_weight=weights)
