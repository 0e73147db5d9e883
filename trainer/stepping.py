"""Trains in a compiled loop, which takes several optimizer steps in one call of TensorFlow."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework import ops

from maskline.trainer.layers import MaskedEmbedding
from maskline.transform.features import ROW

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


def ids_of(inputs: Any) -> Any:
    """The ids, [batch, length], of what a model takes, which may have numbers beside them."""
    return inputs[ROW] if isinstance(inputs, dict) else inputs


def _added(some: Any, part: Any, more: Any) -> Any:
    """The sum of gradients so far, and those of one more part."""
    if isinstance(some, tf.TensorArray):
        return some.write(part, more.values)
    return some + tf.convert_to_tensor(more)


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

    Args:
      parts: a function of a batch's rows and their length (None where it varies), which says into how many
        equal parts the batch is divided. The gradients of the parts are added before the step is taken: it is
        the same step, and takes less memory, and less time where the processor's cache does not hold what a
        whole batch needs. By default a batch is one part.
    """

    def __init__(
        self, *args: Any, parts: Callable[[int, int | None], int] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.parts = parts or (lambda rows, length: 1)
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
        parts = self.parts(*ids_of(x).shape)
        if parts == 1:
            gradients = self._gradients(x, y, weights)
        else:
            gradients = self._sum_of_gradients(x, y, weights, parts)
        self.optimizer.apply(gradients, self.trainable_variables)

    def _gradients(self, x: Any, y: Any, weights: Any, whole: Any = None) -> list[Any]:
        """The gradients of the loss; with the weight of a whole batch, of what these rows add to its loss."""
        with tf.GradientTape() as tape:
            answers = self(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=answers, sample_weight=weights)
            added = loss if whole is None else tf.math.divide_no_nan(loss * tf.reduce_sum(weights), whole)
        self._measure(y, answers, weights, loss)
        return tape.gradient(added, self.trainable_variables)

    def _sum_of_gradients(self, x: Any, y: Any, weights: Any, parts: int) -> list[Any]:
        divided = tf.nest.map_structure(
            lambda one: tf.reshape(one, tf.concat([[parts, -1], tf.shape(one)[1:]], 0)), (x, y, weights)
        )
        whole = tf.reduce_sum(weights)
        # A table of embeddings has a gradient for each id, and Keras' optimizers use the square of each one:
        # those of the parts are put behind one another.
        tables = {id(layer.table) for layer in self.layers if isinstance(layer, MaskedEmbedding)}
        sums = [
            tf.TensorArray(variable.dtype, parts, element_shape=[None, variable.shape[1]])
            if id(variable) in tables
            else tf.zeros_like(variable)
            for variable in self.trainable_variables
        ]

        def body(part: Any, sums: list[Any]) -> list[Any]:
            rows, labels, counting = tf.nest.map_structure(lambda one: one[part], divided)
            found = self._gradients(rows, labels, counting, whole)
            return [part + 1, [_added(some, part, more) for some, more in zip(sums, found, strict=True)]]

        _, sums = tf.while_loop(lambda part, sums: part < parts, body, [tf.constant(0), sums])
        ids = tf.reshape(ids_of(x), [-1])
        return [
            tf.IndexedSlices(some.concat(), ids, variable.shape) if id(variable) in tables else some
            for some, variable in zip(sums, self.trainable_variables, strict=True)
        ]

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
