"""Intervals of metrics. No TensorFlow."""

import subprocess
import sys

import pytest
from scipy.stats import binomtest

from maskline.components.evaluation.intervals import metric_interval, wilson
from maskline.components.evaluation.report import SliceReport


@pytest.mark.parametrize(("right", "rows"), [(0, 1), (1, 1), (3, 7), (50, 1000), (1000, 1000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
def test_interval_of_a_share_is_scipy_s(right, rows, confidence):
    expected = binomtest(right, rows).proportion_ci(confidence, method="wilson")
    assert wilson(right / rows, rows, confidence) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_mean_has_the_normal_interval_and_other_metrics_none():
    part = SliceReport(
        name="",
        rows=100,
        metrics={"candidate": {"loss": 1.0, "accuracy": 0.5, "edit_distance": 2.0}},
        standard_errors={"candidate": {"loss": 0.6}},
    )
    found = {name: metric_interval(part, "candidate", name, 0.95) for name in part.metrics["candidate"]}
    assert found["loss"] == pytest.approx((0.0, 1 + 0.6 * 1.959964), abs=1e-6)
    assert found["accuracy"] == wilson(0.5, 100, 0.95)
    assert found["edit_distance"] is None


def test_commands_that_only_read_load_no_scipy_stats():
    """Its import takes a second, which each tick and each of these commands would pay."""
    loaded = (
        "import sys, maskline.pipeline.registry.garbage, maskline.components.pusher.serving;"
        "from maskline.components.evaluation.paired import Pairs, compare;"
        "compare(Pairs(rows=9, better=4, worse=1), margin=0);"
        "sys.exit('scipy.stats' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0
