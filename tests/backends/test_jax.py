"""Our layers on Keras' JAX backend: `make jax`. An environment without TensorFlow, locked on its own."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX has an environment of its own: make jax")

import keras  # noqa: E402, the backend is chosen above
from keras import ops  # noqa: E402

from maskline.trainer.layers import (  # noqa: E402
    FlattenRows,
    MaskedConvolution,
    MaskedEmbedding,
    MaskedNormalization,
    MaskedPooling,
    MaskedSelfAttention,
)
from maskline.trainer.masking import PaddingMask  # noqa: E402

MASK = np.array([[1, 1, 1, 0, 0, 0], [1, 0, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1]], bool)
X = np.random.default_rng(0).normal(size=(3, 6, 8)).astype("float32")
LAYERS = {
    "convolution": lambda: MaskedConvolution(3),
    "normalization": MaskedNormalization,
    "attention": lambda: MaskedSelfAttention(residual=True, initializer="identity"),
    "flatten": FlattenRows,
    "pooling": lambda: MaskedPooling(2),
}


@pytest.fixture(params=LAYERS)
def layer(request):
    made = LAYERS[request.param]()
    made(X, mask=MASK)
    for weight in made.trainable_weights:
        weight.assign(weight + 0.1 * keras.random.normal(weight.shape, seed=2))
    return made


def real(values):
    values = np.asarray(values)
    return values[MASK] if values.ndim == 3 and values.shape[1] == 6 else values


def test_this_is_jax():
    assert keras.backend.backend() == "jax"


@pytest.mark.parametrize("noise", [1e3, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("compiled", [False, True])
def test_padded_values_change_nothing(layer, noise, compiled):
    run = jax.jit(lambda x: layer(x, mask=MASK)) if compiled else lambda x: layer(x, mask=MASK)
    noisy = np.where(MASK[..., None], X, np.float32(noise))
    np.testing.assert_array_equal(real(run(noisy)), real(run(X)))


def test_padding_gets_no_gradient(layer):
    given = np.where(MASK[..., None], X, np.float32(np.nan))
    gradient = jax.grad(lambda x: ops.sum(ops.square(layer(x, mask=MASK)) * ops.cos(X[0, 0, 0])))(given)
    assert not np.asarray(gradient)[~MASK].any()
    assert np.asarray(gradient)[MASK].any()


def test_all_padding_is_finite(layer):
    nothing, given = np.zeros_like(MASK), np.full_like(X, np.nan)
    answer = layer(given, mask=nothing)
    gradient = jax.grad(lambda x: ops.sum(ops.square(layer(x, mask=nothing))))(given)
    assert np.isfinite(np.asarray(answer)).all()
    assert np.isfinite(np.asarray(gradient)).all()


def test_attention_is_scaled_dot_product_over_real_keys():
    layer = MaskedSelfAttention()
    layer(X, mask=MASK)
    query, key, value = (X @ np.asarray(w) for w in (layer.query, layer.key, layer.value))
    weights = np.exp(query @ key.transpose(0, 2, 1) / np.sqrt(8)) * MASK[:, None, :]
    expected = weights / weights.sum(-1, keepdims=True) @ value
    np.testing.assert_allclose(real(layer(X, mask=MASK)), expected[MASK], rtol=1e-4, atol=1e-5)


def test_a_model_of_them_learns():
    keras.utils.set_random_seed(0)
    ids = keras.Input((6,), dtype="int32")
    y = MaskedEmbedding(20, 8, positions=6)(PaddingMask()(ids))
    y = MaskedPooling(2)(MaskedSelfAttention(residual=True)(MaskedConvolution(3)(y)))
    model = keras.Model(ids, keras.layers.Dense(20)(y))
    x = np.where(MASK.repeat(50, 0), np.random.default_rng(0).integers(1, 20, (150, 6)), 0)
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses = model.fit(x, x[:, 0], epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
