"""Stacks of batches train as Keras' own steps do, and rows of weight 0 have no effect."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maskline.trainer.layers import MaskedEmbedding
from maskline.trainer.stepping import CountedAccuracy, SteppingModel

RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 9, (2, 8, 5)).astype("int32")
Y = RANDOM.integers(0, 4, (2, 8)).astype("int32")
# The second batch has three rows; five fill it up.
WEIGHTS = np.array([[1] * 8, [1] * 3 + [0] * 5], "float32")


def model_of(kind, **given):
    keras.utils.set_random_seed(0)
    ids = keras.Input((5,), dtype="int32")
    answers = keras.layers.Dense(4)(keras.layers.Flatten()(MaskedEmbedding(9, 6)(ids)))
    model = kind(ids, answers, **given)
    model.compile(
        keras.optimizers.Adam(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight"),
        weighted_metrics=[CountedAccuracy(name="accuracy")],
        jit_compile=False,
    )
    model.evaluate(X[0], Y[0], sample_weight=np.ones(8, "float32"), verbose=0)
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.mark.parametrize("junk", [0, 1])
def test_steps_are_those_of_keras_and_filled_up_rows_have_no_effect(junk):
    plain, stepping = model_of(keras.Model), model_of(SteppingModel)
    plain.train_on_batch(X[0], Y[0])
    plain.train_on_batch(X[1][:3], Y[1][:3])
    x, y = np.where(WEIGHTS[..., None] > 0, X, junk), np.where(WEIGHTS > 0, Y, junk)
    # A third batch that is not counted.
    stack = [np.concatenate([part, part[:1]]) for part in (x, y, WEIGHTS)]
    data = tf.data.Dataset.from_tensors((*map(tf.constant, stack), 2))
    history = stepping.fit(data, shuffle=False, verbose=0).history
    for one, other in zip(stepping.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert history["rows"] == [11]


def test_weights_of_rows_change_the_loss_and_no_metric_however_rows_are_divided():
    """The loss is the mean by weight over all rows; the accuracy counts rows, whatever their weight."""
    x, y = X.reshape(-1, 5), Y.reshape(-1)
    weights = np.array([3, 0.5, 0, 1])[y].astype("float32")
    model = model_of(SteppingModel)
    logits = model.predict(x, verbose=0)
    losses = keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True).numpy()
    expected = {
        "loss": np.sum(losses * weights) / np.sum(weights),
        "accuracy": np.mean((logits.argmax(-1) == y)[weights > 0]),
        "rows": np.sum(weights > 0),
    }
    for size in (16, 7, 1):
        rows = tf.data.Dataset.from_tensor_slices((x, y, weights)).batch(size)
        found = model.evaluate(rows, verbose=0, return_dict=True)
        assert found == pytest.approx(expected, rel=1e-5), size


@pytest.mark.parametrize("xla", [False, True])
def test_a_batch_in_parts_makes_the_same_step_as_a_whole_one(xla):
    """Weights differ, and one part and one batch have none, as where no id of a row has a label."""
    weights = RANDOM.uniform(0, 3, (3, 8)).astype("float32")
    weights[0, 2:4], weights[1] = 0, 0
    stack = (np.concatenate([X, X[:1]]), np.concatenate([Y, Y[:1]]), weights)
    data = tf.data.Dataset.from_tensors((*map(tf.constant, stack), 3))
    asked = []

    def four(rows, length):
        asked.append((rows, length))
        return 4

    models = model_of(SteppingModel), model_of(SteppingModel, parts=four)
    histories = []
    for model in models:
        model.jit_compile = xla
        histories.append(model.fit(data, shuffle=False, verbose=0).history)
    assert set(asked) == {(8, 5)}
    assert np.isfinite(models[1].get_weights()[0]).all()
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    for name, [value] in histories[0].items():
        assert histories[1][name] == [pytest.approx(value, rel=1e-5)], name
