"""How far two distributions of ids may lie apart by chance. No TFX, no TensorFlow."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

_SPLITS = 200
_CELLS = 10**6  # counts that are drawn: of a large vocabulary fewer splits tell as much
_NORMAL = 3.719  # the normal distribution's 0.9999 quantile
_MOST = 10**8  # ids that are dealt out; of more, every other one or fewer: chance hardly matters there


def jensen_shannon(ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> NDArray[np.float64]:
    """The Jensen-Shannon divergence of two samples: 0 where their shares are equal, 1 where no id is common.

    Args:
      ours: [..., values] how often each value occurs in one sample.
      theirs: [..., values] the same in the other.

    Returns:
      [...] the divergence in bits (https://en.wikipedia.org/wiki/Jensen-Shannon_divergence).
    """
    p, q = (sample / sample.sum(axis=-1, keepdims=True) for sample in (ours, theirs))
    return _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2


def _entropy(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    return -np.sum(shares * np.log2(np.where(shares > 0, shares, 1)), axis=-1)


def chance(ours: Mapping[str, int], theirs: Mapping[str, int]) -> float:
    """The divergence that chance alone exceeds about once in 10,000 times.

    A permutation test: both samples are thrown together and dealt out anew, as two samples of the same
    sizes, which differ by chance alone, however rare the ids. A scaled chi-square distribution with the
    mean and variance of these divergences (Satterthwaite, Biometrics Bulletin 2, 1946) gives the far
    quantile, by Wilson and Hilferty (PNAS 17, 1931).

    Args:
      ours: id → how often it occurs in one sample.
      theirs: the same for the other.

    Returns:
      the bound in bits; 1 where a sample is empty.
    """
    values = sorted(ours.keys() | theirs.keys())
    counts = np.array([[sample.get(value, 0) for value in values] for sample in (ours, theirs)], np.int64)
    counts //= 1 + counts.sum() // _MOST
    pooled, size = counts.sum(axis=0), counts[0].sum()
    if not size or size == pooled.sum():
        return 1.0
    generator = np.random.default_rng(0)
    splits = max(20, min(_SPLITS, _CELLS // len(values)))
    dealt = generator.multivariate_hypergeometric(pooled, size, size=splits, method="marginals")
    divergences = jensen_shannon(dealt, pooled - dealt)
    mean, variance = float(np.mean(divergences)), float(np.var(divergences, ddof=1))
    if mean <= 0 or variance <= 0:
        return max(0.0, mean)
    freedom = 2 * mean**2 / variance
    return min(1.0, mean * (1 - 2 / (9 * freedom) + _NORMAL * math.sqrt(2 / (9 * freedom))) ** 3)
