"""What a model has to beat: the most frequent answer, and a linear model on counts of ids. No TFX."""

import logging
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from maskline.components.evaluation.report import LINEAR, MAJORITY

MOST_ROWS = 50_000  # that the linear model is fitted to; of more, a random sample
# Of the linear model's optimizer; with more steps, or nearer to the end, nothing that matters here changes.
_STEPS, _NEAR = 50, 1e-3

logger = logging.getLogger(__name__)


class Batch(NamedTuple):
    """Rows as counts: [rows, features · vocabulary] how often a feature holds an id; labels [rows].

    Where labels have several positions, they are [rows, positions]. Where each id of a feature has one, each
    label has its own counts, [labels, 3 · vocabulary]; see `neighbours`.
    """

    counts: scipy.sparse.csr_matrix
    label: NDArray[np.int64]


class Baselines:
    """Learns from training rows, and answers with logits as a model does.

    Args:
      batches: training rows.
      size: of the vocabulary.
      linear: whether to fit the linear model, too.
      seed: of the sample.
    """

    def __init__(self, batches: Iterable[Batch], size: int, *, linear: bool, seed: int = 0) -> None:
        self._size, self._is_linear = size, linear
        self.label_rows = np.zeros(size, np.int64)
        self._sample = _Sample(np.random.default_rng(seed), MOST_ROWS if linear else 0)
        for batch in batches:
            self.add(batch)
        self.fit()

    def add(self, batch: Batch) -> None:
        """Takes in training rows; `fit` learns from them."""
        self.label_rows += np.bincount(batch.label, minlength=self._size)
        self._sample.add(batch)

    def fit(self) -> None:
        """Fits the linear model to the rows so far, and forgets their counts."""
        fits = self._is_linear and len(self.labels) > 1
        self._linear = LinearModel(self._sample.rows()) if fits else None
        self._sample.clear()

    @property
    def labels(self) -> NDArray[np.int64]:
        """The ids that are a training row's label."""
        return np.flatnonzero(self.label_rows)

    @property
    def positive(self) -> int | None:
        """The rarer of two labels; None where there are not two."""
        labels = self.labels
        return int(labels[np.argmin(self.label_rows[labels])]) if len(labels) == 2 else None

    def logits(self, counts: scipy.sparse.csr_matrix) -> dict[str, NDArray[np.float64]]:
        """Each baseline's logarithms of probabilities, [rows, vocabulary]."""
        shares = self.label_rows / max(1, self.label_rows.sum())
        found = {MAJORITY: np.tile(shares, (counts.shape[0], 1))}
        if self._linear:
            found[LINEAR] = np.zeros((counts.shape[0], self._size))
            found[LINEAR][:, self._linear.classes] = self._linear.probabilities(counts)
        return {name: np.log(self._smoothed(probability)) for name, probability in found.items()}

    def _smoothed(self, probability: NDArray[np.float64]) -> NDArray[np.float64]:
        """As if each answer had been seen once more (Laplace): no label costs infinity."""
        rows = self.label_rows.sum()
        return (probability * rows + 1) / (rows + self._size)


class _Sample:
    """A random sample of rows, each as likely as the others, that never holds more than twice the limit."""

    def __init__(self, rng: np.random.Generator, limit: int) -> None:
        self._rng, self._limit = rng, limit
        self._batches: list[tuple[NDArray[np.float64], Batch]] = []

    def add(self, batch: Batch) -> None:
        """Takes the rows in, and thins out all rows when they are too many."""
        if self._limit:
            self._batches.append((self._rng.random(len(batch.label)), batch))
            if sum(len(keys) for keys, _ in self._batches) > 2 * self._limit:
                self._thin()

    def rows(self) -> Batch:
        """The sample."""
        self._thin()
        return self._batches[0][1]

    def clear(self) -> None:
        """Lets go of the rows."""
        self._batches = []

    def _thin(self) -> None:
        keys = np.concatenate([keys for keys, _ in self._batches])
        counts = scipy.sparse.vstack([batch.counts for _, batch in self._batches], format="csr")
        label = np.concatenate([batch.label for _, batch in self._batches])
        kept = np.sort(np.argsort(keys)[: self._limit])
        self._batches = [(keys[kept], Batch(counts[kept], label[kept]))]


class LinearModel:
    """Multinomial logistic regression, as scikit-learn's `LogisticRegression`, whose import takes a second.

    What is minimized, each step towards it and where that ends are the same, and so are the weights.

    Args:
      rows: with labels of at least two classes.
    """

    def __init__(self, rows: Batch) -> None:
        self.classes, label = np.unique(rows.label, return_inverse=True)
        # Counts of 0 to 60 and of 0 to 1 side by side would need many more steps.
        highest = rows.counts.max(axis=0).toarray().ravel()
        self._scale = scipy.sparse.diags_array(1 / np.where(highest, highest, 1).astype(np.float64))
        kind, first = _alike(rows.counts)
        cells, times = np.unique(kind * len(self.classes) + label, return_counts=True)
        seen = _Seen((rows.counts[first] @ self._scale).tocsr(), *np.divmod(cells, len(self.classes)), times)
        self._weights = _fit(seen, len(self.classes))
        logger.info(
            "a linear model was fitted to %d training rows, of which %d differ", len(label), len(first)
        )

    def probabilities(self, counts: scipy.sparse.csr_matrix) -> NDArray[np.float64]:
        """Of each class in `classes`, [rows, classes]."""
        found, normalizer = _exponents(counts @ self._scale, self._weights)
        return np.exp(found - normalizer)


class _Seen(NamedTuple):
    """Training rows: counts [kinds, features] of each kind, and how often each kind has each class.

    Attributes:
      counts: of rows that differ.
      kind, label, times: [cells] where not 0.
    """

    counts: scipy.sparse.csr_matrix
    kind: NDArray[np.integer]
    label: NDArray[np.integer]
    times: NDArray[np.integer]


def _alike(counts: scipy.sparse.csr_matrix) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Finds equal rows: which kind each row is, [rows], and the first row of each kind."""
    # Sums of equal rows are equal, because they are added up in the same order; of others, nearly never.
    sums = counts @ np.random.default_rng(0).random(counts.shape[1])
    _, first, kind = np.unique(sums, return_index=True, return_inverse=True)
    if (counts != counts[first][kind]).nnz:
        return np.arange(len(kind)), np.arange(len(kind))
    return kind, first


def _exponents(
    counts: scipy.sparse.csr_matrix, weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The logarithm of each class's probability, [rows, classes], but for the normalizer, [rows, 1]."""
    found = counts @ weights[:-1]
    found += weights[-1]
    found -= found.max(axis=1, keepdims=True)
    return found, np.log(np.exp(found).sum(axis=1, keepdims=True))


def _fit(seen: _Seen, classes: int) -> NDArray[np.float64]:
    """The weights, [features + 1, classes], the last ones without a feature.

    They minimize the mean cross-entropy and half of the squares of all others, divided by the rows. Of two
    classes, the first one's stay 0.
    """
    # Here, because it takes a quarter of a second to import, which every run and every node would pay.
    from scipy.optimize import minimize

    turned = seen.counts.T.tocsr()
    rows = np.bincount(seen.kind, seen.times)[:, None]
    shape = (seen.counts.shape[1] + 1, classes)
    free = np.s_[:, 1:] if classes == 2 else np.s_[:, :]
    weights = np.zeros(shape)

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights[free] = values.reshape(weights[free].shape)
        found, normalizer = _exponents(seen.counts, weights)
        cost = np.vdot(rows, normalizer) - np.vdot(seen.times, found[seen.kind, seen.label])
        error = rows * np.exp(found - normalizer)
        error[seen.kind, seen.label] -= seen.times
        slope = np.vstack([turned @ error + weights[:-1], error.sum(axis=0)])
        total = rows.sum()
        return (cost + (weights[:-1] ** 2).sum() / 2) / total, slope[free].ravel() / total

    # As scikit-learn has them.
    options = {"maxiter": _STEPS, "maxls": 50, "gtol": _NEAR, "ftol": 64 * np.finfo(float).eps}
    with threadpool_limits(1):  # a second thread would only wait, and take a training's core meanwhile
        best = minimize(loss, np.zeros(weights[free].size), jac=True, method="L-BFGS-B", options=options)
    weights[free] = best.x.reshape(weights[free].shape)
    return weights
