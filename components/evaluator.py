"""Evaluator: TFX's own, which also writes its metrics as JSON that anyone can read."""

import json
from collections.abc import Mapping
from typing import Any

import tensorflow_model_analysis as tfma
from tfx import types
from tfx.components.evaluator.component import Evaluator as StockEvaluator
from tfx.components.evaluator.executor import Executor as StockExecutor
from tfx.dsl.components.base import executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils


class Executor(StockExecutor):
    """Evaluates as TFX does, then writes `metrics.json` beside TFMA's files."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: Mapping[str, Any],
    ) -> None:
        """See TFX's Evaluator."""
        super().Do(input_dict, output_dict, exec_properties)
        uri = artifact_utils.get_single_uri(output_dict["evaluation"])
        with fileio.open(f"{uri}/metrics.json", "w") as file:
            file.write(json.dumps(_report(uri), indent=1))


def _report(uri: str) -> dict[str, Any]:
    """Overall metrics of each model and of their difference, and in words what fell short."""
    metrics: dict[str, dict[str, float]] = {}
    for entry in tfma.load_metrics(uri):
        if not entry.slice_key.single_slice_keys:
            for item in entry.metric_keys_and_values:
                model = "change" if item.key.is_diff else item.key.model_name or "candidate"
                metrics.setdefault(model, {})[item.key.name] = item.value.double_value.value
    failures = [
        _in_words(failure)
        for entry in tfma.load_validation_result(uri).metric_validations_per_slice
        for failure in entry.failures
    ]
    return {"metrics": metrics, "failures": failures}


def _in_words(failure: Any) -> str:
    name, value = failure.metric_key.name, failure.metric_value.double_value.value
    threshold = failure.metric_threshold
    if failure.metric_key.is_diff:
        allowed = threshold.change_threshold.absolute.value
        return f"{name} changed by {value:+.4f} against the live model; {allowed:+.4f} is allowed"
    return f"{name} is {value:.4f}; at least {threshold.value_threshold.lower_bound.value:.4f} is needed"


class Evaluator(StockEvaluator):
    """TFX's Evaluator with `metrics.json` in its evaluation artifact."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
