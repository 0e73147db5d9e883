"""The laws of masking, as functions that raise AssertionError where one is broken.

A subject answers (x [b, s, d], mask [b, s]) with values of [b, s, …], or of [b, …] where its mask ends.
Laws are given subjects and data; what they are asked of, and the mutants they catch, are in `test_laws`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from maskline.trainer.masking import MaskedLayer

TOLERANCE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-6}


class Subject(NamedTuple):
    """Something with weights that must hold the laws.

    Attributes:
      layers: applied one after the other.
      width: d of its input.
      length: s of its input.
      any_length: whether it takes longer rows too.
    """

    layers: list[keras.layers.Layer]
    width: int
    length: int
    any_length: bool = True

    def __call__(self, x: Any, mask: Any) -> Any:
        """Answers in the way of Keras: a layer gets the mask, and says what becomes of it."""
        for layer in self.layers:
            y = layer(x, mask=mask) if isinstance(layer, MaskedLayer) else layer(x)
            mask = layer.compute_mask(x, mask) if layer.supports_masking else None
            x = y
        return x

    @property
    def weights(self) -> list[tf.Variable]:
        return [weight.value for layer in self.layers for weight in layer.trainable_weights]


def modes(subject: Subject) -> dict[str, Callable[[Any, Any], Any]]:
    """The ways in which TensorFlow runs it; compiled once, so shapes must not change."""
    shapes = [
        tf.TensorSpec([None, subject.length, subject.width]),
        tf.TensorSpec([None, subject.length], tf.bool),
    ]
    run = subject.__call__
    return {
        "eager": run,
        "graph": tf.function(run, shapes, autograph=False),
        "xla": tf.function(run, autograph=False, jit_compile=True),
    }  # fmt: skip


def padded_values_change_nothing(ways: dict[str, Any], x: Any, mask: Any, noise: float) -> None:
    """Whatever stands in padded positions, real outputs stay the same, bit for bit."""
    noisy = np.where(mask[..., None], x, np.float32(noise))
    for name, run in ways.items():
        clean, dirty = (np.asarray(run(tf.constant(v), tf.constant(mask))) for v in (x, noisy))
        np.testing.assert_array_equal(_real(dirty, mask), _real(clean, mask), err_msg=name)


def batch_mates_change_nothing(subject: Subject, x: Any, mask: Any) -> None:
    """A row's answer is the same alone as among others."""
    together = np.asarray(subject(tf.constant(x), tf.constant(mask)))
    for row in range(len(x)):
        alone = np.asarray(subject(tf.constant(x[row : row + 1]), tf.constant(mask[row : row + 1])))
        its = mask[row : row + 1]
        np.testing.assert_allclose(_real(alone, its), _real(together[row : row + 1], its), **TOLERANCE)


def more_padding_changes_nothing(subject: Subject, x: Any, mask: Any, more: int) -> None:
    """Rows that are padded further give the same answer."""
    longer = np.pad(x, ((0, 0), (0, more), (0, 0)), constant_values=7.0)
    further = np.pad(mask, ((0, 0), (0, more)))
    before = np.asarray(subject(tf.constant(x), tf.constant(mask)))
    after = np.asarray(subject(tf.constant(longer), tf.constant(further)))
    np.testing.assert_allclose(_real(after, further), _real(before, mask), **TOLERANCE)


def padding_gets_no_gradient(subject: Subject, x: Any, mask: Any) -> None:
    """No change of a padded input would change the answer, to the last bit."""
    given = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(given)
        loss = _loss(subject(given, tf.constant(mask)), mask)
    gradient = np.asarray(tape.gradient(loss, given))
    np.testing.assert_array_equal(gradient[~mask], np.zeros_like(gradient[~mask]))
    assert gradient[mask].any() or not mask.any(), "no gradient anywhere: the law would say nothing"


def all_padding_is_finite(subject: Subject, x: Any, noise: float) -> None:
    """Rows without a real position have a finite answer and finite gradients, whatever stands there."""
    nothing = np.zeros(x.shape[:2], bool)
    given = tf.constant(np.full_like(x, noise))
    with tf.GradientTape() as tape:
        tape.watch(given)
        answer = subject(given, tf.constant(nothing))
        loss = tf.reduce_sum(tf.square(tf.cast(answer, tf.float32)))
    gradients = tape.gradient(loss, [given, *subject.weights], unconnected_gradients="zero")
    for value in (answer, *gradients):
        assert np.isfinite(np.asarray(tf.cast(value, tf.float32))).all()


def modes_agree(ways: dict[str, Any], x: Any, mask: Any) -> None:
    """Eager, graph, XLA and whatever else is in `ways` give the same answer."""
    answers = {name: np.asarray(run(tf.constant(x), tf.constant(mask))) for name, run in ways.items()}
    for name, answer in answers.items():
        np.testing.assert_allclose(
            _real(answer, mask), _real(answers["eager"], mask), **TOLERANCE, err_msg=name
        )


def _real(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Outputs of real positions; all of them where positions have gone."""
    with_positions = values.ndim == 3 and values.shape[1] == mask.shape[1]
    return values[mask] if with_positions else values


def _loss(answer: Any, mask: np.ndarray) -> Any:
    answer = tf.cast(answer, tf.float32)
    if len(answer.shape) == 3:
        answer = tf.boolean_mask(answer, mask)
    # Uneven weights: a plain sum would hide gradients that cancel out.
    return tf.reduce_sum(tf.square(answer) * tf.cos(tf.range(answer.shape[-1], dtype=tf.float32)))
