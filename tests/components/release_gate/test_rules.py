"""What blocks a release and what only informs, on figures made by hand."""

import numpy as np
import pytest
from pydantic import ValidationError

from maskline.components.evaluation.paired import Pairs
from maskline.components.evaluation.report import (
    BEST,
    CANDIDATE,
    LINEAR,
    LIVE,
    MAJORITY,
    OVERALL,
    ClassCounts,
    EvaluationReport,
    LossDifference,
    SliceReport,
    Unread,
)
from maskline.components.release_gate.rules import judge
from maskline.components.release_gate.settings import ReleaseGateSettings, Threshold
from maskline.components.verdict import Outcome

ROWS, ACCURACY = 2000, 0.76
RULES = ReleaseGateSettings()


def part(name, rows, better=0, worse=0, *, accuracy=ACCURACY, best=None, released=True, loss=(0, 0.01)):
    """A slice in which the live model has `ACCURACY` and all other metrics are equal."""
    others = {"loss": 0.7, "top3_accuracy": 0.95, "calibration_error": 0.03}
    models = {CANDIDATE: {"accuracy": accuracy, **others}}
    pairs = {}
    if released:
        models[LIVE] = {"accuracy": ACCURACY, **others}
        pairs[LIVE] = Pairs(rows=rows, better=better, worse=worse)
    if best:
        pairs[BEST] = Pairs(rows=rows, better=best[0], worse=best[1])
    return SliceReport(
        name=name,
        rows=rows,
        metrics=models,
        pairs=pairs,
        standard_errors={CANDIDATE: {"loss": 0.01}},
        losses={LIVE: LossDifference(mean=loss[0], standard_error=loss[1])} if released else {},
    )


def blocking(*slices, **rules):
    return [
        str(check) for check in judge(EvaluationReport(slices=slices), ReleaseGateSettings(**rules)).blocking
    ]


def test_without_a_live_model_thresholds_alone_decide():
    assert blocking(part(OVERALL, 10, accuracy=0.56, released=False)) == []
    assert blocking(part(OVERALL, 10, accuracy=0.54, released=False)) == [
        "accuracy: 0.5400; at least 0.5500 is needed"
    ]


@pytest.mark.parametrize(
    ("better", "worse", "require", "passes"),
    [
        (0, 0, "not-worse", True),  # the same answers
        (0, 0, "better", False),
        (150, 150, "not-worse", True),
        (200, 100, "better", True),
        (200, 100, "not-worse", True),
        (115, 185, "not-worse", False),  # worse by the margin
        (130, 170, "not-worse", False),  # not by as much, but it may be
    ],
)
def test_paired_test_against_the_live_model(better, worse, require, passes):
    assert (blocking(part(OVERALL, ROWS, better, worse), require=require) == []) is passes


def test_why_tells_what_was_found_and_what_is_needed():
    [why] = blocking(part(OVERALL, ROWS, 100, 200))
    assert why.startswith("accuracy against the live model: 0.0500 lower: worse, 95%: -0.0")
    assert why.endswith("(McNemar p 8e-09); not worse by more than 0.035 is needed, at 95%")


def test_comparisons_say_better_or_worse_in_words():
    checks = judge(
        EvaluationReport(slices=[part(OVERALL, ROWS, 200, 100, loss=(0.0064, 0.001))]), RULES
    ).checks
    words = {check.name: check.measured for check in checks}
    accuracy, loss = (words[f"{name} against the live model"] for name in ("accuracy", "loss"))
    assert accuracy.startswith("0.0500 higher: better, 95%: +0.0")
    assert loss.startswith("0.0064 higher: worse, 95%: +0.0044 … +0.0084")


@pytest.mark.parametrize(
    ("better", "worse", "linear", "said"),
    [
        (0, 6, Outcome.BLOCKED, "worse"),
        (0, 5, Outcome.WARNED, "no clear difference"),  # McNemar p 0.0625, though the interval ends below 0
        (5, 0, Outcome.WARNED, "no clear difference"),
        (6, 0, Outcome.PASSED, "better"),
    ],
)
def test_few_answers_that_differ_are_no_certainty(better, worse, linear, said):
    overall = part(OVERALL, 449, released=False)
    overall.pairs[LINEAR] = overall.pairs[MAJORITY] = Pairs(rows=449, better=better, worse=worse)
    overall.metrics[LINEAR] = overall.metrics[MAJORITY] = {"accuracy": ACCURACY}
    checks = {c.name: c for c in judge(EvaluationReport(slices=[overall]), RULES).checks}
    check = checks["accuracy against a linear model on counts of ids"]
    assert (check.outcome, check.measured.split(": ")[1].split(",")[0]) == (linear, said)
    constant = checks["accuracy against always giving the most frequent answer"].outcome
    assert constant is (Outcome.PASSED if linear is Outcome.PASSED else Outcome.BLOCKED)


@pytest.mark.parametrize(
    ("balanced", "loss", "worse", "passes"),
    [
        (0.6, -0.04, 10, True),
        (0.6, -0.04, 40, False),  # more answers are lost than the rare ones that are found
        (0.6, 0.01, 10, False),  # it is too sure of what it does not know
        (0.55, -0.04, 10, False),  # 2.5 standard errors: less than beyond doubt
        (0.5, -0.04, 10, False),  # it never gives the rare answer
    ],
)
def test_model_that_tells_rare_answers_apart_is_better_than_a_constant(balanced, loss, worse, passes):
    overall = part(OVERALL, 800, released=False)
    overall.pairs[MAJORITY] = Pairs(rows=800, better=18, worse=worse)
    overall.metrics[CANDIDATE]["balanced_accuracy"] = balanced
    overall.metrics[MAJORITY] = {"accuracy": ACCURACY, "balanced_accuracy": 0.5}
    overall.standard_errors[CANDIDATE]["balanced_accuracy"] = 0.02
    overall.losses[MAJORITY] = LossDifference(mean=loss, standard_error=0.03)
    assert (blocking(overall) == []) is passes
    assert blocking(overall, min_gain=0.03) != []


def test_too_few_rows_are_said_with_the_number_needed():
    [check] = judge(EvaluationReport(slices=[part(OVERALL, 400, 30, 30)]), RULES).blocking
    assert check.details == (
        "400 eval rows settle a change of 0.0628, where the models disagree on 15.0% of them; "
        "for a margin of 0.035, 1,287 are needed: more data, the rows of more spans "
        "(evaluation.pool_window), or a wider margin",
    )
    [_, enough, *_] = judge(EvaluationReport(slices=[part(OVERALL, ROWS, 150, 150)]), RULES).checks
    assert enough.details == ()
    [certain] = judge(EvaluationReport(slices=[part(OVERALL, 400, 10, 90)]), RULES).blocking
    assert certain.details == ()


def test_chain_of_small_losses_is_caught_against_the_best():
    """Not worse than the live model, which was itself released a little worse than the one before."""
    fine = part(OVERALL, ROWS, 150, 160, best=(140, 190))
    assert blocking(fine) == []
    [why] = blocking(part(OVERALL, ROWS, 150, 160, best=(90, 230)))
    assert why.startswith("accuracy against the best released model: 0.0700 lower: worse, ")
    assert "not worse by more than 0.07 is needed" in why


def test_regression_on_one_slice_is_refused_and_named():
    overall = part(OVERALL, ROWS, 200, 180)
    times, plus = part("operator=*", 700, 40, 110), part("operator=+", 650, 90, 20)
    [why] = blocking(overall, times, plus)
    assert why.startswith("accuracy against the live model of operator=*: 0.1000 lower on 700 rows")


def test_small_slice_informs_and_does_not_block():
    verdict = judge(
        EvaluationReport(slices=[part(OVERALL, ROWS, 150, 150), part("operator=*", 99, 0, 60)]), RULES
    )
    assert verdict.passed
    [warned] = [check for check in verdict.checks if check.outcome is Outcome.WARNED]
    few = judge(EvaluationReport(slices=[part(OVERALL, ROWS, 150, 150), part("operator=*", 99)]), RULES)
    assert few.checks[-1].outcome is Outcome.IGNORED  # and no tick: it could not have blocked
    assert (warned.subject, warned.details[0]) == (
        "operator=*", "informs only: 99 rows, and release_gate.min_slice_rows is 100",
    )  # fmt: skip
    assert not judge(
        EvaluationReport(slices=[part(OVERALL, ROWS, 150, 150), part("operator=*", 100, 0, 60)]), RULES
    ).passed


def test_loss_in_a_slice_that_may_be_chance_does_not_block():
    assert blocking(part(OVERALL, ROWS, 150, 150), part("operator=*", 150, 12, 21)) == []


def test_loss_in_a_slice_within_its_margin_does_not_block():
    assert blocking(part(OVERALL, 40_000, 3000, 3000), part("operator=*", 9000, 600, 960)) == []


def test_equal_models_pass_the_whole_gate_in_nine_of_ten_runs():
    """The overall test and all slices together, at the sizes of the sample's slices."""
    sizes = [680, 670, 650, 950, 1050, 680, 900, 420]
    rng, held_back = np.random.default_rng(0), 0
    for _ in range(1000):
        draws = [rng.multinomial(rows, [0.085, 0.085, 0.83]) for rows in (ROWS, *sizes)]
        slices = [
            part(f"s={n}" if n else OVERALL, rows, better, worse)
            for n, (rows, (better, worse, _)) in enumerate(zip((ROWS, *sizes), draws, strict=True))
        ]
        held_back += not judge(EvaluationReport(slices=slices), RULES).passed
    assert held_back <= 100


@pytest.mark.parametrize(
    ("threshold", "why"),
    [
        ({"metric": "loss", "max": 0.5}, "loss: 0.7000 (0.6804 … 0.7196); at most 0.5000 is allowed"),
        (
            {"metric": "accuracy", "slice": "operator=*", "min": 0.5},
            "accuracy of operator=*: 0.4000 (0.3616 … 0.4397); at least",
        ),
        (
            {"metric": "accuracy", "slice": "operator", "min": 0.5},
            "accuracy of operator=*: 0.4000 (0.3616 … 0.4397); at least",
        ),
        (
            {"metric": "accuracy", "slice": "operator", "max_worse": 0.1},
            "accuracy against the live model of operator=*: 0.3600 lower: worse; up to 0.1000 worse is",
        ),
    ],
)
def test_thresholds_by_metric_and_slice(threshold, why):
    slices = (
        part(OVERALL, ROWS, 150, 150),
        part("operator=*", 600, 60, 60, accuracy=0.4),
        part("operator=+", 600, 60, 60),
    )
    [found] = blocking(*slices, thresholds=[Threshold(**threshold)])
    assert found.startswith(why)
    assert blocking(*slices) == []


@pytest.mark.parametrize(("optional", "outcome"), [(False, Outcome.BLOCKED), (True, Outcome.IGNORED)])
def test_threshold_for_a_slice_without_rows_blocks_unless_it_is_optional(optional, outcome):
    bar = Threshold(metric="loss", slice="operator=/", max=1, optional=optional)
    verdict = judge(
        EvaluationReport(slices=[part(OVERALL, ROWS, 150, 150)]), ReleaseGateSettings(thresholds=[bar])
    )
    assert (verdict.checks[-1].outcome, verdict.checks[-1].subject) == (outcome, "operator=/")


@pytest.mark.parametrize(("lost", "passes"), [(0.05, True), (0.11, True), (0.15, False)])
def test_loss_that_rose_blocks_beyond_its_margin_and_chance(lost, passes):
    whole = part(OVERALL, ROWS, 150, 150, loss=(lost, 0.02))
    assert (blocking(whole) == []) is passes
    assert blocking(whole, loss_margin=0.2) == []


FREQUENT, RARE = ("no", 1740), ("yes", 200)


@pytest.mark.parametrize(
    ("answer", "rows", "better", "worse", "passes"),
    [
        (*FREQUENT, 20, 105, False),  # 4.9 points, as found: its margin is that of all rows
        (*FREQUENT, 20, 70, True),
        (*RARE, 10, 40, False),  # 15 points
        (*RARE, 10, 34, True),  # 12 points, and it may lose 13.5
        ("yes", 90, 0, 60, True),  # too few rows
    ],
)  # fmt: skip
def test_answer_blocks_where_its_recall_fell_by_more_than_its_margin(answer, rows, better, worse, passes):
    pairs = {LIVE: {answer: Pairs(rows=rows, better=better, worse=worse)}}
    whole = part(OVERALL, ROWS, 150, 150).model_copy(update={"answers": pairs})
    found = blocking(whole)
    assert (found == []) is passes
    assert all(why.startswith(f"recall against the live model of answer '{answer}'") for why in found)


def test_bars_for_rare_answers():
    counts = {"yes": ClassCounts(rows=200, answered=100, right=50)}
    whole = part(OVERALL, ROWS, 150, 150).model_copy(update={"classes": {CANDIDATE: counts}})
    bars = [
        Threshold(metric="recall", answer="yes", min=0.3),
        Threshold(metric="precision", answer="yes", min=0.6),
        Threshold(metric="f1", answer="yes", min=0.4),
        Threshold(metric="roc_auc", min=0.8),
        Threshold(metric="recall", answer="maybe", min=0.1),
    ]  # fmt: skip
    assert blocking(whole, thresholds=bars) == [
        "recall of 'yes': 0.2500 (0.1951 … 0.3143); at least 0.3000 is needed",
        "precision of 'yes': 0.5000 (0.4038 … 0.5962); at least 0.6000 is needed",
        # Wilson's interval of 50 right answers to 250 rows, 0.1551 … 0.2540, as F1.
        "f1 of 'yes': 0.3333 (0.2686 … 0.4050); at least 0.4000 is needed",
        "roc_auc: it is defined for two answers, with rows of both; a bar is set for it",
        "recall of 'maybe': no eval row has the answer 'maybe', and none was given it; a bar is set for it",
    ]


@pytest.mark.parametrize(
    "bar", [{"metric": "recall", "min": 1}, {"metric": "accuracy", "answer": "yes", "min": 1}]
)
def test_metric_of_one_answer_needs_its_name_and_no_other_does(bar):
    with pytest.raises(ValidationError, match=r"of one answer: name it|answer is for precision"):
        Threshold(**bar)


def test_slice_of_which_no_row_is_right_is_said_aloud_however_small():
    checks = judge(
        EvaluationReport(slices=[part(OVERALL, ROWS, 150, 150), part("a=b", 23, accuracy=0)]), RULES
    ).checks
    [said] = [check for check in checks if check.kind == "slice_accuracy"]
    assert said.outcome is Outcome.WARNED
    assert str(said).startswith("accuracy of a=b: not one of its 23 rows is answered right")


def test_threshold_that_asks_nothing_is_refused():
    with pytest.raises(ValidationError, match="needs one of min, max, max_worse"):
        Threshold(metric="loss")


def test_rows_that_the_live_model_cannot_read_are_told():
    whole = part(OVERALL, ROWS, 200, 100)
    whole = whole.model_copy(update={"unread": {LIVE: Unread(rows=1200, labels=3)}})
    [_, against, _] = judge(EvaluationReport(slices=[whole]), RULES).checks
    assert against.outcome is Outcome.PASSED
    assert against.measured.endswith(
        "; the live model has another `sequence`: it cannot read 1,200 rows and does not know the label "
        "of 3, which count as wrong for it"
    )


@pytest.mark.parametrize(("accuracy", "held"), [(0.76, True), (0.4, False)])
def test_figures_of_a_check_are_those_that_it_was_decided_by(accuracy, held):
    rules = ReleaseGateSettings(min_accuracy=0.5, thresholds=(Threshold(metric="loss", max=1.2),))
    verdict = judge(EvaluationReport(slices=(part(OVERALL, ROWS, 10, 90, accuracy=accuracy),)), rules)
    scales = {(check.kind, check.name): check.scale for check in verdict.checks if check.scale}
    bar = scales["min_accuracy", "accuracy"]
    assert (bar.value, bar.limit, bar.at_least) == (accuracy, 0.5, True)
    assert (bar.value >= bar.limit) is held
    most = scales["thresholds", "loss"]
    assert (most.value, most.limit, most.at_least) == (0.7, 1.2, False)
    live = scales["require", "accuracy against the live model"]
    assert (live.value, live.limit) == (-0.04, -rules.margin)
    assert live.low < live.value < live.high
