"""Intervals of metrics: of shares, and of means whose standard error was measured. No TensorFlow."""

from statistics import NormalDist

from maskline.components.evaluation.report import SliceReport

SHARES = ("accuracy", "top3_accuracy", "first_accuracy")  # of the rows


def metric_interval(
    part: SliceReport, model: str, metric: str, confidence: float
) -> tuple[float, float] | None:
    """The interval of one metric: Wilson's for a share of the rows, the normal one for a mean.

    Args:
      part: the rows, as they were measured.
      model: by name, such as `candidate`.
      metric: by name; the model has it.
      confidence: from 0 to 1.

    Returns:
      low and high; None for a metric that has no interval.
    """
    value = part.metrics[model][metric]
    error = part.standard_errors.get(model, {}).get(metric)
    if error is not None:
        reach = _z(confidence) * error
        return max(0.0, value - reach), value + reach
    if metric not in SHARES or not part.rows:
        return None
    return wilson(value, part.rows, confidence)


def wilson(share: float, rows: int, confidence: float) -> tuple[float, float]:
    """The interval of a share of some rows, which is valid for small counts too (Wilson 1927, JASA 22).

    Args:
      share: from 0 to 1.
      rows: their number, at least 1.
      confidence: from 0 to 1.
    """
    # scipy.stats has it too, but takes a second to import, which every command would pay.
    z = _z(confidence)
    middle = (share + z**2 / (2 * rows)) / (1 + z**2 / rows)
    reach = z / (1 + z**2 / rows) * (share * (1 - share) / rows + z**2 / (4 * rows**2)) ** 0.5
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)
