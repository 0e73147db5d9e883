"""TFMA metrics of ours, against the same figures in plain numpy."""

import numpy as np
import pytest

from components.metrics import (
    ONLY_CANDIDATE_RIGHT,
    ONLY_OTHER_RIGHT,
    ExpectedCalibrationError,
    PairedAnswers,
    tfma,
)

ROWS, CLASSES, BINS = 400, 5, 10


@pytest.fixture(scope="module")
def answers():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, ROWS)
    logits = {name: rng.normal(scale=2, size=(ROWS, CLASSES)) for name in ("candidate", "baseline")}
    return labels, logits


def config(*models):

    return tfma.EvalConfig(
        model_specs=[tfma.ModelSpec(name=name, label_key="y", prediction_key="logits") for name in models]
    )


def compute(metric, rows, eval_config):
    """As TFMA does: reads each row once, adds up in two parts, merges them."""
    found = {}
    names = [spec.name for spec in eval_config.model_specs]
    for computation in metric.computations(eval_config=eval_config, model_names=names):
        [reader], combiner = computation.preprocessors, computation.combiner
        parts = []
        for half in (rows[: len(rows) // 3], rows[len(rows) // 3 :]):
            sums = combiner.create_accumulator()
            for row in half:
                for read in reader.process(row):
                    sums = combiner.add_input(sums, read)
            parts.append(sums)
        values = combiner.extract_output(combiner.merge_accumulators(parts))
        found |= {(key.model_name, key.name): value for key, value in values.items()}
    return found


def test_calibration_error_of_one_model(answers):
    labels, logits = answers
    rows = [
        {"labels": np.array([label]), "predictions": {"logits": row}}
        for label, row in zip(labels, logits["candidate"], strict=True)
    ]
    [(_, found)] = compute(ExpectedCalibrationError(bins=BINS), rows, config("")).items()
    odds = np.exp(logits["candidate"])
    confidence = (odds / odds.sum(-1, keepdims=True)).max(-1)
    right = logits["candidate"].argmax(-1) == labels
    expected = 0.0
    for low in np.arange(BINS) / BINS:
        inside = (confidence >= low) & (confidence < low + 1 / BINS)
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    assert found == pytest.approx(expected)
    assert found > 0.2  # random answers, and sure of them


def test_certain_and_right_is_perfectly_calibrated():
    rows = [{"labels": np.array([1]), "predictions": {"logits": np.array([0.0, 1000.0])}}] * 3
    assert list(compute(ExpectedCalibrationError(), rows, config("")).values()) == [0.0]


def test_answers_of_two_models_are_paired(answers):
    labels, logits = answers
    rows = [
        {
            "labels": {name: np.array([label]) for name in logits},
            "predictions": {name: {"logits": values[n]} for name, values in logits.items()},
        }
        for n, label in enumerate(labels)
    ]
    found = compute(PairedAnswers(candidate="candidate"), rows, config("candidate", "baseline"))
    ours, others = (logits[name].argmax(-1) == labels for name in ("candidate", "baseline"))
    assert found == {
        ("baseline", ONLY_CANDIDATE_RIGHT): np.sum(ours & ~others),
        ("baseline", ONLY_OTHER_RIGHT): np.sum(~ours & others),
    }
