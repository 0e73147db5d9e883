"""Metrics that TFMA lacks, as TFMA metrics: calibration of a softmax, standard errors, and paired answers."""

import tfx.components  # noqa: F401, before TFMA, which does not import whole without it

# isort: split
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from numpy.typing import NDArray
from tensorflow_model_analysis.metrics import metric_types, metric_util

CALIBRATION_ERROR = "calibration_error"
# Before the name of the metric that it is the standard error of.
STANDARD_ERROR = "standard_error of "
# Of the model that the candidate is compared with.
ONLY_CANDIDATE_RIGHT, ONLY_OTHER_RIGHT = "only_candidate_right", "only_other_right"

Counts = NDArray[np.float64]


class ExpectedCalibrationError(tfma.metrics.Metric):
    """How far probabilities are from the share of answers that are right (Guo et al. 2017, section 2).

    Rows are put into bins by the probability of their answer; the error is the mean distance, weighted by
    rows, between a bin's mean probability and its share of right answers. 0 is perfect, 1 the worst.

    Args:
      bins: of equal width, from 0 to 1.
      name: in TFMA's output.
    """

    def __init__(self, bins: int = 15, name: str = CALIBRATION_ERROR) -> None:
        super().__init__(_calibration_computations, bins=bins, name=name)


class StandardErrors(tfma.metrics.Metric):
    """Standard errors of the mean loss and of the expected calibration error, from one pass over the rows.

    Both are means over rows, so their error is the rows' standard deviation by the root of their number. A
    row adds to the calibration error what its probability is above its answer (1 if right, else 0), or below
    it, as its bin is; which of the two a bin is, is taken as certain (the delta method). TFMA's own way, to
    compute every metric on twenty resamples, took more than twice the processor time.

    Args:
      bins: as those of `ExpectedCalibrationError`.
      name: TFMA wants one; the figures are called `STANDARD_ERROR` and the metric's name.
    """

    def __init__(self, bins: int = 15, name: str = "standard_errors") -> None:
        super().__init__(_standard_error_computations, bins=bins, name=name)


class PairedAnswers(tfma.metrics.Metric):
    """Counts the rows that one of two models answers right and the other wrong.

    Args:
      candidate: the model that is compared with each of the others.
      name: TFMA wants one; the figures are called `ONLY_CANDIDATE_RIGHT` and `ONLY_OTHER_RIGHT`.
    """

    def __init__(self, candidate: str, name: str = "paired_answers") -> None:
        super().__init__(_paired_computations, candidate=candidate, name=name)


def _calibration_computations(
    bins: int, name: str, eval_config: Any = None, model_names: Any = None
) -> list[Any]:
    def error(sums: Counts) -> list[float]:
        rows, probability, right, *_ = sums.T
        return [float(np.abs(probability - right).sum() / rows.sum())]

    return [_softmax_computation(bins, name, [name], error, eval_config, model) for model in model_names]


def _standard_error_computations(
    bins: int, name: str, eval_config: Any = None, model_names: Any = None
) -> list[Any]:
    def errors(sums: Counts) -> list[float]:
        rows, probability, right, gaps, loss, losses = sums.T
        count = rows.sum()

        def error(mean: float, squares: float) -> float:
            return math.sqrt(max(0.0, squares / count - mean**2) / count)

        calibration = np.abs(probability - right).sum() / count
        return [error(loss.sum() / count, losses.sum()), error(calibration, gaps.sum())]

    figures = [STANDARD_ERROR + metric for metric in ("loss", CALIBRATION_ERROR)]
    return [_softmax_computation(bins, name, figures, errors, eval_config, model) for model in model_names]


def _softmax_computation(
    bins: int,
    name: str,
    figures: list[str],
    read_off: Callable[[Counts], list[float]],
    eval_config: Any,
    model: str,
) -> Any:
    """Sums by bin of the answer's probability: rows, probability, right answers, square of the gap between
    these two, loss and its square.
    """

    def row(answer: Callable[[str], tuple[int, Counts]]) -> tuple[int, tuple[float, ...]]:
        label, logits = answer(model)
        highest = logits.max()
        normalizer = highest + math.log(np.exp(logits - highest).sum())
        probability = math.exp(highest - normalizer)
        loss = float(normalizer - logits[label])
        place = min(int(probability * bins), bins - 1)
        right = float(logits.argmax() == label)
        return place, (1, probability, right, (probability - right) ** 2, loss, loss**2)

    keys = [metric_types.MetricKey(figure, model_name=model) for figure in figures]
    reader = _Reader(f"{name} {model}", row, eval_config)
    return metric_types.MetricComputation(keys, [reader], _Sum((bins, 6), keys, read_off))


def _paired_computations(
    candidate: str, name: str, eval_config: Any = None, model_names: Any = None
) -> list[Any]:
    def computation(other: str) -> Any:
        def row(answer: Callable[[str], tuple[int, Counts]]) -> tuple[int, tuple[float, ...]]:
            ours, others = (logits.argmax() == label for label, logits in map(answer, (candidate, other)))
            return 0, (ours > others, ours < others)

        names = (ONLY_CANDIDATE_RIGHT, ONLY_OTHER_RIGHT)
        keys = [metric_types.MetricKey(figure, model_name=other) for figure in names]
        reader = _Reader(f"{name} {other}", row, eval_config)
        return metric_types.MetricComputation(
            keys, [reader], _Sum((1, 2), keys, lambda sums: list(map(float, sums[0])))
        )

    return [computation(model) for model in model_names if model != candidate]


class _Reader(metric_types.Preprocessor):
    """Turns a row, once and not for each slice, into what it adds to the sums: (place, figures).

    Args:
      name: TFMA tells readers apart by it.
      row: given a function from a model's name to the label and its logits [classes].
      eval_config: names labels and predictions.
    """

    def __init__(self, name: str, row: Callable[..., Any], eval_config: Any) -> None:
        super().__init__(name=name)
        self._row, self._eval_config = row, eval_config

    def process(self, extracts: Any) -> Iterator[tuple[int, tuple[float, ...]]]:
        inputs = metric_util.to_standard_metric_inputs(extracts)

        def answer(model: str) -> tuple[int, Counts]:
            label, logits, _ = next(
                metric_util.to_label_prediction_example_weight(
                    inputs, eval_config=self._eval_config, model_name=model, flatten=False
                )
            )
            return int(np.ravel(label)[0]), np.ravel(logits).astype(np.float64)

        yield self._row(answer)


class _Sum(beam.CombineFn):
    """Adds up what `_Reader` gives, and turns the sums [places, figures] into one metric for each key."""

    def __init__(
        self, shape: tuple[int, int], keys: list[Any], figures: Callable[[Counts], list[float]]
    ) -> None:
        self._shape, self._keys, self._figures = shape, keys, figures

    def create_accumulator(self) -> Counts:
        return np.zeros(self._shape)

    def add_input(self, accumulator: Counts, row: tuple[int, tuple[float, ...]]) -> Counts:
        place, figures = row
        accumulator[place] += figures
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Counts]) -> Counts:
        return np.sum(list(accumulators), axis=0)

    def extract_output(self, accumulator: Counts) -> dict[Any, float]:
        return dict(zip(self._keys, self._figures(accumulator), strict=True))
