"""What a model has to beat: the most frequent answer, and a linear model on counts of ids. No TFX."""

import logging
import warnings
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from maskline.components.evaluation.report import LINEAR, MAJORITY

MOST_ROWS = 50_000  # that the linear model is fitted to; of more, a random sample
_STEPS = 50  # of the linear model's optimizer; more changes nothing that matters here

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
    """scikit-learn's logistic regression on counts, fitted once to each kind of row, by how many there are.

    Args:
      rows: with labels of at least two classes.
    """

    def __init__(self, rows: Batch) -> None:
        # Here, because scikit-learn takes a second to import, which every run and every node would pay.
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import MaxAbsScaler

        first, times = _kinds(rows)
        # Counts of 0 to 60 and of 0 to 1 side by side would need many more steps.
        self._scaler = MaxAbsScaler().fit(rows.counts[first])
        self._model = LogisticRegression(max_iter=_STEPS, tol=1e-3)
        with warnings.catch_warnings(), threadpool_limits(1):  # BLAS's second thread would only wait, busily
            warnings.simplefilter("ignore", ConvergenceWarning)
            # scikit-learn gives SciPy an option that SciPy will drop.
            warnings.filterwarnings("ignore", "scipy.optimize: The `disp`", DeprecationWarning)
            self._model.fit(self._scaler.transform(rows.counts[first]), rows.label[first], times)
        self.classes = self._model.classes_
        logger.info(
            "a linear model was fitted to %d training rows, of which %d differ", len(rows.label), len(first)
        )

    def probabilities(self, counts: scipy.sparse.csr_matrix) -> NDArray[np.float64]:
        """Of each class in `classes`, [rows, classes]."""
        found: NDArray[np.float64] = self._model.predict_proba(self._scaler.transform(counts))
        return found


def _kinds(rows: Batch) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Finds rows of the same counts and label: the first of each kind, and how many there are."""
    # Sums of equal rows are equal, because they are added up in the same order; of others, nearly never.
    sums = rows.counts @ np.random.default_rng(0).random(rows.counts.shape[1])
    keys = np.column_stack([sums, rows.label])
    _, first, kind, times = np.unique(
        keys, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    if (rows.counts != rows.counts[first][kind.ravel()]).nnz:
        return np.arange(len(rows.label)), np.ones(len(rows.label), np.intp)
    return first, times
