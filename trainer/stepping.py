"""Several optimizer steps in one call of TensorFlow, XLA's compiled code included."""

from typing import Any

import keras
import tensorflow as tf


def step_through_stacks(model: keras.Model) -> None:
    """Makes `model.fit` take stacks of batches, and one optimizer step for each batch in them.

    Keras' own `steps_per_execution` enters compiled code anew for each step, which costs more than a small
    step does. Here the loop itself is compiled. Data are then x [steps, batch, …], y [steps, batch] and how
    many of the steps to take.

    Args:
      model: compiled, with its metrics built, since no variable can be made inside the loop.
    """
    take_one = model.train_step

    def train_step(data: tuple[Any, Any, Any]) -> dict[str, Any]:
        x, y, count = data

        def body(step: Any) -> list[Any]:
            take_one((x[step], y[step]))
            return [step + 1]

        tf.while_loop(lambda step: step < count, body, [tf.constant(0)])
        return dict(model.get_metrics_result())

    model.train_step = train_step
