"""Answers where each id of a feature has a label, against scikit-learn; and their baselines."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss, precision_recall_fscore_support

from maskline.components.evaluation.answers import Answered, measure
from maskline.components.evaluation.baselines import Batch
from maskline.components.evaluation.each import EachBaselines, neighbours, read_each
from maskline.components.evaluation.report import CANDIDATE, LINEAR, MAJORITY
from maskline.components.evaluation.rows import Lists, counted
from maskline.transform.features import SequenceSpec
from maskline.transform.task import TaskSpec

NAMES = ("a", "b", "c", "d")
NONE, ROWS, LENGTH = 4, 60, 7
RNG = np.random.default_rng(0)
REAL = (np.arange(LENGTH) >= 2) & (np.arange(LENGTH) < RNG.integers(3, LENGTH + 1, (ROWS, 1)))
LABEL = np.where(REAL, RNG.integers(0, 3, (ROWS, LENGTH)), NONE)  # none is of class d
LOGITS = RNG.normal(size=(ROWS, LENGTH, 4)) + 1.5 * np.eye(5)[LABEL][..., :4]
WORDS = SequenceSpec(
    features=("a", "b"), label="tags", length=LENGTH, vocabulary=tuple("_:xyz"), separator=":", padding="_",
    task=TaskSpec(kind="each", feature="b", classes=NAMES),
)  # fmt: skip


def measured(logits=LOGITS, slices=None):
    read = read_each(logits, LABEL, NONE)
    return measure(
        Answered(np.ones(ROWS, int), slices or {}, {CANDIDATE: read}), NAMES, positive=None, whole=True
    )


def test_figures_are_those_of_scikit_learn_over_all_labels():
    metrics = measured().overall.metrics[CANDIDATE]
    label, logits = LABEL[REAL], LOGITS[REAL]
    answer = logits.argmax(-1)
    probability = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    assert metrics["token_accuracy"] == pytest.approx((answer == label).mean())
    assert metrics["loss"] == pytest.approx(log_loss(label, probability, labels=range(4)))
    assert metrics["macro_f1"] == pytest.approx(f1_score(label, answer, average="macro"))
    in_full = [
        (row[real].argmax(-1) == y[real]).all() for row, y, real in zip(LOGITS, LABEL, REAL, strict=True)
    ]
    assert metrics["accuracy"] == pytest.approx(np.mean(in_full))
    assert {"first_accuracy", "edit_distance"}.isdisjoint(metrics)


def test_each_class_has_the_figures_of_its_labels():
    classes = measured().overall.classes[CANDIDATE]
    label, answer = LABEL[REAL], LOGITS[REAL].argmax(-1)
    expected = precision_recall_fscore_support(label, answer, labels=range(4), zero_division=0)
    for place, name in enumerate(NAMES):
        found = classes[name]
        assert (found.precision, found.recall, found.f1) == pytest.approx([e[place] for e in expected[:3]])
        assert found.rows == expected[3][place]


def test_a_slice_counts_the_labels_of_its_rows():
    which = np.where(np.arange(ROWS) % 2, "odd", "even")
    _, even, odd = measured(slices={"row": which}).slices
    together = even.classes[CANDIDATE]["a"].right + odd.classes[CANDIDATE]["a"].right
    assert together == measured().overall.classes[CANDIDATE]["a"].right
    assert even.rows + odd.rows == ROWS


@pytest.mark.parametrize("junk", [np.nan, 1e9])
def test_logits_where_no_label_is_change_nothing(junk):
    assert measured(np.where(REAL[..., None], LOGITS, junk)) == measured()


def test_logits_of_the_labels_alone_say_the_same():
    assert measured(LOGITS[REAL]) == measured()


def test_the_standard_error_is_that_of_other_rows():
    """Of 400 other draws of rows, the macro F1 spreads as the standard error of one says."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(400):
        drawn = rng.integers(0, ROWS, ROWS)
        label, answer = LABEL[drawn][REAL[drawn]], LOGITS[drawn][REAL[drawn]].argmax(-1)
        found.append(f1_score(label, answer, average="macro", labels=range(4), zero_division=0))
    error = measured().overall.standard_errors[CANDIDATE]["macro_f1"]
    assert error == pytest.approx(np.std(found), rel=0.25)


def test_raw_rows_have_labels_at_the_places_of_their_ids():
    rows = {
        "a": Lists(np.array([1, 3]), np.array([2, 2, 3])),
        "b": Lists(np.array([2, 3]), np.array([3, 4, 2])),
        "tags": Lists(np.array([2, 3]), np.array([0, 1, 3])),
    }
    batch = counted(rows, WORDS)
    assert batch.label.tolist() == [
        [NONE, NONE, 0, 1, NONE, NONE, NONE],
        [NONE, NONE, NONE, 3, NONE, NONE, NONE],
    ]
    own, before, behind = np.split(batch.counts.toarray(), 3, axis=1)
    assert own.argmax(1).tolist() == [3, 4, 2]
    assert before.sum(1).tolist() == [0, 1, 0]
    assert before[1].argmax() == 3
    assert behind.sum(1).tolist() == [1, 0, 0]
    assert behind[0].argmax() == 4


def test_the_linear_baseline_reads_the_ids_around_a_label():
    """A label says whether the id before it is the same: the most frequent one is of no use."""
    rng = np.random.default_rng(0)
    ids = rng.integers(2, 4, 900)
    ends = np.arange(3, 901, 3)
    same = np.array([1 if i % 3 and ids[i - 1] == 3 else 0 for i in range(900)])
    counts = neighbours(ends, ids, 5)
    baselines = EachBaselines([Batch(counts, same.reshape(-1, 3))], 2, no_label=2, linear=True)
    logits = baselines.logits(counts)
    assert (logits[LINEAR].argmax(-1) == same).mean() > 0.99
    assert set(logits[MAJORITY].argmax(-1)) == {0}
