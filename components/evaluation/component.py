"""Evaluator: TFMA on candidate, live model and best released model. Measures, and decides nothing."""

import tfx.components  # noqa: F401, before TFMA, which does not import whole without it

# isort: split
import json
import tempfile
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis import constants
from tfx import types
from tfx.components.util import tfxio_utils
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import io_utils, path_utils

from maskline.components.evaluation import metrics, translation
from maskline.components.evaluation.paired import Pairs
from maskline.components.evaluation.report import (
    BASELINE,
    BEST,
    CANDIDATE,
    OVERALL,
    ClassCounts,
    Report,
    SliceReport,
    Unread,
)
from maskline.components.evaluation.slices import SliceSpec
from maskline.components.reads import ReadsPart
from maskline.transform.features import TARGET, SequenceSpec
from maskline.transform.names import EVAL, EVALUATION_FILE

_SLICE = "slice "  # before a slice's name, so that it is no feature's
_COUNT, _CONFUSION = "example_count", "confusion"


class EvaluatorSpec(ComponentSpec):
    """The eval split of the examples, and up to three models."""

    PARAMETERS = {
        "sequence": ExecutionParameter(type=str),
        "slices": ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "model": ChannelParameter(type=standard_artifacts.Model),
        "baseline_model": ChannelParameter(type=standard_artifacts.Model, optional=True),
        "best_model": ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS = {"evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation)}


class Executor(ReadsPart, base_beam_executor.BaseBeamExecutor):
    """Lets TFMA measure, then writes `metrics.json` beside its files."""

    READS = {"examples": (f"Split-{EVAL}",)}

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Reads the eval splits of all examples, so that rows are pooled over a window of spans."""
        spec = SequenceSpec.model_validate_json(exec_properties["sequence"])
        slices = [SliceSpec.model_validate(s) for s in json.loads(exec_properties["slices"])]
        target = artifact_utils.get_single_uri(output_dict["evaluation"])
        inputs = {CANDIDATE: "model", BASELINE: "baseline_model", BEST: "best_model"}
        models = {
            name: path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict[key]))
            for name, key in inputs.items()
            if input_dict.get(key)
        }
        with tempfile.TemporaryDirectory(prefix="maskline-translated-") as folder:
            others = [name for name, path in models.items() if translation.exported_spec(path) != spec]
            for name in others:
                translation.translate(models[name], f"{folder}/{name}", spec)
                models[name] = f"{folder}/{name}"
            self._measure(models, others, input_dict["examples"], slices, spec, target)
        with fileio.open(f"{target}/{EVALUATION_FILE}", "w") as file:
            file.write(read_report(target, spec).model_dump_json(indent=1))

    def _measure(
        self,
        models: dict[str, str],
        translated: list[str],
        examples: list[types.Artifact],
        slices: list[SliceSpec],
        spec: SequenceSpec,
        target: str,
    ) -> None:
        config = eval_config(list(models), slices, translated)
        shared = [
            tfma.default_eval_shared_model(
                path, model_name=name if len(models) > 1 else "", eval_config=config
            )
            for name, path in models.items()
        ]
        extractors = tfma.default_extractors(eval_shared_model=shared, eval_config=config)
        extractors.insert(1, slice_extractor(slices, spec))  # behind that of the features
        read = tfxio_utils.get_tfxio_factory_from_artifact(
            examples=examples,
            telemetry_descriptors=["Evaluator"],
            raw_record_column_name=constants.ARROW_INPUT_COLUMN,
        )
        with self._make_beam_pipeline() as pipeline:
            uris = artifact_utils.get_split_uris(examples, EVAL)
            rows = [
                pipeline | f"Read {n}" >> read(io_utils.all_files_pattern(uri)).BeamSource()
                for n, uri in enumerate(uris)
            ]
            _ = (
                rows
                | "Flatten" >> beam.Flatten()
                | "Evaluate"
                >> tfma.ExtractEvaluateAndWriteResults(
                    eval_shared_model=shared, eval_config=config, extractors=extractors, output_path=target
                )
            )


def eval_config(
    models: list[str], slices: list[SliceSpec], translated: Sequence[str] = ()
) -> tfma.EvalConfig:
    """What is measured of which models, on which slices; of translated models also what they cannot read."""
    measured = [
        tfma.MetricConfig(class_name="ExampleCount", config=json.dumps({"name": _COUNT})),
        _keras("SparseCategoricalCrossentropy", name="loss", from_logits=True),
        _keras("SparseCategoricalAccuracy", name="accuracy"),
        _keras("SparseTopKCategoricalAccuracy", name="top3_accuracy", k=3),
        tfma.MetricConfig(class_name="ExpectedCalibrationError", module=metrics.__name__),
        tfma.MetricConfig(class_name="StandardErrors", module=metrics.__name__),
        # Of logits, none of which is lower than that: every row has an answer.
        _keras("MultiClassConfusionMatrixAtThresholds", name=_CONFUSION, thresholds=[-1e30]),
    ]
    if len(models) > 1:
        paired = tfma.MetricConfig(
            class_name="PairedAnswers", module=metrics.__name__, config=json.dumps({"candidate": CANDIDATE})
        )
        measured.append(paired)
    if translated:
        counts = tfma.MetricConfig(
            class_name="TranslationCounts",
            module=translation.__name__,
            config=json.dumps({"models": list(translated)}),
        )
        measured.append(counts)
    model_specs = [
        tfma.ModelSpec(
            name=name if len(models) > 1 else "",
            is_baseline=name == BASELINE,
            signature_name="serving_default",
            preprocessing_function_names=["transform_features"],
            label_key=TARGET,
            prediction_key="logits",
        )
        for name in models
    ]
    by_slice = [tfma.SlicingSpec(feature_keys=[_SLICE + s.name]) for s in slices]
    return tfma.EvalConfig(
        model_specs=model_specs,
        slicing_specs=[tfma.SlicingSpec(), *by_slice],
        metrics_specs=[tfma.MetricsSpec(metrics=measured)],
    )


def _keras(class_name: str, **config: Any) -> tfma.MetricConfig:
    return tfma.MetricConfig(class_name=class_name, config=json.dumps(config))


def slice_extractor(slices: list[SliceSpec], spec: SequenceSpec) -> tfma.extractors.Extractor:
    """Adds a string feature for each slice, from the raw examples; the model's graph stays free of it."""

    def add(extracts: dict[str, Any]) -> dict[str, Any]:
        rows = [_ids(data) for data in extracts[constants.INPUT_KEY]]
        features = {_SLICE + s.name: np.array([s.value(row, spec).encode() for row in rows]) for s in slices}
        return {**extracts, constants.FEATURES_KEY: {**extracts[constants.FEATURES_KEY], **features}}

    return tfma.extractors.Extractor(stage_name="Slices", ptransform=beam.Map(add))


def _ids(data: bytes) -> dict[str, list[int]]:
    features = tf.train.Example.FromString(data).features.feature
    return {name: list(feature.int64_list.value) for name, feature in features.items()}


def read_report(folder: str, spec: SequenceSpec) -> Report:
    """Reads what TFMA wrote."""
    slices = [_slice_report(entry, spec) for entry in tfma.load_metrics(folder)]
    return Report(slices=tuple(sorted(slices, key=lambda s: s.name)))


def _slice_report(entry: Any, spec: SequenceSpec) -> SliceReport:
    figures: dict[str, dict[str, float]] = {}
    errors: dict[str, dict[str, float]] = {}
    classes: dict[str, dict[str, ClassCounts]] = {}
    for item in entry.metric_keys_and_values:
        model = item.key.model_name or CANDIDATE
        if item.key.is_diff:
            continue
        if item.key.name == _CONFUSION:
            [matrix] = item.value.multi_class_confusion_matrix_at_thresholds.matrices
            classes[model] = _class_counts(matrix.entries, spec)
        else:
            found = errors if item.key.name.startswith(metrics.STANDARD_ERROR) else figures
            metric = item.key.name.removeprefix(metrics.STANDARD_ERROR)
            found.setdefault(model, {})[metric] = item.value.double_value.value
    rows = int(figures[CANDIDATE][_COUNT])
    only = (metrics.ONLY_CANDIDATE_RIGHT, metrics.ONLY_OTHER_RIGHT)
    pairs = {
        model: Pairs(rows=rows, better=int(values.pop(only[0])), worse=int(values.pop(only[1])))
        for model, values in figures.items()
        if only[0] in values
    }
    unread = {
        model: Unread(
            rows=int(values.pop(translation.UNREADABLE)), labels=int(values.pop(translation.UNKNOWN_LABEL))
        )
        for model, values in figures.items()
        if translation.UNREADABLE in values
    }
    return SliceReport(
        name=_slice_name(entry.slice_key),
        rows=rows,
        metrics=figures,
        standard_errors=errors,
        pairs=pairs,
        unread=unread,
        classes=classes,
    )


def _slice_name(key: Any) -> str:
    for part in key.single_slice_keys:
        value = getattr(part, part.WhichOneof("kind"))
        text = value.decode() if isinstance(value, bytes) else str(value)
        return f"{part.column.removeprefix(_SLICE)}={text}"
    return OVERALL


def _class_counts(entries: Any, spec: SequenceSpec) -> dict[str, ClassCounts]:
    counts: dict[str, list[int]] = {}
    for entry in entries:
        number = int(entry.num_weighted_examples)
        actual, answered = (spec.vocabulary[i] for i in (entry.actual_class_id, entry.predicted_class_id))
        for symbol, what in ((actual, 0), (answered, 1)):
            counts.setdefault(symbol, [0, 0, 0])[what] += number
        counts[actual][2] += number if actual == answered else 0
    return {
        symbol: ClassCounts(rows=rows, answered=answered, right=right)
        for symbol, (rows, answered, right) in sorted(counts.items())
    }


class Evaluator(base_beam_component.BaseBeamComponent):
    """Measures models on the same rows, overall and by slice; TFX's Evaluator without its thresholds.

    Args:
      examples: raw examples with split `eval`; those of several spans count as one.
      model: the candidate.
      baseline_model: the live model, where there is one.
      best_model: the most accurate of the released models, where that is another.
      sequence: names of the data.
      slices: how to part the rows.
      fingerprint: of the source; part of the cache key.
    """

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        *,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        baseline_model: types.BaseChannel,
        best_model: types.BaseChannel,
        sequence: SequenceSpec,
        slices: Sequence[SliceSpec],
        fingerprint: str,
    ) -> None:
        spec = EvaluatorSpec(
            examples=examples,
            model=model,
            baseline_model=baseline_model,
            best_model=best_model,
            sequence=sequence.model_dump_json(),
            slices=json.dumps([s.model_dump() for s in slices]),
            fingerprint=fingerprint,
            evaluation=types.Channel(type=standard_artifacts.ModelEvaluation),
        )
        super().__init__(spec=spec)
