"""The mask of labels of ids: positions without a label change no loss, no metric and no gradient.

The laws of `test_label_masks`, where labels have holes: separators, other features, padding.
"""

import keras
import numpy as np
import pytest

from maskline.components.evaluation.answers import Answered, measure
from maskline.components.evaluation.each import read_each
from maskline.components.evaluation.report import CANDIDATE
from maskline.trainer.dataset import Rows, in_order, stacks
from maskline.trainer.fit import loss_of
from tests.trainer.label_laws import assert_measured, broken, compiled, figures_of

RNG = np.random.default_rng(0)
ROWS, LENGTH, CLASSES = 24, 6, 4
NONE = CLASSES
ENDS = RNG.integers(2, LENGTH + 1, (ROWS, 1))
X = np.where(np.arange(LENGTH) < ENDS, RNG.integers(1, 9, (ROWS, LENGTH)), 0)
HAS_LABEL = (X != 0) & (np.arange(LENGTH) >= 1)  # the first id of each row has none
Y = np.where(HAS_LABEL, RNG.integers(0, CLASSES, (ROWS, LENGTH)), NONE)
LOGITS = RNG.normal(size=(ROWS, LENGTH, CLASSES)).astype("float32")
OF_CLASS = np.array([0.5, 1, 3, 2], np.float32)


def ours(y, x):
    """Labels and weights as datasets give them."""
    [(_, labels, weights)] = in_order(Rows(x, y), no_label=NONE, class_weights=OF_CLASS).as_numpy_iterator()
    return labels, weights


def by_input(y, x):
    """The mask of the inputs, where that of the labels is meant."""
    return np.where(y == NONE, 0, y), OF_CLASS[np.where(y == NONE, 0, y)] * (x != 0)


def unweighted(y, x):
    """The mask alone, where classes count differently."""
    return ours(y, x)[0], (y != NONE).astype("float32")


MUTANTS = {"the mask of the inputs": by_input, "class weights forgotten": unweighted}


def figures(weighed, logits):
    labels, weights = weighed
    return figures_of(loss_of(), labels, logits, weights, of_metric=weights)


def junk_without_a_label(weigh):
    """Whatever stands where no label is, bit for bit; and whatever the model says there."""
    labels, weights = weigh(Y, X)
    expected = figures((labels, weights), LOGITS)
    for junk in (1, CLASSES - 1):
        found = figures((np.where(HAS_LABEL, labels, junk), weights), LOGITS)
        assert found[:2] == expected[:2]
        np.testing.assert_array_equal(found[2], expected[2])
    np.testing.assert_array_equal(expected[2][~HAS_LABEL], 0)
    shouted = figures((labels, weights), np.where(HAS_LABEL[..., None], LOGITS, np.float32(50) - LOGITS))
    assert shouted[:2] == expected[:2]


def more_padding(weigh):
    expected = figures(weigh(Y, X), LOGITS)
    wide = ((0, 0), (0, 5))
    found = figures(
        weigh(np.pad(Y, wide, constant_values=NONE), np.pad(X, wide)), np.pad(LOGITS, (*wide, (0, 0)))
    )
    assert found[:2] == pytest.approx(expected[:2], abs=1e-6)
    np.testing.assert_allclose(found[2][:, :LENGTH], expected[2], atol=1e-6)


def mask_and_class_weights_multiply(weigh):
    """By the definition: a mean by weight over the labels that there are."""
    loss, accuracy, _ = figures(weigh(Y, X), LOGITS)
    y, logits = Y[HAS_LABEL], LOGITS[HAS_LABEL].astype(float)
    losses = np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(y)), y]
    assert loss == pytest.approx(np.average(losses, weights=OF_CLASS[y]), abs=1e-6)
    assert accuracy == pytest.approx((logits.argmax(-1) == y).mean(), abs=1e-6)


LAWS = (junk_without_a_label, more_padding, mask_and_class_weights_multiply)


@pytest.mark.parametrize("law", LAWS)
def test_the_law_holds(law):
    law(ours)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_law_catches_the_mutant(mutant):
    assert broken(LAWS, MUTANTS[mutant])


def test_figures_of_buckets_of_batches_and_of_the_evaluator_agree():
    keras.utils.set_random_seed(0)
    ids = keras.Input((None,), dtype="int32")
    logits = keras.layers.Dense(CLASSES)(keras.layers.Embedding(9, 6)(ids))
    model = compiled(ids, logits)
    rows = Rows(X.astype(np.uint8), Y.astype(np.uint8))
    read = read_each(model.predict(X, verbose=0), Y, NONE)
    report = measure(
        Answered(np.ones(ROWS, int), {}, {CANDIDATE: read}), tuple("abcd"), positive=None, whole=True
    )
    # Labels are cut to the length of the bucket, as rows are.
    made = stacks(rows, steps=2, batch_size=3, lengths=(3, LENGTH), seed=0, epochs=[0], no_label=NONE)
    shapes = {(x.shape[-1], y.shape[-1], w.shape[-1]) for x, y, w, _ in made}
    assert shapes == {(3, 3, 3), (LENGTH, LENGTH, LENGTH)}
    measured = report.overall.metrics[CANDIDATE]
    assert_measured(model, rows, made, (ROWS, 7), measured, no_label=NONE)
