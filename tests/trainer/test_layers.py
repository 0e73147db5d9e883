"""Laws of our layers: masks follow the data, and layers survive saving."""

import keras
import numpy as np
import pytest

from trainer.layers import FlattenRows, MaskedEmbedding, MaskedSelfAttention, PaddingMask

MASK = np.array([[True, True, True, False], [True, False, False, False], [False] * 4])
RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4, 5)).astype("float32")


@pytest.fixture
def attention():
    layer = MaskedSelfAttention()
    layer(X, mask=MASK)
    return layer


def test_mask_is_where_ids_are_not_padding():
    ids = np.array([[3, 0, 2], [0, 0, 0]])
    np.testing.assert_array_equal(PaddingMask(0).compute_mask(ids), [[1, 0, 1], [0, 0, 0]])
    np.testing.assert_array_equal(PaddingMask(3).compute_mask(ids), [[0, 1, 1], [1, 1, 1]])


def test_embedding_zeroes_padding_only():
    layer = MaskedEmbedding(6, 5)
    ids = np.array([[3, 1, 2, 0]])
    plain, masked = np.asarray(layer(ids)), np.asarray(layer(ids, mask=MASK[:1]))
    np.testing.assert_array_equal(masked[0, :3], plain[0, :3])
    assert plain[0, 3].any()
    assert not masked[0, 3].any()


@pytest.mark.parametrize("noise", [1e3, np.nan, np.inf])
def test_padding_cannot_reach_real_positions(attention, noise):
    noisy = np.where(MASK[..., None], X, np.float32(noise))
    np.testing.assert_array_equal(attention(X, mask=MASK), attention(noisy, mask=MASK))


def test_attention_writes_zeros_to_padding(attention):
    out = np.asarray(attention(X, mask=MASK))
    assert not out[~MASK].any()
    assert np.isfinite(out).all()
    assert out[MASK].all()


def test_attention_of_one_real_position_is_its_own_value(attention):
    out = np.asarray(attention(X, mask=MASK))
    np.testing.assert_allclose(out[1, 0], X[1, 0] @ np.asarray(attention.value), rtol=1e-5)


def test_attention_without_padding_is_scaled_dot_product(attention):
    query, key, value = (X @ np.asarray(w) for w in (attention.query, attention.key, attention.value))
    scores = query @ key.transpose(0, 2, 1) / np.sqrt(5)
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    np.testing.assert_allclose(attention(X), weights @ value, rtol=1e-4, atol=1e-5)


def test_flatten_ends_the_mask_and_reads_no_padding():
    layer = FlattenRows()
    out = np.asarray(layer(X, mask=MASK))
    np.testing.assert_array_equal(out, np.where(MASK[..., None], X, 0).reshape(3, 20))
    assert layer.compute_mask(X, MASK) is None


@pytest.mark.parametrize(
    "layer",
    [PaddingMask(2), MaskedEmbedding(6, 5), MaskedSelfAttention(), FlattenRows()],
    ids=lambda x: x.name,
)
def test_configuration_round_trip(layer):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(copy) is type(layer)
    assert copy.get_config() == layer.get_config()
