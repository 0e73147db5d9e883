"""What blocks a release and what only informs, on figures made by hand."""

import numpy as np
import pytest
from pydantic import ValidationError

from maskline.components.evaluation.paired import Pairs
from maskline.components.evaluation.report import (
    BEST,
    CANDIDATE,
    LIVE,
    OVERALL,
    Report,
    SliceReport,
    Unread,
)
from maskline.components.release_gate.rules import judge
from maskline.components.release_gate.settings import ReleaseGateSettings, Threshold
from maskline.components.verdict import Outcome

ROWS, ACCURACY = 2000, 0.76
RULES = ReleaseGateSettings()


def part(name, rows, better=0, worse=0, *, accuracy=ACCURACY, best=None, released=True):
    """A slice in which the live model has `ACCURACY` and all other metrics are equal."""
    others = {"loss": 0.7, "top3_accuracy": 0.95, "calibration_error": 0.03}
    models = {CANDIDATE: {"accuracy": accuracy, **others}}
    pairs = {}
    if released:
        models[LIVE] = {"accuracy": ACCURACY, **others}
        pairs[LIVE] = Pairs(rows=rows, better=better, worse=worse)
    if best:
        pairs[BEST] = Pairs(rows=rows, better=best[0], worse=best[1])
    return SliceReport(name=name, rows=rows, metrics=models, pairs=pairs)


def blocking(*slices, **rules):
    return [str(check) for check in judge(Report(slices=slices), ReleaseGateSettings(**rules)).blocking]


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
    assert why.startswith("accuracy against the live model: worse or unclear: -0.0500, between -0.0")
    assert why.endswith("(McNemar p 8e-09); not worse by more than 0.035 is needed, at 95%")


def test_too_few_rows_are_said_with_the_number_needed():
    [check] = judge(Report(slices=[part(OVERALL, 400, 30, 30)]), RULES).blocking
    assert check.details == (
        "400 eval rows are too few for a margin of 0.035 where the models disagree on 15.0% of them; "
        "1,287 are needed: more data, the rows of more spans (evaluation.pool_window), or a wider margin",
    )
    [_, enough, *_] = judge(Report(slices=[part(OVERALL, ROWS, 150, 150)]), RULES).checks
    assert enough.details == ()
    [certain] = judge(Report(slices=[part(OVERALL, 400, 10, 90)]), RULES).blocking
    assert certain.details == ()


def test_chain_of_small_losses_is_caught_against_the_best():
    """Not worse than the live model, which was itself released a little worse than the one before."""
    fine = part(OVERALL, ROWS, 150, 160, best=(140, 190))
    assert blocking(fine) == []
    [why] = blocking(part(OVERALL, ROWS, 150, 160, best=(90, 230)))
    assert why.startswith("accuracy against the best released model: worse or unclear: -0.0700")
    assert "not worse by more than 0.07 is needed" in why


def test_regression_on_one_slice_is_refused_and_named():
    overall = part(OVERALL, ROWS, 200, 180)
    times, plus = part("operator=*", 700, 40, 110), part("operator=+", 650, 90, 20)
    [why] = blocking(overall, times, plus)
    assert why.startswith("accuracy of operator=*: -0.1000 against the live model on 700 rows")


def test_small_slice_informs_and_does_not_block():
    verdict = judge(Report(slices=[part(OVERALL, ROWS, 150, 150), part("operator=*", 99, 0, 60)]), RULES)
    assert verdict.passed
    [warned] = [check for check in verdict.checks if check.outcome is Outcome.WARNED]
    assert (warned.subject, warned.details[0]) == (
        "operator=*", "informs only: 99 rows, and release_gate.min_slice_rows is 100",
    )  # fmt: skip
    assert not judge(
        Report(slices=[part(OVERALL, ROWS, 150, 150), part("operator=*", 100, 0, 60)]), RULES
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
        held_back += not judge(Report(slices=slices), RULES).passed
    assert held_back <= 100


@pytest.mark.parametrize(
    ("threshold", "why"),
    [
        ({"metric": "loss", "max": 0.5}, "loss: 0.7000; at most 0.5000 is allowed"),
        (
            {"metric": "accuracy", "slice": "operator=*", "min": 0.5},
            "accuracy of operator=*: 0.4000; at least",
        ),
        ({"metric": "accuracy", "slice": "operator", "min": 0.5}, "accuracy of operator=*: 0.4000; at least"),
        (
            {"metric": "accuracy", "slice": "operator", "max_worse": 0.1},
            "change of accuracy of operator=*: -0.3600; worse than the live model by up to 0.1000 is allowed",
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


def test_threshold_for_a_slice_without_rows_warns():
    rules = ReleaseGateSettings(thresholds=[Threshold(metric="loss", slice="operator=/", max=1)])
    verdict = judge(Report(slices=[part(OVERALL, ROWS, 150, 150)]), rules)
    assert verdict.passed
    assert (verdict.checks[-1].outcome, verdict.checks[-1].subject) == (Outcome.WARNED, "operator=/")


def test_threshold_that_asks_nothing_is_refused():
    with pytest.raises(ValidationError, match="needs one of min, max, max_worse"):
        Threshold(metric="loss")


def test_rows_that_the_live_model_cannot_read_are_told():
    whole = part(OVERALL, ROWS, 200, 100)
    whole = whole.model_copy(update={"unread": {LIVE: Unread(rows=1200, labels=3)}})
    [_, against] = judge(Report(slices=[whole]), RULES).checks
    assert against.outcome is Outcome.PASSED
    assert against.measured.endswith(
        "; the live model has another `sequence`: it cannot read 1,200 rows and does not know the label "
        "of 3, which count as wrong for it"
    )
