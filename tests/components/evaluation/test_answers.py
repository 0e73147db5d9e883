"""Every figure of the evaluation, against scikit-learn and plain numpy on the same rows."""

import numpy as np
import pytest
from sklearn import metrics as sk

from maskline.components.evaluation.answers import BINS, Answered, measure, read_logits, together
from maskline.components.evaluation.report import CANDIDATE, LIVE, OVERALL

ROWS, WORDS = 400, ("a", "b", "c", "d", "e")


def softmax(logits):
    odds = np.exp(logits)
    return odds / odds.sum(-1, keepdims=True)


class Rows:
    """Labels and the logits of two models, each right a little more often than by chance."""

    def __init__(self, labels, seed=0):
        rng = np.random.default_rng(seed)
        self.label = rng.choice(labels, ROWS)
        right = np.eye(len(WORDS))[self.label]
        self.logits = {m: rng.normal(scale=2, size=right.shape) + right for m in (CANDIDATE, LIVE)}
        self.slices = {"half": np.where(np.arange(ROWS) < ROWS // 4, "first", "second")}

    def answered(self, positive=None, rows=slice(None)):
        label = self.label[rows]
        models = {name: read_logits(v[rows], label, positive) for name, v in self.logits.items()}
        return Answered(label, {name: v[rows] for name, v in self.slices.items()}, models)

    def report(self, positive=None):
        parts = [self.answered(positive, slice(0, 150)), self.answered(positive, slice(150, ROWS))]
        return measure(together(parts), WORDS, positive=positive, threshold=0.3)


@pytest.fixture(scope="module")
def many():
    return Rows([0, 1, 2, 3])


@pytest.fixture(scope="module")
def two():
    return Rows([1, 1, 1, 4])


def test_figures_are_those_of_scikit_learn(many):
    for part in many.report().slices:
        rows = np.ones(ROWS, bool) if part.name == OVERALL else many.slices["half"] == part.name[5:]
        label = many.label[rows]
        for model, logits in many.logits.items():
            probability, answer = softmax(logits[rows]), logits[rows].argmax(-1)
            recall = sk.recall_score(label, answer, average=None, labels=np.unique(label))
            assert part.metrics[model] == pytest.approx(
                {
                    "example_count": rows.sum(),
                    "loss": sk.log_loss(label, probability, labels=range(len(WORDS))),
                    "accuracy": sk.accuracy_score(label, answer),
                    "top3_accuracy": sk.top_k_accuracy_score(
                        label, probability, k=3, labels=range(len(WORDS))
                    ),
                    "calibration_error": calibration_error(label, probability),
                    "macro_f1": sk.f1_score(label, answer, average="macro"),
                    "balanced_accuracy": recall.mean(),
                },
                rel=1e-9,
            )


def test_every_answer_has_precision_recall_and_f1(many):
    [overall, *_] = many.report().slices
    answer = many.logits[CANDIDATE].argmax(-1)
    precision, recall, f1, rows = sk.precision_recall_fscore_support(
        many.label, answer, labels=range(len(WORDS)), zero_division=0
    )
    for i, word in enumerate(WORDS):
        found = overall.classes[CANDIDATE][word]
        assert (found.precision, found.recall, found.f1, found.rows) == pytest.approx(
            (precision[i], recall[i], f1[i], rows[i])
        )


def test_two_answers_have_areas_under_curves_and_a_confusion_matrix(two):
    report = two.report(positive=4)
    assert report.positive == "e"
    probability = softmax(two.logits[CANDIDATE])[:, 4]
    found = report.overall.metrics[CANDIDATE]
    assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(two.label == 4, probability))
    assert found["pr_auc"] == pytest.approx(sk.average_precision_score(two.label == 4, probability))
    assert "top3_accuracy" not in found
    at = report.overall.at_threshold[CANDIDATE]
    matrix = sk.confusion_matrix(two.label == 4, probability >= 0.3)
    counted = [[at.true_negatives, at.false_positives], [at.false_negatives, at.true_positives]]
    assert counted == matrix.tolist()


def test_eval_rows_with_a_third_answer_have_no_areas_under_curves(many):
    report = many.report(positive=3)
    assert report.positive == ""
    assert not {"roc_auc", "pr_auc"} & set(report.overall.metrics[CANDIDATE])


def calibration_error(labels, probability):
    confidence, right = probability.max(-1), probability.argmax(-1) == labels
    expected = 0.0
    for low in np.arange(BINS) / BINS:
        inside = (confidence >= low) & (confidence < low + 1 / BINS)
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return expected


def test_standard_errors_are_those_of_drawing_the_rows_again(two):
    errors = two.report(positive=4).overall.standard_errors[CANDIDATE]
    rng, drawn = np.random.default_rng(1), []
    for _ in range(100):
        rows = rng.integers(0, ROWS, ROWS)
        models = {CANDIDATE: read_logits(two.logits[CANDIDATE][rows], two.label[rows], 4)}
        again = measure(Answered(two.label[rows], {}, models), WORDS, positive=4)
        drawn.append([again.overall.metrics[CANDIDATE][name] for name in errors])
    expected = dict(zip(errors, np.std(drawn, axis=0), strict=True))
    # Boyd's error of the area under the precision-recall curve is known to be too wide.
    assert expected["pr_auc"] < errors.pop("pr_auc") < 2 * expected.pop("pr_auc")
    assert errors == pytest.approx(expected, rel=0.25)


def test_certain_and_right_is_perfectly_calibrated():
    label = np.array([1, 1, 1])
    models = {CANDIDATE: read_logits(np.array([[0.0, 1000.0]] * 3), label, None)}
    found = measure(Answered(label, {}, models), WORDS, positive=None).overall
    assert (found.metrics[CANDIDATE]["calibration_error"], found.metrics[CANDIDATE]["loss"]) == (0, 0)


def test_answers_of_two_models_are_paired_overall_and_for_each_label(many):
    overall = many.report().overall
    ours, theirs = (many.logits[name].argmax(-1) == many.label for name in (CANDIDATE, LIVE))
    pairs = overall.pairs[LIVE]
    assert (pairs.rows, pairs.better, pairs.worse) == (ROWS, (ours & ~theirs).sum(), (~ours & theirs).sum())
    by_label = overall.answers[LIVE]
    assert sum(p.better for p in by_label.values()) == pairs.better
    assert by_label["c"].worse == (~ours & theirs)[many.label == 2].sum()
    losses = [-np.log(softmax(many.logits[m])[np.arange(ROWS), many.label]) for m in (CANDIDATE, LIVE)]
    difference = losses[0] - losses[1]
    assert overall.losses[LIVE].mean == pytest.approx(difference.mean())
    assert overall.losses[LIVE].standard_error == pytest.approx(difference.std() / np.sqrt(ROWS))


def test_bins_of_the_reliability_diagram_make_the_calibration_error(many):
    report = many.report()
    for model, bins in report.reliability.items():
        assert sum(one.rows for one in bins) == ROWS
        assert all(one.low <= one.probability <= one.high for one in bins)
        error = sum(one.rows * abs(one.probability - one.right) for one in bins) / ROWS
        assert error == pytest.approx(report.overall.metrics[model]["calibration_error"])


def test_confusion_matrix_is_that_of_scikit_learn(many):
    cells = {(c.label, c.answer): c.rows for c in many.report().confusion}
    answers = many.logits[CANDIDATE].argmax(-1)
    matrix = sk.confusion_matrix(many.label, answers, labels=range(len(WORDS)))
    assert cells == {(WORDS[a], WORDS[b]): n for (a, b), n in np.ndenumerate(matrix) if n}


def test_a_threshold_decides_between_two_and_is_measured():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 500)
    logits = rng.normal(size=(500, 2)) + 1.5 * np.eye(2)[label]
    probability = (np.exp(logits) / np.exp(logits).sum(-1, keepdims=True))[:, 1]
    at = {threshold: read_logits(logits, label, 1, second_from=threshold) for threshold in (None, 0.5, 0.8)}
    np.testing.assert_array_equal(at[None].answer, at[0.5].answer)
    np.testing.assert_array_equal(at[0.8].answer, probability >= 0.8)
    np.testing.assert_allclose(
        at[0.8].probability, np.where(probability >= 0.8, probability, 1 - probability)
    )
    np.testing.assert_array_equal(at[0.8].loss, at[None].loss)
    classes = measure(Answered(label, {}, {CANDIDATE: at[0.8]}), ("no", "yes"), positive=1).overall.classes
    assert classes[CANDIDATE]["yes"].answered == (probability >= 0.8).sum()


def test_answers_that_are_not_given_are_measured():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 500)
    answers = read_logits(rng.normal(size=(500, 3)) + 2 * np.eye(3)[label], label, None)
    report = measure(Answered(label, {}, {CANDIDATE: answers}), "abc", positive=None, abstain_below=0.7)
    metrics = report.overall.metrics[CANDIDATE]
    given = answers.probability >= 0.7
    assert metrics["coverage"] == given.mean()
    assert metrics["answered_accuracy"] == (answers.answer == label)[given].mean() > metrics["accuracy"]
    every = measure(Answered(label, {}, {CANDIDATE: answers}), "abc", positive=None).overall.metrics[
        CANDIDATE
    ]
    assert {n: v for n, v in metrics.items() if n not in ("coverage", "answered_accuracy")} == every
    none = measure(Answered(label, {}, {CANDIDATE: answers}), "abc", positive=None, abstain_below=0.9999999)
    assert none.overall.metrics[CANDIDATE]["coverage"] == 0
