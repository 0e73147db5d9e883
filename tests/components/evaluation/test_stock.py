"""Our evaluator works on batches, and gives TFMA's own figures for each model and slice.

TFMA has no other of our metrics for several classes; test_answers.py compares those with scikit-learn.
"""

import apache_beam as beam
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest

from maskline.components.evaluation.baselines import Baselines
from maskline.components.evaluation.report import CANDIDATE, LIVE, OVERALL, read_evaluation
from maskline.components.evaluation.slices import default_slices
from maskline.transform.features import SequenceSpec, tokenize
from maskline.transform.samples import exercises
from tests.support import example

pytestmark = pytest.mark.slow

SPEC = SequenceSpec()
COUNT = 300
SLICES = default_slices(SPEC)


@pytest.fixture(scope="module")
def rows():
    made = exercises(COUNT, max_value=100, rng=np.random.default_rng(0))
    return [
        {**tokenize(f"{definitions}:{operation}", SPEC), "res": [SPEC.ids[symbol] for symbol in result]}
        for definitions, operation, result in made
    ]


@pytest.fixture(scope="module")
def logits(rows):
    """Of two models, each right a little more often than by chance."""
    rng = np.random.default_rng(1)
    right = np.eye(SPEC.size)[[row["res"][0] for row in rows]]
    return {
        name: (rng.normal(scale=2, size=right.shape) + 2 * right).astype(np.float32)
        for name in (CANDIDATE, LIVE)
    }


@pytest.fixture(scope="module")
def ours(rows, logits, tmp_path_factory):
    """`metrics.json`, computed in Beam from batches of TFMA's extracts."""
    from tensorflow_model_analysis import constants

    from maskline.components.evaluation import batched

    target = tmp_path_factory.mktemp("evaluation")
    evaluator = batched.evaluator(
        [CANDIDATE, LIVE], [], Baselines([], SPEC.size, linear=False), SLICES, SPEC,
        threshold=0.5, compared=(), target=str(target), split="eval",
    )  # fmt: skip
    serialized = np.array([example(**row) for row in rows], object)
    extracts = [
        {
            constants.INPUT_KEY: serialized[part],
            constants.PREDICTIONS_KEY: {name: {"logits": values[part]} for name, values in logits.items()},
        }
        for part in (slice(0, 7), slice(7, 200), slice(200, None))
    ]
    with beam.Pipeline("FnApiRunner") as pipeline:
        _ = pipeline | beam.Create(extracts) | evaluator.ptransform
    return read_evaluation(target)


def stock(rows, logits):
    """TFMA's own evaluator: slice → metric → value."""
    import tensorflow_model_analysis as tfma

    labels = [row["res"][0] for row in rows]
    table = pd.DataFrame({"label": labels, "prediction": list(logits)})
    for way in SLICES:
        table[way.name] = [way.value(row, SPEC) for row in rows]
    config = tfma.EvalConfig(
        model_specs=[tfma.ModelSpec(label_key="label", prediction_key="prediction")],
        metrics_specs=[
            tfma.MetricsSpec(
                metrics=[
                    tfma.MetricConfig(class_name="ExampleCount"),
                    tfma.MetricConfig(
                        class_name="SparseCategoricalCrossentropy",
                        config='"from_logits": true, "name": "loss"',
                    ),
                    tfma.MetricConfig(class_name="SparseCategoricalAccuracy", config='"name": "accuracy"'),
                    tfma.MetricConfig(
                        class_name="SparseTopKCategoricalAccuracy", config='"k": 3, "name": "top3_accuracy"'
                    ),
                ]
            )
        ],
        slicing_specs=[tfma.SlicingSpec(), *(tfma.SlicingSpec(feature_keys=[way.name]) for way in SLICES)],
    )
    result = tfma.analyze_raw_data(table, config)
    return {
        "=".join(key[0]) if key else OVERALL: {
            name: value["doubleValue"]
            for by_name in by_class.values()
            for metrics in by_name.values()
            for name, value in metrics.items()
        }
        for key, by_class in result.slicing_metrics
    }


@pytest.mark.parametrize("model", [CANDIDATE, LIVE])
def test_every_figure_of_every_slice_is_that_of_tfma(rows, logits, ours, model):
    expected = stock(rows, logits[model])
    assert {part.name for part in ours.slices} == set(expected)
    assert len(expected) > 8
    for part in ours.slices:
        theirs = expected[part.name]
        for name in ("example_count", "loss", "accuracy", "top3_accuracy"):
            assert part.metrics[model][name] == pytest.approx(theirs[name], abs=1e-6), (part.name, name)
