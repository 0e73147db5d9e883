"""Laws of our layers: masks follow the data, and layers survive saving."""

import warnings
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from maskline.trainer.layers import (
    FlattenRows,
    MaskedConvolution,
    MaskedEmbedding,
    MaskedNormalization,
    MaskedPooling,
    MaskedSelfAttention,
)
from maskline.trainer.masking import PaddingMask
from maskline.trainer.positions import AnswerExchange, AnswerPositions, LastSymbolFirst

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
    np.testing.assert_array_equal(FlattenRows(rezero=False)(X, mask=MASK), X.reshape(3, 20))


def test_published_mask_has_no_effect_where_it_is_not_rounded():
    """In numbers: the same constant on all scores of a query cancels in softmax."""
    published, none = (MaskedSelfAttention(mask_axis=axis, rezero=False) for axis in ("queries", "none"))
    for layer in (published, none):
        layer.build(X.shape)
    none.set_weights(published.get_weights())
    np.testing.assert_array_equal(published(X, mask=MASK)[MASK], none(X, mask=MASK)[MASK])
    on_padding = np.asarray(published.attention(X, MASK))[MASK][~MASK.repeat(MASK.sum(1), 0)]
    assert on_padding.min() > 0


def test_key_mask_puts_no_attention_on_padding(attention):
    weights = np.asarray(attention.attention(np.where(MASK[..., None], X, 0), MASK))
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-6)
    assert not weights[MASK][~MASK.repeat(MASK.sum(1), 0)].any()


def test_identity_attention_finds_what_is_alike():
    layer = MaskedSelfAttention(initializer="identity")
    layer.build((None, None, 16))
    a, b, c = np.eye(16, dtype="float32")[:3] * 4
    weights = np.asarray(layer.attention(np.stack([a, b, a, c])[None], None))[0]
    np.testing.assert_allclose(weights[0], weights[2])
    assert weights[0, 2] == pytest.approx(weights[0, 0])
    assert weights[0, 0] > 10 * weights[0, 1]


def test_residual_adds_the_input(attention):
    with_residual = MaskedSelfAttention(residual=True)
    with_residual.build(X.shape)
    with_residual.set_weights(attention.get_weights())
    expected = np.asarray(attention(X, mask=MASK)) + np.where(MASK[..., None], X, 0)
    np.testing.assert_allclose(with_residual(X, mask=MASK), expected, rtol=1e-5, atol=1e-6)


def test_convolution_takes_padding_for_the_edge():
    layer = MaskedConvolution(3)
    layer.build(X.shape)
    layer.weights_kde.assign(np.ones((3, 5, 5)))
    out = np.asarray(layer(X, mask=MASK))
    np.testing.assert_allclose(out[0, 2], X[0, 2] + X[0, 1:3].sum(), rtol=1e-5)
    np.testing.assert_allclose(out[1, 0], X[1, 0] + X[1, 0].sum(), rtol=1e-5)


def test_normalization_scales_to_one():
    layer = MaskedNormalization()
    out = np.asarray(layer(X * 7, mask=MASK))
    np.testing.assert_allclose(np.square(out[MASK]).mean(-1), 1, rtol=1e-4)


def test_pooling_averages_real_positions():
    layer = MaskedPooling(2)
    layer.build(X.shape)
    layer.query.assign(np.zeros((5, 2)))  # a query that prefers no position
    out = np.asarray(layer(X, mask=MASK))
    np.testing.assert_allclose(out[0], np.tile(X[0, :3].mean(0), 2), rtol=1e-5)
    np.testing.assert_array_equal(out[2], 0)


def test_positions_are_added_and_end():
    layer = MaskedEmbedding(6, 5, positions=4)
    layer.build((None, 4))
    before = np.asarray(layer(np.array([[1, 1, 1]])))
    layer.position_table.assign(np.arange(20.0).reshape(4, 5))
    np.testing.assert_allclose(layer(np.array([[1, 1, 1]])), before + np.arange(15.0).reshape(3, 5))
    with pytest.raises(ValueError, match="rows of 5 ids, but embeddings of 4 positions"):
        layer(np.ones((1, 5), int))


LAYERS: dict[Any, Any] = {
    PaddingMask: {"pad_id": 2},
    MaskedEmbedding: {"size": 6, "width": 5, "positions": 9},
    MaskedConvolution: {"kernel": 5},
    MaskedNormalization: {},
    MaskedSelfAttention: {
        "residual": True, "initializer": "identity", "mask_axis": "queries", "rezero": False,
    },
    FlattenRows: {"rezero": False},
    MaskedPooling: {"queries": 4, "positions": 2},
    AnswerPositions: {},
    AnswerExchange: {},
    LastSymbolFirst: {"pad_id": 2},
}  # fmt: skip


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
def test_layer_is_a_full_citizen_of_keras(kind, policy, tmp_path):
    ids = kind in (PaddingMask, MaskedEmbedding)
    inputs = keras.Input((4,), dtype="int32") if ids else keras.Input((4, 5))
    layer = kind(**LAYERS[kind], dtype=policy)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = keras.Model(inputs, layer(inputs))
    given = np.array([[3, 1, 2, 0], [1, 1, 0, 0]]) if ids else X[:2]
    out = np.asarray(model(given))
    assert out.shape[1:] == layer.compute_output_shape(inputs.shape)[1:]
    assert out.shape == (2, *model.output.shape[1:])
    if kind is not PaddingMask:
        assert keras.backend.standardize_dtype(model(given).dtype) == layer.compute_dtype
    config = layer.get_config()
    assert {key: config[key] for key in LAYERS[kind] if key != "initializer"} == {
        key: value for key, value in LAYERS[kind].items() if key != "initializer"
    }
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert copy.layers[1].get_config() == config
    np.testing.assert_array_equal(copy(given), model(given))
    model.export(tmp_path / "saved", verbose=False)
    served = tf.saved_model.load(tmp_path / "saved")
    np.testing.assert_allclose(
        np.asarray(served.serve(given.astype("int32" if ids else "float32")), "float32"),
        np.asarray(out, "float32"), rtol=1e-5, atol=1e-6,
    )  # fmt: skip
