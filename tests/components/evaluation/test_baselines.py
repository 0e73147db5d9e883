"""Baselines learn from training rows, and the release gate compares models with them."""

import numpy as np
import pytest
import scipy.sparse

from maskline.components.evaluation import baselines as module
from maskline.components.evaluation.answers import Answered, measure, read_logits
from maskline.components.evaluation.baselines import Baselines, Batch
from maskline.components.evaluation.report import BASELINES, CANDIDATE, LINEAR, MAJORITY
from maskline.components.release_gate.rules import judge
from maskline.components.release_gate.settings import ReleaseGateSettings

SIZE, WORDS = 12, tuple("abcdefghijkl")
NO, YES = 10, 11
SEEDS = range(20)


def rows(count, seed, *, positives=0.1, signal=4.0):
    """Ten features that may be there; the first three make `yes` more likely, unless `signal` is 0."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.5, (count, SIZE))
    score = signal * (counts[:, 0] + counts[:, 1] + counts[:, 2]) + rng.gumbel(size=count)
    label = np.where(score >= np.quantile(score, 1 - positives), YES, NO)
    return Batch(scipy.sparse.csr_matrix(counts.astype(np.float32)), label)


def judged(train, held_out, logits, **rules):
    """The release gate's verdict on a model that gave these logits, without a live model."""
    learned = Baselines([train], SIZE, linear=True)
    models = {CANDIDATE: read_logits(logits, held_out.label, learned.positive)}
    for name, others in learned.logits(held_out.counts).items():
        models[name] = read_logits(others, held_out.label, learned.positive)
    report = measure(Answered(held_out.label, {}, models), WORDS, positive=learned.positive)
    settings = ReleaseGateSettings(**{"min_accuracy": 0} | rules)
    return {check.name: check for check in judge(report, settings).blocking}


def test_majority_answers_the_most_frequent_label_with_its_share():
    train = rows(1_000, 0)
    learned = Baselines([train], SIZE, linear=False)
    logits = learned.logits(rows(50, 1).counts)
    assert set(logits) == {MAJORITY}
    assert (logits[MAJORITY].argmax(1) == NO).all()
    np.testing.assert_allclose(np.exp(logits[MAJORITY][:, YES]), (100 + 1) / (1_000 + SIZE))
    np.testing.assert_allclose(np.exp(logits[MAJORITY]).sum(1), 1)


def test_linear_model_learns_what_counts_of_ids_tell():
    train, held_out = rows(2_000, 0), rows(1_000, 1)
    logits = Baselines([train], SIZE, linear=True).logits(held_out.counts)
    accuracy = {name: (logits[name].argmax(1) == held_out.label).mean() for name in BASELINES}
    assert accuracy[MAJORITY] == pytest.approx(0.9, abs=0.01)
    assert accuracy[LINEAR] > 0.93


@pytest.mark.parametrize("classes", [2, 3, 11])
@pytest.mark.parametrize("features", [3, 30])  # of which many rows are alike, and few
@pytest.mark.filterwarnings("ignore:scipy.optimize. The `disp`:DeprecationWarning")
def test_linear_model_of_rows_that_differ_is_that_of_all_rows(classes, features):
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import MaxAbsScaler

    rng = np.random.default_rng(classes)
    counts = rng.poisson(0.5, (3_000, features)) * rng.integers(1, 9, features)
    counts[:, -1] = 0  # what no row holds
    wanted = counts @ rng.normal(size=(features, classes)) / 2 + rng.gumbel(size=(3_000, classes))
    train = Batch(scipy.sparse.csr_matrix(counts.astype(np.float32)), 2 * wanted.argmax(axis=1) + 1)
    scaler = MaxAbsScaler().fit(train.counts)
    theirs = LogisticRegression(max_iter=50, tol=1e-3).fit(scaler.transform(train.counts), train.label)
    held_out = scipy.sparse.csr_matrix(rng.poisson(0.5, (500, features)).astype(np.float32))
    ours = module.LinearModel(train)
    np.testing.assert_array_equal(ours.classes, theirs.classes_)
    expected = theirs.predict_proba(scaler.transform(held_out))
    np.testing.assert_allclose(ours.probabilities(held_out), expected, atol=1e-6)


def test_linear_model_is_fitted_to_a_sample_of_many_rows(monkeypatch):
    monkeypatch.setattr(module, "MOST_ROWS", 500)
    batches = [rows(400, seed) for seed in range(6)]
    learned = Baselines(batches, SIZE, linear=True)
    assert learned.label_rows.sum() == 2_400
    held_out = rows(1_000, 9)
    assert (learned.logits(held_out.counts)[LINEAR].argmax(1) == held_out.label).mean() > 0.92


def test_one_label_alone_needs_no_linear_model():
    train = Batch(rows(100, 0).counts, np.full(100, NO))
    assert set(Baselines([train], SIZE, linear=True).logits(train.counts)) == {MAJORITY}


def answering(answers, confidence=3.0):
    return confidence * np.eye(SIZE)[answers]


@pytest.mark.parametrize("seed", SEEDS)
def test_constant_is_blocked_with_the_reason_in_words(seed):
    held_out = rows(600, [1, seed])
    blocked = judged(rows(2_400, [0, seed]), held_out, answering(np.full(600, NO)))
    check = blocked["accuracy against always giving the most frequent answer"]
    assert check.kind == "min_gain"
    assert "0.0000 higher: no clear difference" in check.measured


@pytest.mark.parametrize("positives", [0.1, 0.4])
@pytest.mark.parametrize("seed", SEEDS)
def test_model_of_labels_without_any_signal_is_blocked(seed, positives):
    """Whatever it learned by heart: it says `yes` at random, as often as it was."""
    held_out = rows(600, [1, seed], positives=positives, signal=0)
    said = np.random.default_rng([2, seed]).random(600) < positives
    train = rows(2_400, [0, seed], positives=positives, signal=0)
    assert judged(train, held_out, answering(np.where(said, YES, NO)))


@pytest.mark.parametrize("seed", SEEDS)
def test_model_that_tells_rare_answers_is_let_through(seed):
    """As sure as it may be: 0.9 of the rows say `no`, and it finds most of the others."""
    train, held_out = rows(2_400, [0, seed]), rows(600, [1, seed])
    score = held_out.counts[:, :3].sum(axis=1).A1 if hasattr(held_out.counts, "A1") else None
    score = np.asarray(held_out.counts[:, :3].sum(axis=1)).ravel() if score is None else score
    logits = np.full((600, SIZE), -9.0)
    logits[:, NO], logits[:, YES] = 0, 3 * (score - 3.6)
    assert judged(train, held_out, logits) == {}


def test_gain_that_is_asked_for_is_needed():
    train, held_out = rows(2_400, 0), rows(600, 1)
    perfect = answering(held_out.label)
    assert judged(train, held_out, perfect) == {}
    assert set(judged(train, held_out, perfect, min_gain=0.2)) == {
        "accuracy against always giving the most frequent answer",
        "accuracy against a linear model on counts of ids",
    }
    assert judged(train, held_out, answering(np.full(600, NO)), min_gain=-1) == {}
