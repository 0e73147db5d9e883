"""Margins from repeated seeds: three standard deviations, of what is measured on the same rows."""

import pytest

from maskline.components.evaluation.report import ClassCounts, EvaluationReport, SliceReport
from maskline.pipeline.margins import lines, margins, spreads
from maskline.transform.errors import InputError


def report(accuracy, loss, recall, *, rows=1000):
    """A quarter of the rows is labelled `yes`; a slice of 150 rows, and one that is too small to count."""
    metrics = {"example_count": rows, "accuracy": accuracy, "loss": loss}
    counts = {
        "yes": ClassCounts(rows=rows // 4, answered=9, right=round(recall * rows / 4)),
        "never": ClassCounts(rows=0, answered=3, right=0),
    }
    whole = SliceReport(name="", rows=rows, metrics={"candidate": metrics}, classes={"candidate": counts})
    parts = (
        SliceReport(name=f"length={n}", rows=count, metrics={"candidate": {"accuracy": accuracy * factor}})
        for n, (count, factor) in enumerate(((150, 0.5), (10, 0.1)))
    )
    return EvaluationReport(slices=(whole, *parts), split="test")


SEEDS = [report(0.80, 0.5, 0.4), report(0.82, 0.6, 0.6), report(0.84, 0.7, 0.8)]


def test_margins_are_three_standard_deviations():
    found = spreads(SEEDS)
    assert margins(found, min_slice_rows=100) == {
        "margin": pytest.approx(0.06),
        "loss_margin": pytest.approx(0.3),
        "answer_margin": pytest.approx(3 * 0.2 / 0.75),  # the gate multiplies by the share of other rows
        "slice_margin": pytest.approx(0.03),
    }
    assert {spread.answer for spread in found} == {"", "yes"}


def test_answers_and_slices_with_few_rows_set_no_margin():
    assert margins(spreads(SEEDS), min_slice_rows=500).keys() == {"margin", "loss_margin"}


def test_what_is_printed_can_be_pasted():
    found = spreads(SEEDS)
    told = list(lines(found, margins(found, min_slice_rows=100), 3))
    assert told[0] == "3 models on the same 1,000 rows:"
    assert "  accuracy: mean 0.8200, standard deviation 0.0200" in told
    assert "  recall of 'yes': mean 0.6000, standard deviation 0.2000" in told
    assert told[-5:] == [
        "release_gate:", "  margin: 0.0600", "  loss_margin: 0.3000", "  answer_margin: 0.8000",
        "  slice_margin: 0.0300",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reports", "problem"),
    [
        (SEEDS[:2], "2 runs were given; at least 3 with different seeds are needed"),
        ([*SEEDS[:2], report(0.8, 0.5, 0.4, rows=996)], "the runs measured different rows"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(reports, problem):
    with pytest.raises(InputError, match=problem):
        spreads(reports)
