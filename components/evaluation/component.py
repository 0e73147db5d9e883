"""Evaluator: measures candidate, live model, best released model and baselines; decides nothing."""

import tfx.components  # noqa: F401, before TFMA, which does not import whole without it

# isort: split
import json
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import apache_beam as beam
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2
from tfx import types
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import path_utils

from maskline.components.evaluation import batched, rows, translation
from maskline.components.evaluation.baselines import Baselines
from maskline.components.evaluation.each import EachBaselines
from maskline.components.evaluation.report import BEST, CANDIDATE, LINEAR, LIVE
from maskline.components.evaluation.settings import EvaluationSettings
from maskline.components.evaluation.slices import SliceSpec
from maskline.components.evaluation.whole import WholeBaselines
from maskline.components.reads import ReadsPart
from maskline.transform.features import TARGET, SequenceSpec
from maskline.transform.names import EVAL, TEST, TRAIN

# What asks the models. Labels and slices follow from the rows (`batched`), without another call of a model;
# for slices TFMA would also take the rows apart.
_ASKING = ("ExtractFeatures", "ExtractPredictions")


class EvaluatorSpec(ComponentSpec):
    """The held-out rows of the examples, what was trained on, and up to three models."""

    PARAMETERS = {
        "sequence": ExecutionParameter(type=str),
        "slices": ExecutionParameter(type=str),
        "settings": ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "training_examples": ChannelParameter(type=standard_artifacts.Examples),
        "model": ChannelParameter(type=standard_artifacts.Model),
        "live_model": ChannelParameter(type=standard_artifacts.Model, optional=True),
        "best_model": ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS = {"evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation)}


class Executor(ReadsPart, base_beam_executor.BaseBeamExecutor):
    """Fits the baselines, lets TFMA ask the models, and writes `metrics.json` beside TFMA's files."""

    READS = {
        "examples": (f"Split-{EVAL}", f"Split-{TEST}"),
        "training_examples": (f"Split-{TRAIN}",),
    }

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Reads the deciding rows of all examples, so that they are pooled over a window of spans."""
        settled = SequenceSpec.model_validate_json(exec_properties["sequence"])
        slices = [SliceSpec.model_validate(s) for s in json.loads(exec_properties["slices"])]
        settings = EvaluationSettings.model_validate_json(exec_properties["settings"])
        target = artifact_utils.get_single_uri(output_dict["evaluation"])
        inputs = {CANDIDATE: "model", LIVE: "live_model", BEST: "best_model"}
        models = {
            name: path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict[key]))
            for name, key in inputs.items()
            if input_dict.get(key)
        }
        specs = {name: translation.exported_spec(path) for name, path in models.items()}
        spec = settled.resolved(specs[CANDIDATE].vocabulary[len(settled.special) :])
        trained_on = artifact_utils.get_split_uris(input_dict["training_examples"], TRAIN)
        baselines = _baselines(trained_on, spec, linear=LINEAR in settings.baselines)
        deciding = rows.deciding(input_dict["examples"])
        # What was trained for another task answers other questions: there is nothing to compare.
        other_task = {
            n: theirs.task.kind for n, theirs in specs.items() if not theirs.task.same_answers(spec.task)
        }
        models = {name: path for name, path in models.items() if name not in other_task}
        others = [name for name in models if specs[name] != spec]
        evaluator = batched.evaluator(
            list(models),
            others,
            baselines,
            slices,
            spec,
            threshold=settings.threshold,
            compared=settings.baselines,
            split=TEST if {split for _, split in deciding} == {TEST} else EVAL,
            other_task=other_task,
            target=target,
        )
        with tempfile.TemporaryDirectory(prefix="maskline-translated-") as folder:
            for name in others:
                translation.translate(models[name], f"{folder}/{name}", spec)
                models[name] = f"{folder}/{name}"
            self._measure(models, [uri for uri, _ in deciding], evaluator, target)

    def _measure(
        self,
        models: dict[str, str],
        folders: list[str],
        evaluator: tfma.evaluators.Evaluator,
        target: str,
    ) -> None:
        config = eval_config(list(models))
        shared = [
            tfma.default_eval_shared_model(
                path, model_name=name if len(models) > 1 else "", eval_config=config
            )
            for name, path in models.items()
        ]
        extractors = tfma.default_extractors(eval_shared_model=shared, eval_config=config)
        files = [file for folder in folders for file in sorted(fileio.glob(f"{folder}/*"))]
        with self._make_beam_pipeline() as pipeline:
            _ = (
                pipeline
                | "Files" >> beam.Create(files)
                | "Spread" >> beam.Reshuffle()
                | "Read" >> beam.FlatMap(batched.read_batches)
                | "Evaluate"
                >> tfma.ExtractEvaluateAndWriteResults(
                    eval_shared_model=shared,
                    eval_config=config,
                    extractors=[e for e in extractors if e.stage_name in _ASKING],
                    evaluators=[evaluator],
                    output_path=target,
                )
            )


# Baselines that `prepare` fitted, by what they follow from.
_ready: dict[tuple[tuple[str, ...], str, bool], batched.AnyBaselines] = {}


def prepare(inputs: Mapping[str, list[types.Artifact]], parameters: Mapping[str, Any]) -> None:
    """Fits the baselines for `Executor.Do` in the same process, before there is a model.

    Args:
      inputs: as `Do` gets them; nothing is done where training examples are not there yet.
      parameters: as `Do` gets them.
    """
    spec = SequenceSpec.model_validate_json(parameters["sequence"])
    settings = EvaluationSettings.model_validate_json(parameters["settings"])
    if (examples := inputs.get("training_examples")) and not spec.is_computed:
        trained_on, linear = artifact_utils.get_split_uris(examples, TRAIN), LINEAR in settings.baselines
        _ready[_key(trained_on, spec, linear)] = _baselines(trained_on, spec, linear=linear)


def _key(trained_on: Sequence[str], spec: SequenceSpec, linear: bool) -> tuple[tuple[str, ...], str, bool]:
    return tuple(trained_on), spec.model_dump_json(), linear


def _baselines(trained_on: Sequence[str], spec: SequenceSpec, *, linear: bool) -> batched.AnyBaselines:
    if ready := _ready.pop(_key(trained_on, spec, linear), None):
        return ready
    batches, size = rows.read(trained_on, spec), len(spec.answers)
    if spec.no_label is not None:
        return EachBaselines(batches, size, no_label=spec.no_label, linear=linear)
    if spec.task.kind == "whole":
        return WholeBaselines(batches, size, positions=spec.task.length, pad_id=spec.pad_id, linear=linear)
    return Baselines(batches, size, linear=linear)


def eval_config(models: Sequence[str]) -> config_pb2.EvalConfig:
    """How TFMA asks the models."""
    return config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(
                name=name if len(models) > 1 else "",
                is_baseline=name == LIVE,
                signature_name="serving_default",
                label_key=TARGET,
                prediction_key="logits",
            )
            for name in models
        ],
        slicing_specs=[config_pb2.SlicingSpec()],
    )


class Evaluator(base_beam_component.BaseBeamComponent):
    """Measures models on the same rows, overall and by slice; TFX's Evaluator without its thresholds.

    Args:
      examples: raw examples with splits `eval` and `test`; those of several spans count as one.
      model: the candidate.
      training_examples: what the candidate was trained on; baselines learn from their split `train`.
      live_model: where there is one.
      best_model: the most accurate of the released models, where that is another.
      sequence: names of the data.
      slices: how to divide the rows.
      settings: what else is measured.
      fingerprint: of the source; part of the cache key.
    """

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        *,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        training_examples: types.BaseChannel,
        live_model: types.BaseChannel,
        best_model: types.BaseChannel,
        sequence: SequenceSpec,
        slices: Sequence[SliceSpec],
        settings: EvaluationSettings,
        fingerprint: str,
    ) -> None:
        spec = EvaluatorSpec(
            examples=examples,
            model=model,
            training_examples=training_examples,
            live_model=live_model,
            best_model=best_model,
            sequence=sequence.model_dump_json(),
            slices=json.dumps([s.model_dump() for s in slices]),
            settings=settings.model_dump_json(exclude={"slices", "pool_window"}),
            fingerprint=fingerprint,
            evaluation=types.Channel(type=standard_artifacts.ModelEvaluation),
        )
        super().__init__(spec=spec)
