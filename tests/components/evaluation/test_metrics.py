"""TFMA metrics of ours, against the same figures in plain numpy."""

import numpy as np
import pytest

from maskline.components.evaluation.metrics import (
    ONLY_CANDIDATE_RIGHT,
    ONLY_OTHER_RIGHT,
    STANDARD_ERROR,
    ExpectedCalibrationError,
    PairedAnswers,
    StandardErrors,
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


def one_model(labels, logits):
    return [
        {"labels": np.array([label]), "predictions": {"logits": row}}
        for label, row in zip(labels, logits, strict=True)
    ]


def softmax(logits):
    odds = np.exp(logits)
    return odds / odds.sum(-1, keepdims=True)


def calibration_error(labels, logits):
    confidence, right = softmax(logits).max(-1), logits.argmax(-1) == labels
    expected = 0.0
    for low in np.arange(BINS) / BINS:
        inside = (confidence >= low) & (confidence < low + 1 / BINS)
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return expected


def test_calibration_error_of_one_model(answers):
    labels, logits = answers[0], answers[1]["candidate"]
    [(_, found)] = compute(ExpectedCalibrationError(bins=BINS), one_model(labels, logits), config("")).items()
    assert found == pytest.approx(calibration_error(labels, logits))
    assert found > 0.2  # random answers, and sure of them


def test_standard_errors_are_those_of_drawing_the_rows_again(answers):
    labels, logits = answers[0], answers[1]["candidate"]
    found = compute(StandardErrors(bins=BINS), one_model(labels, logits), config(""))
    losses = -np.log(softmax(logits)[np.arange(ROWS), labels])
    assert found["", STANDARD_ERROR + "loss"] == pytest.approx(losses.std() / np.sqrt(ROWS))
    rng = np.random.default_rng(1)
    draws = (rng.integers(0, ROWS, ROWS) for _ in range(500))
    drawn = np.std([calibration_error(labels[rows], logits[rows]) for rows in draws])
    assert found["", STANDARD_ERROR + "calibration_error"] == pytest.approx(drawn, rel=0.1)


def test_certain_and_right_is_perfectly_calibrated():
    rows = [{"labels": np.array([1]), "predictions": {"logits": np.array([0.0, 1000.0])}}] * 3
    assert list(compute(ExpectedCalibrationError(), rows, config("")).values()) == [0.0]
    assert list(compute(StandardErrors(), rows, config("")).values()) == [0.0, 0.0]


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
