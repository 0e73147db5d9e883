"""The mask of labels: what stands behind a label's end changes no loss, no metric and no gradient.

Each law is asked of what training uses, and of mutants, each of which breaks one of them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

from maskline.components.evaluation.answers import Answered, measure
from maskline.components.evaluation.report import CANDIDATE
from maskline.components.evaluation.whole import read_whole
from maskline.trainer.dataset import Rows, in_order, stacks
from maskline.trainer.fit import loss_of
from tests.trainer.label_laws import assert_measured, broken, compiled, figures_of

RNG = np.random.default_rng(0)
ROWS, POSITIONS, IDS, PAD = 24, 5, 6, 0
LENGTHS = RNG.integers(1, POSITIONS + 1, ROWS)
Y = np.where(np.arange(POSITIONS) < LENGTHS[:, None], RNG.integers(1, IDS, (ROWS, POSITIONS)), PAD)
X = np.where(np.arange(4) < RNG.integers(1, 5, (ROWS, 1)), RNG.integers(1, IDS, (ROWS, 4)), PAD)
LOGITS = RNG.normal(size=(ROWS, POSITIONS, IDS)).astype("float32")


class Objective(NamedTuple):
    """Weights of labels [rows, positions], beside inputs; a loss; and whether the metric has the weights."""

    weigh: Callable[[Any, Any], Any]
    loss: Any
    metric_has_weights: bool = True


def by_label(y, x):
    """As datasets give them."""
    [(_, _, weights)] = in_order(Rows(x, y), pad_id=PAD).as_numpy_iterator()
    return weights


def by_input(y, x):
    """The mask of the inputs, where that of the labels is meant."""
    mask = np.zeros(y.shape, "float32")
    width = min(y.shape[1], x.shape[1])
    mask[:, :width] = (x != PAD)[:, :width]
    return mask


OURS = Objective(by_label, loss_of())
MUTANTS = {
    "a mean over all positions": OURS._replace(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    ),
    "a metric without weights": OURS._replace(metric_has_weights=False),
    "the mask of the inputs": OURS._replace(weigh=by_input),
}


def figures(objective, y, logits=LOGITS, x=X, weights=None):
    """Loss, accuracy, and the gradient of the loss by the logits."""
    weights = objective.weigh(y, x) if weights is None else weights
    of_metric = weights if objective.metric_has_weights else None
    return figures_of(objective.loss, y, logits, weights, of_metric=of_metric)


def behind_the_end(objective):
    """Any id may stand there, bit for bit."""
    expected = figures(objective, Y)
    behind = np.cumsum(Y == PAD, axis=1) > 1
    for junk in (1, IDS - 1):
        found = figures(objective, np.where(behind, junk, Y))
        assert found[:2] == expected[:2]
        np.testing.assert_array_equal(found[2], expected[2])
        np.testing.assert_array_equal(found[2][behind], 0)


def more_padding(objective):
    """Room for longer labels changes nothing; every label has its end within the room of before."""
    ended = np.where(np.arange(POSITIONS) < POSITIONS - 1, Y, PAD)
    expected = figures(objective, ended)
    y = np.pad(ended, ((0, 0), (0, 7)))
    logits = np.pad(LOGITS, ((0, 0), (0, 7), (0, 0)), constant_values=3.0)
    found = figures(objective, y, logits)
    assert found[:2] == pytest.approx(expected[:2], abs=1e-6)
    np.testing.assert_allclose(found[2][:, :POSITIONS], expected[2], atol=1e-6)


def row_without_a_label(objective):
    """A row whose label is all padding, as those that fill up a batch, adds nothing."""
    expected = figures(objective, Y)
    weights = np.concatenate([objective.weigh(Y, X), np.zeros((3, POSITIONS), "float32")])
    y, logits = np.concatenate([Y, Y[:3]]), np.concatenate([LOGITS, -LOGITS[:3]])
    found = figures(objective, y, logits, weights=weights)
    assert found[:2] == pytest.approx(expected[:2], abs=1e-6)
    np.testing.assert_allclose(found[2][:ROWS], expected[2], atol=1e-6)


LAWS = (behind_the_end, more_padding, row_without_a_label)


@pytest.mark.parametrize("law", LAWS)
def test_the_law_holds(law):
    law(OURS)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_law_catches_the_mutant(mutant):
    assert broken(LAWS, MUTANTS[mutant])


def test_figures_of_a_stack_of_batches_and_of_the_evaluator_agree():
    keras.utils.set_random_seed(0)
    ids = keras.Input((4,), dtype="int32")
    wide = keras.layers.Dense(POSITIONS * IDS)(keras.layers.Flatten()(keras.layers.Embedding(IDS, 6)(ids)))
    model = compiled(ids, keras.layers.Reshape((POSITIONS, IDS))(wide))
    rows = Rows(X.astype(np.uint8), Y.astype(np.uint8))
    read = read_whole(model.predict(X, verbose=0), Y, PAD)
    report = measure(Answered(np.ones(ROWS, int), {}, {CANDIDATE: read}), (), positive=None, whole=True)
    # 24 rows do not fill the last batch of 7.
    made = stacks(rows, steps=2, batch_size=7, lengths=(4,), seed=0, epochs=[0], pad_id=PAD)
    measured = report.overall.metrics[CANDIDATE]
    assert_measured(model, rows, made, (ROWS, 7, 1), measured, pad_id=PAD)
