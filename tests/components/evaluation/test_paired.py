"""The paired test: against a library's bootstrap, by counting, and by simulation of what it promises."""

from functools import cache

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap, norm

from maskline.components.evaluation.paired import Finding, Pairs, compare, interval, mcnemar, rows_needed
from maskline.components.release_gate.settings import ReleaseGateSettings

# What the sample run has: rows held out, and how often two trainings that differ by their seed disagree.
ROWS, DISAGREEMENT, MARGIN = 2000, 0.17, ReleaseGateSettings().margin
DRAWS = 1000


def draw(difference, rows=ROWS, disagreement=DISAGREEMENT, seed=0):
    """Models whose accuracies differ by `difference`: `DRAWS` evaluations on fresh rows."""
    shares = [(disagreement + difference) / 2, (disagreement - difference) / 2, 1 - disagreement]
    for better, worse, _ in np.random.default_rng(seed).multinomial(rows, shares, size=DRAWS):
        yield Pairs(rows=rows, better=better, worse=worse)


@cache
def findings(difference, **kwargs):
    return [compare(pairs, margin=MARGIN).finding for pairs in draw(difference, **kwargs)]


def test_equal_models_are_held_back_in_at_most_a_tenth():
    assert findings(0.0).count(Finding.UNCLEAR) <= 0.10 * DRAWS


def test_model_worse_by_the_margin_passes_in_at_most_a_twentieth():
    assert DRAWS - findings(-MARGIN).count(Finding.UNCLEAR) <= 0.05 * DRAWS


def test_equal_models_are_called_better_in_at_most_a_fortieth():
    """Half of the two-sided level."""
    assert findings(0.0).count(Finding.BETTER) <= 0.025 * DRAWS + 3 * np.sqrt(0.025 * DRAWS)


def test_model_that_is_better_by_twice_the_margin_is_called_better():
    assert findings(2 * MARGIN).count(Finding.BETTER) >= 0.95 * DRAWS


def test_rows_needed_are_needed():
    rows = rows_needed(DISAGREEMENT, margin=MARGIN)
    held_back = findings(0.0, rows=rows).count(Finding.UNCLEAR) / DRAWS
    assert 0.06 < held_back < 0.14


@pytest.mark.parametrize(("better", "worse"), [(150, 130), (20, 60), (5, 2), (300, 0)])
def test_interval_is_that_of_a_bootstrap_over_rows(better, worse):
    differences = np.repeat([1, -1, 0], [better, worse, ROWS - better - worse])
    library = bootstrap((differences,), np.mean, method="percentile", n_resamples=4000, rng=1, batch=500)
    expected = library.confidence_interval
    ours = interval(Pairs(rows=ROWS, better=better, worse=worse))
    assert ours == pytest.approx((expected.low, expected.high), abs=1.2e-3)


@pytest.mark.parametrize("alternative", ["two-sided", "less"])
@pytest.mark.parametrize(
    ("better", "worse"), [(0, 1), (3, 3), (4, 3), (12, 40), (300, 211), (0, 2000), (99_800, 100_300)]
)
def test_mcnemar_is_scipy_s_binomial_test(better, worse, alternative):
    expected = binomtest(better, better + worse, alternative=alternative).pvalue
    found = mcnemar(Pairs(rows=300_000, better=better, worse=worse), alternative=alternative)
    assert found == pytest.approx(expected, rel=1e-9)


def test_mcnemar_is_a_coin_on_the_rows_that_differ():
    """6 of 7: 2 · (7 + 1) of 2⁷ outcomes are as uneven; and 1 of 7 or fewer are 8 of 2⁷."""
    assert mcnemar(Pairs(rows=50, better=6, worse=1)) == pytest.approx(16 / 128)
    assert mcnemar(Pairs(rows=50, better=1, worse=6), alternative="less") == pytest.approx(8 / 128)
    assert mcnemar(Pairs(rows=50, better=0, worse=0)) == 1


def test_few_rows_that_agree_are_no_certainty():
    few, many = (Pairs(rows=rows, better=0, worse=0) for rows in (20, 2000))
    assert compare(few, margin=MARGIN).finding is Finding.UNCLEAR
    assert compare(many, margin=MARGIN).finding is Finding.NOT_WORSE
    assert compare(Pairs(rows=0, better=0, worse=0), margin=MARGIN).finding is Finding.UNCLEAR


def test_the_same_rows_give_the_same_interval_and_another_seed_nearly():
    pairs = Pairs(rows=ROWS, better=140, worse=160)
    assert interval(pairs) == interval(pairs) == pytest.approx(interval(pairs, seed=1), abs=1e-3)


def test_rows_needed_follow_the_normal_approximation():
    z = norm.ppf(0.975) + norm.ppf(0.9)
    assert rows_needed(0.1, margin=0.02) == int(np.ceil(z**2 * 0.1 / 0.02**2))
    assert rows_needed(0.1, margin=0) == 0
