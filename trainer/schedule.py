"""The learning rate over a training, whose numbers are variables and no part of the compiled step."""

import math
from typing import Any

import keras
import tensorflow as tf

from maskline.trainer.settings import TrainingSettings


class Annealing(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise, then cosine annealing without restarts (Loshchilov and Hutter, 2017, equation 5).

    Keras' `CosineDecay` writes the number of steps into the program. XLA would then compile a new one for
    every number of rows; of this schedule it takes the one that is there.

    Args:
      highest: the rate at the end of the rise.
      steps: number of steps in all, at least 1.
      rising: of these, those in which the rate rises; 0 for none.
    """

    def __init__(self, highest: float, steps: int, rising: int) -> None:
        super().__init__()
        self._config = {"highest": highest, "steps": steps, "rising": rising}
        self._highest, self._rising = tf.Variable(float(highest)), tf.Variable(float(rising))
        self._falling = tf.Variable(float(max(1, steps - rising)))

    def follow(self, other: "Annealing") -> None:
        """Takes over the numbers of another; what was compiled with this one goes by them."""
        self._config = other.get_config()
        for name in ("_highest", "_rising", "_falling"):
            getattr(self, name).assign(getattr(other, name))

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate of a step, float32; `step` is a number or a scalar tensor."""
        step = tf.cast(step, tf.float32)
        risen = step / tf.maximum(self._rising, 1.0)
        fallen = tf.clip_by_value((step - self._rising) / self._falling, 0.0, 1.0)
        falls = 0.5 * (1.0 + tf.cos(math.pi * fallen))
        return self._highest * tf.where(step < self._rising, risen, falls)

    def get_config(self) -> dict[str, float]:
        """The arguments."""
        return dict(self._config)


def learning_rate(training: TrainingSettings, steps: int) -> float | Annealing:
    """Returns Adam's learning rate over the whole training.

    Args:
      training: schedule, warmup and the highest rate.
      steps: number of steps in all epochs together.
    """
    if training.schedule == "constant":
        return training.learning_rate
    return Annealing(training.learning_rate, steps, round(training.warmup * steps))
