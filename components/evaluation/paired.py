"""Compares two models that answered the same rows: McNemar's test and a bootstrap interval. Counts only."""

import math
from enum import StrEnum
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

RESAMPLES = 5_000
# An equal model should be held back in at most a tenth of all runs.
POWER = 0.9


class Pairs(BaseModel):
    """How two models answered the same rows.

    `better` rows only the candidate answered right, `worse` only the other model; on the rest both were
    right or both wrong.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    better: int
    worse: int

    @property
    def difference(self) -> float:
        """Candidate's accuracy less the other's."""
        return (self.better - self.worse) / self.rows if self.rows else 0.0

    @property
    def disagreement(self) -> float:
        """Share of the rows that exactly one of the two answered right."""
        return (self.better + self.worse) / self.rows if self.rows else 0.0


class Finding(StrEnum):
    """What the rows say of the candidate."""

    BETTER = "better"
    NOT_WORSE = "not worse by more than the margin"
    UNCLEAR = "worse or unclear"


class Comparison(NamedTuple):
    """A finding and its figures: ends of the interval, two-sided p, rows that the margin needs.

    `sign` is 1 where the candidate is better, -1 where it is worse, and else 0. Interval and exact test must
    agree: where few answers differ, the interval alone is too sure.
    """

    finding: Finding
    low: float
    high: float
    p: float
    rows_needed: int
    sign: int


def compare(pairs: Pairs, *, margin: float, confidence: float = 0.95, seed: int = 0) -> Comparison:
    """Tests whether the candidate is not worse than the other model by more than a margin.

    It is not where the whole two-sided interval of the difference lies above -margin (a test of
    non-inferiority), and better where McNemar's test rejects that both are equal, too.

    Args:
      pairs: the rows.
      margin: accuracy that may be lost.
      confidence: of the interval; 1 - confidence is the level of McNemar's test.
      seed: of the bootstrap.
    """
    low, high = interval(pairs, confidence=confidence, seed=seed)
    p = mcnemar(pairs)
    if low < -margin:
        finding = Finding.UNCLEAR
    elif pairs.better > pairs.worse and p < 1 - confidence:
        finding = Finding.BETTER
    else:
        finding = Finding.NOT_WORSE
    needed = rows_needed(pairs.disagreement, margin=margin, confidence=confidence)
    sign = ((low > 0) - (high < 0)) * (p < 1 - confidence)
    return Comparison(finding, low, high, p, needed, sign)


def mcnemar(pairs: Pairs, *, alternative: str = "two-sided") -> float:
    """McNemar's exact test: p where both models are equally often right.

    Of the rows on which one is right and the other wrong, each has half then, by the binomial distribution
    (McNemar 1947, Psychometrika 12).

    Args:
      pairs: the rows.
      alternative: `two-sided`, or `less` where the candidate is suspected to be worse.
    """
    # `binomtest` of scipy.stats gives the same, but takes a second to import, which `show` would pay.
    from scipy.special import bdtr

    unequal = pairs.better + pairs.worse
    fewer = pairs.better if alternative == "less" else min(pairs.better, pairs.worse)
    tails = 1 if alternative == "less" else 2
    return min(1.0, tails * float(bdtr(fewer, unequal, 0.5))) if unequal else 1.0


def interval(pairs: Pairs, *, confidence: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of the difference in accuracy.

    To draw rows with replacement is to draw the counts of their outcomes from a multinomial
    distribution, which takes as long for a million rows as for ten. Half a row is added to each of the four
    outcomes, as in Agresti and Min 2005 (Statistics in Medicine 24), or a few rows on which the models
    happen to agree would look like certainty.
    """
    if not pairs.rows:
        return -1.0, 1.0
    smoothed = np.array([pairs.better + 0.5, pairs.worse + 0.5]) / (pairs.rows + 2)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(pairs.rows, [*smoothed, max(0.0, 1 - smoothed.sum())], size=RESAMPLES)
    tail = (1 - confidence) / 2
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / pairs.rows, [tail, 1 - tail])
    return float(low), float(high)


def smallest_margin(pairs: Pairs, *, confidence: float = 0.95) -> float:
    """The margin for which these rows are enough; the inverse of `rows_needed`."""
    normal = NormalDist()
    z = normal.inv_cdf(0.5 + confidence / 2) + normal.inv_cdf(POWER)
    return z * math.sqrt(pairs.disagreement / pairs.rows) if pairs.rows else math.inf


def rows_needed(disagreement: float, *, margin: float, confidence: float = 0.95) -> int:
    """Rows after which a model that is equal passes in `POWER` of all runs; normal approximation.

    The difference of one row is 1, 0 or -1 and its variance, for equal models, the disagreement.

    Args:
      disagreement: share of rows that exactly one of the two answers right.
      margin: accuracy that may be lost.
      confidence: of the two-sided interval.
    """
    if margin <= 0:
        return 0  # no number of rows shows that an equal model is not worse by nothing
    normal = NormalDist()
    z = normal.inv_cdf(0.5 + confidence / 2) + normal.inv_cdf(POWER)
    return math.ceil(z**2 * disagreement / margin**2)
