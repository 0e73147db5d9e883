"""How far two samples' distributions of ids may lie apart by chance. No TFX, no TensorFlow."""

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskline.components.data_gate.resampling import FIFTHS, HALVES, PARTS

ALARMS = 1e-4  # of all comparisons, those in which chance alone exceeds the bound
_NORMAL = NormalDist().inv_cdf(1 - ALARMS)
_DEALS = 200
_CELLS = 10**6  # counts that are drawn: of a large vocabulary fewer deals tell as much
_MOST = 10**8  # ids that are assigned at random; of more, every other one or fewer: chance matters little
# The tail of an uneven deal is longer than that of the chi-square distribution where a few rows are much of
# the data; so much longer in simulations (tests/bench/false_alarms.py).
_LONGER_TAIL = 1.25
_SHIFTS = (1, 17, 47)  # between the parts of one sample and those of the other that they meet


class IdSample(NamedTuple):
    """One feature's ids in one split.

    Attributes:
      counts: id → how often it occurs.
      parts: id → [PARTS] how often it occurs in each random part of the rows (see `resampling.Parts`).
    """

    counts: Mapping[str, int]
    parts: Mapping[str, NDArray[np.int32]]


def jensen_shannon(ours: NDArray[np.number], theirs: NDArray[np.number]) -> NDArray[np.float64]:
    """The Jensen-Shannon divergence of two samples: 0 where their shares are equal, 1 where no id is common.

    Args:
      ours: [..., values] how often each value occurs in one sample.
      theirs: [..., values] the same in the other.

    Returns:
      [...] the divergence in bits (https://en.wikipedia.org/wiki/Jensen-Shannon_divergence).
    """
    # Here, because all of scipy.spatial takes longer to import than a gate takes to decide.
    from scipy.spatial.distance import jensenshannon

    # scipy gives the distance, which is the root of the divergence.
    return jensenshannon(ours, theirs, base=2, axis=-1) ** 2


def chance(ours: IdSample, theirs: IdSample) -> float:
    """The divergence that chance alone exceeds about once in 10,000 times (`ALARMS`).

    A permutation test: both samples are thrown together and dealt out anew. Were ids dealt out one by one,
    the multivariate hypergeometric distribution would tell how far two samples of these sizes differ. Rows
    and groups of equal rows are dealt out as one, so they differ more; by how much more (the design effect,
    Kish 1965), and how unevenly, follows from the random parts, in which rows and groups stayed together. A
    scaled chi-square distribution with that mean and variance (Satterthwaite, Biometrics Bulletin 2, 1946)
    gives the far quantile, by Wilson and Hilferty (PNAS 17, 1931).

    Args:
      ours: one sample.
      theirs: the other.

    Returns:
      the bound in bits; 1 where a sample is empty, or holds too few rows to tell.
    """
    values = sorted(ours.counts.keys() | theirs.counts.keys())
    counts = np.array([[s.counts.get(v, 0) for v in values] for s in (ours, theirs)], np.int64)
    if not counts.sum(axis=1).all():
        return 1.0
    pooled = counts.sum(axis=0)
    # A group of rows that is much of the data makes more of a difference where few are dealt to one side.
    uneven = counts.sum(axis=1).min() < 0.28 * pooled.sum()
    share, which, longer = (0.2, FIFTHS, _LONGER_TAIL) if uneven else (0.5, HALVES, 1.05)
    apart = _parts_and_rest(values, pooled, ours, theirs, which)
    if len(apart) < PARTS // 2:
        return 1.0
    thinned = counts // (1 + pooled.sum() // _MOST)
    pooled, size = thinned.sum(axis=0), int(thinned[0].sum())
    one_by_one = _one_by_one(pooled, int(pooled.sum() * share))
    if one_by_one <= 0:
        return 0.0
    design_effect = float(np.mean(apart)) / one_by_one
    mean = design_effect * _one_by_one(pooled, size)
    return min(1.0, longer * mean * _far(apart))


def _parts_and_rest(
    values: list[str], pooled: NDArray[np.int64], ours: IdSample, theirs: IdSample, which: slice
) -> NDArray[np.float64]:
    """The divergence between a part of both samples and the rest, for each part where both hold ids."""
    nothing = np.zeros(PARTS, np.int32)
    a, b = (np.stack([s.parts.get(v, nothing)[which] for v in values], axis=1) for s in (ours, theirs))
    parts = (part for shift in _SHIFTS for part in a + np.roll(b, shift, axis=0))
    both = ((part, pooled - part) for part in parts)
    return np.array([jensen_shannon(part, rest) for part, rest in both if part.any() and rest.any()])


def _one_by_one(pooled: NDArray[np.int64], size: int) -> float:
    """The mean divergence between `size` of the ids and the rest, each id assigned by itself."""
    deals = max(20, min(_DEALS, _CELLS // len(pooled)))
    generator = np.random.default_rng(0)
    dealt = generator.multivariate_hypergeometric(pooled, size, size=deals, method="marginals")
    return float(np.mean(jensen_shannon(dealt, pooled - dealt)))


def _far(divergences: NDArray[np.float64]) -> float:
    """How many times the mean the far quantile is."""
    mean, variance = float(np.mean(divergences)), float(np.var(divergences, ddof=1))
    if mean <= 0 or variance <= 0:
        return 1.0
    # Where a few rows are much of the data, these draws may have missed the worst: two standard errors more.
    kurtosis = float(np.mean(((divergences - mean) ** 2 / variance) ** 2))
    variance *= 1 + 2 * math.sqrt(max(0.0, kurtosis - 1) * len(_SHIFTS) / len(divergences))
    spread = variance / (9 * mean**2)  # 2 / (9 · degrees of freedom)
    return (1 - spread + _NORMAL * math.sqrt(spread)) ** 3
