"""Layers of answers with positions: those that are written from their end, and read from their beginning."""

from itertools import product

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from maskline.trainer.positions import AnswerExchange, LastSymbolFirst

PLACES, IDS, PAD = 3, 4, 1
LOGITS = np.random.default_rng(0).normal(size=(2, 1 + PLACES, IDS)).astype("float32") * 2


def by_counting(logits):
    """The probability of each symbol at each position, from that of every answer there may be: [l, a]."""
    powers = np.exp(logits)
    first, *at_place = powers / powers.sum(-1, keepdims=True)
    found = np.zeros((PLACES, IDS))
    symbols = [i for i in range(IDS) if i != PAD]
    for count in range(PLACES + 1):
        for from_the_end in product(symbols, repeat=count):
            probability = np.prod([at_place[place][symbol] for place, symbol in enumerate(from_the_end)])
            probability *= at_place[count][PAD] if count < PLACES else 1
            read = [*reversed(from_the_end), *[PAD] * (PLACES - count)]
            found[range(PLACES), read] += probability
    return np.concatenate([[first], found[1:]])


def test_each_position_has_the_probability_over_all_answers():
    turned = np.exp(np.asarray(LastSymbolFirst(PAD)(LOGITS)))
    np.testing.assert_allclose(turned, [by_counting(row) for row in LOGITS], rtol=1e-5)
    np.testing.assert_allclose(turned.sum(-1), 1, rtol=1e-5)


@pytest.mark.parametrize("answer", [[2, 3], [3], [], [2, 0, 3]])
def test_a_sure_answer_is_read_from_its_beginning(answer):
    ids = [*[*answer, PAD][:1], *reversed(answer), *[PAD] * (PLACES - len(answer))]
    sure = np.eye(IDS, dtype="float32")[ids][None] * 1e4
    turned = np.asarray(LastSymbolFirst(PAD)(sure))
    assert turned.argmax(-1).tolist() == [[*answer, *[PAD] * (PLACES - len(answer))]]
    np.testing.assert_allclose(turned.max(-1), 0, atol=1e-6)


def test_whoever_is_sure_and_wrong_still_learns():
    sure = tf.Variable(np.eye(IDS, dtype="float32")[[0, 2, 3, PAD]][None] * 60)
    with tf.GradientTape() as tape:
        loss = ops.sum(
            keras.losses.sparse_categorical_crossentropy(
                np.array([[3, 0, PAD]]), LastSymbolFirst(PAD)(sure), from_logits=True
            )
        )
    gradient = np.asarray(tape.gradient(loss, sure))
    assert np.isfinite(gradient).all()
    assert gradient[0, 1, 0] < 0 < gradient[0, 1, 2]


def test_a_place_knows_what_the_others_found():
    layer, x = AnswerExchange(), np.random.default_rng(0).normal(size=(2, 4, 6)).astype("float32")
    before = np.asarray(layer(x))
    other = x.copy()
    other[0, 3] += 1
    changed = (np.asarray(layer(other)) != before).any(axis=-1)
    assert changed.tolist() == [[True] * 4, [False] * 4]


def test_an_exchange_is_a_residual_block_over_all_places():
    layer, x = AnswerExchange(), np.random.default_rng(0).normal(size=(2, 4, 6)).astype("float32")
    layer.build(x.shape)
    layer.bias.assign(np.linspace(-1, 1, 6))
    collect, bias, tell = (np.asarray(weight) for weight in (layer.collect, layer.bias, layer.tell))
    for row, found in zip(x, np.asarray(layer(x)), strict=True):
        normal = row / np.sqrt((row**2).mean(-1, keepdims=True))
        expected = row + (np.maximum(normal.ravel() @ collect + bias, 0) @ tell).reshape(4, 6)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_no_answer_is_laid_flat_as_model_checks_looks_for_padding_there():
    given = tf.TensorSpec([2, 4, 6])
    graph = tf.function(AnswerExchange()).get_concrete_function(given).graph
    reshaped = [one.inputs[0].shape.rank for one in graph.get_operations() if one.type == "Reshape"]
    assert reshaped == [2, 2]  # the weights
