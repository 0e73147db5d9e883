"""Our evaluator works on batches, and gives TFMA's own figures for each kind of task, model and slice.

Where an answer has positions, each is a row to TFMA, with the weight zero where it does not count. TFMA has
no other of our metrics for several classes; test_answers.py and test_each.py compare those with scikit-learn.
"""

from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest
from numpy.typing import NDArray

from maskline.components.evaluation.baselines import Baselines
from maskline.components.evaluation.each import EachBaselines
from maskline.components.evaluation.report import CANDIDATE, LIVE, OVERALL, read_evaluation
from maskline.components.evaluation.slices import default_slices
from maskline.components.evaluation.whole import WholeBaselines
from maskline.transform import whole
from maskline.transform.features import SequenceSpec, tokenize
from maskline.transform.samples import exercises
from maskline.transform.task import TaskSpec
from tests.bench.each import ROLES, roles
from tests.support import example

pytestmark = pytest.mark.slow

# By kind of task; TFMA takes its time for each position.
COUNT = {"first": 200, "whole": 100, "each": 60}
MODELS = {"first": (CANDIDATE, LIVE), "whole": (CANDIDATE,), "each": (CANDIDATE,)}
WAYS = default_slices(SequenceSpec())
SPECS = {
    "first": SequenceSpec(),
    "whole": SequenceSpec(task=TaskSpec(kind="whole", length=6)),
    "each": SequenceSpec(task=TaskSpec(kind="each", feature="defs", classes=ROLES)),
}


class Case(NamedTuple):
    """What models are asked.

    Attributes:
      spec: of the task.
      rows: feature name → ids, of inputs and label.
      label: [rows, positions], padded; with `first`, one position.
      counts: [rows, positions] which positions of the label count.
      logits: by model [rows, positions, answers].
    """

    spec: SequenceSpec
    rows: list[dict[str, list[int]]]
    label: NDArray[np.int64]
    counts: NDArray[np.bool_]
    logits: dict[str, NDArray[np.float32]]


def ways_of(spec):
    """Ways to divide the rows; labels of `each` have no sign."""
    return tuple(way for way in WAYS if not way.problem(spec))


@pytest.fixture(scope="module", params=SPECS)
def case(request):
    """Two models, each right a little more often than by chance, whatever they say at padding."""
    spec, rows, labels = SPECS[request.param], [], []
    for definitions, operation, result in exercises(
        COUNT[request.param], max_value=100, rng=np.random.default_rng(0)
    ):
        row = tokenize(f"{definitions}{spec.separator}{operation}", spec)
        if request.param == "each":
            ids = [ROLES.index(role) for role in roles(definitions)]
        else:
            ids = [spec.ids[symbol] for symbol in result]
        nothing = spec.pad_id if spec.no_label is None else spec.no_label
        labels.append((ids + [nothing] * spec.positions)[: spec.positions])
        rows.append({**row, spec.label: ids})
    label = np.array(labels)
    counts = {
        "first": np.ones(label.shape, bool),
        "whole": whole.real_positions(label, spec.pad_id),
        "each": label != spec.no_label,
    }[request.param]
    # No label has an id behind the last one.
    rng, right = np.random.default_rng(1), np.eye(len(spec.answers) + 1)[label][..., :-1]
    logits = {
        name: (rng.normal(size=right.shape) + 3 * right).astype(np.float32) for name in MODELS[request.param]
    }
    return Case(spec, rows, label, counts, logits)


@pytest.fixture(scope="module")
def ours(case, tmp_path_factory):
    """`metrics.json`, computed in Beam from batches of TFMA's extracts."""
    from tensorflow_model_analysis import constants

    from maskline.components.evaluation import batched

    target, spec = tmp_path_factory.mktemp("evaluation"), case.spec
    baselines: Any = Baselines([], spec.size, linear=False)
    if spec.task.kind == "whole":
        baselines = WholeBaselines([], spec.size, positions=spec.positions, pad_id=spec.pad_id, linear=False)
    elif spec.no_label is not None:
        baselines = EachBaselines([], len(spec.answers), no_label=spec.no_label, linear=False)
    evaluator = batched.evaluator(
        MODELS[spec.task.kind], [], baselines, ways_of(spec), spec,
        threshold=0.5, compared=(), target=str(target), split="eval",
    )  # fmt: skip
    serialized = np.array([example(**row) for row in case.rows], object)
    logits = {
        name: values[:, 0] if spec.task.kind == "first" else values for name, values in case.logits.items()
    }
    extracts = [
        {
            constants.INPUT_KEY: serialized[part],
            constants.PREDICTIONS_KEY: {name: {"logits": values[part]} for name, values in logits.items()},
        }
        for part in (slice(0, 7), slice(7, 50), slice(50, None))
    ]
    with beam.Pipeline("FnApiRunner") as pipeline:
        _ = pipeline | beam.Create(extracts) | evaluator.ptransform
    return read_evaluation(target)


def stock(case, metrics, label, prediction, weight):
    """TFMA's own evaluator: slice → metric → value.

    Args:
      case: the rows, which decide about slices.
      metrics: names of TFMA's metrics → ours, and their settings.
      label: [rows, positions],
      prediction: [rows, positions] of anything, and
      weight: [rows, positions].
    """
    import tensorflow_model_analysis as tfma

    positions = np.shape(label)[1]
    table = pd.DataFrame({
        "label": [one for row in label for one in row],
        "prediction": [one for row in prediction for one in row],
        "weight": np.ravel(weight).astype(float),
    })  # fmt: skip
    ways = ways_of(case.spec)
    for way in ways:
        table[way.name] = np.repeat([way.value(row, case.spec) for row in case.rows], positions)
    config = tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(label_key="label", prediction_key="prediction", example_weight_key="weight")
        ],
        metrics_specs=[
            tfma.MetricsSpec(
                metrics=[tfma.MetricConfig(class_name=name, config=given) for name, given in metrics.items()]
            )
        ],
        slicing_specs=[tfma.SlicingSpec(), *(tfma.SlicingSpec(feature_keys=[way.name]) for way in ways)],
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


def expected_of(case, model):
    """By slice, TFMA's figures under our names."""
    one = case.spec.task.kind == "first"
    logits, label = case.logits[model], np.where(case.counts, case.label, 0)
    of_positions = {
        "SparseCategoricalCrossentropy": '"from_logits": true, "name": "loss"',
        "SparseCategoricalAccuracy": f'"name": "{"accuracy" if one else "token_accuracy"}"',
    }
    if one:
        more = {"ExampleCount": "", "SparseTopKCategoricalAccuracy": '"k": 3, "name": "top3_accuracy"'}
        return stock(case, of_positions | more, label, logits, case.counts)
    found = stock(case, of_positions, label, logits, case.counts)
    # The positions of a row that count, as one text.
    of_label, of_answer = [
        [[" ".join(map(str, ids[counts]))] for ids, counts in zip(values, case.counts, strict=True)]
        for values in (label, logits.argmax(-1))
    ]
    names = {"ExampleCount": "", "ExactMatch": '"name": "accuracy"'}
    in_full = stock(case, names, of_label, of_answer, np.ones((len(label), 1)))
    return {name: figures | in_full[name] for name, figures in found.items()}


def test_every_figure_of_every_slice_is_that_of_tfma(case, ours):
    kind = case.spec.task.kind
    for model in MODELS[kind]:
        expected = expected_of(case, model)
        assert {part.name for part in ours.slices} == set(expected)
        assert len(expected) > (6 if kind == "each" else 8)
        for part in ours.slices:
            theirs = expected[part.name]
            more = "top3_accuracy" if kind == "first" else "token_accuracy"
            for name in ("example_count", "loss", "accuracy", more):
                found = part.metrics[model][name]
                assert found == pytest.approx(theirs[name], abs=1e-6), (model, part.name, name)
