"""ReleaseGate: turns what was measured into the one blessing that Pusher reads, and says why."""

from collections.abc import Mapping
from typing import Any

from tfx import types
from tfx.components.evaluator import constants
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from maskline.components.artifacts import VerdictArtifact
from maskline.components.evaluation.report import CANDIDATE, EvaluationReport
from maskline.components.reads import ReadsPart
from maskline.components.release_gate.rules import judge
from maskline.components.release_gate.settings import ReleaseGateSettings
from maskline.components.release_gate.unknown_live import UnknownLive
from maskline.transform.names import ACCURACY, EVALUATION_FILE

# On the blessing: the accuracy on the rows of that run, by which the best released model is found.


class ReleaseGateSpec(ComponentSpec):
    """The evaluation of a model in, blessing and verdict out."""

    PARAMETERS = {
        "settings": ExecutionParameter(type=str),
        "unknown_live": ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
    }
    OUTPUTS = {
        "blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
        "verdict": ChannelParameter(type=VerdictArtifact),
    }


class Executor(ReadsPart, base_executor.BaseExecutor):
    """Applies the rules."""

    READS = {"model": ()}

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: Mapping[str, Any],
    ) -> None:
        """Blesses as TFX's Evaluator does: a file, and custom properties of the artifact."""
        model = artifact_utils.get_single_instance(input_dict["model"])
        folder = artifact_utils.get_single_uri(input_dict["evaluation"])
        with fileio.open(f"{folder}/{EVALUATION_FILE}") as file:
            report = EvaluationReport.model_validate_json(file.read())
        verdict = judge(report, ReleaseGateSettings.model_validate_json(exec_properties["settings"]))
        if exec_properties.get("unknown_live"):
            verdict = UnknownLive.model_validate_json(exec_properties["unknown_live"]).added_to(verdict)
        artifact_utils.get_single_instance(output_dict["verdict"]).write(verdict)
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        write_blessing(blessing, model, passed=verdict.passed)
        blessing.set_float_custom_property(ACCURACY, report.overall.metrics[CANDIDATE]["accuracy"])


def write_blessing(blessing: types.Artifact, model: types.Artifact, *, passed: bool) -> None:
    """Writes a blessing in the form that TFX's Pusher and its resolvers read."""
    name = constants.BLESSED_FILE_NAME if passed else constants.NOT_BLESSED_FILE_NAME
    fileio.makedirs(blessing.uri)
    with fileio.open(f"{blessing.uri}/{name}", "w") as file:
        file.write("")
    value = constants.BLESSED_VALUE if passed else constants.NOT_BLESSED_VALUE
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, value)
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id)
    blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri)


class ReleaseGate(base_component.BaseComponent):
    """Blesses a model that reached what `settings` ask for.

    Args:
      model: the candidate.
      evaluation: the Evaluator's.
      settings: thresholds, margins and the minimum size of a slice.
      unknown_live: what keeps the live model from being compared with, where something does.
      fingerprint: of the source; part of the cache key.
    """

    SPEC_CLASS = ReleaseGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        model: types.BaseChannel,
        evaluation: types.BaseChannel,
        settings: ReleaseGateSettings,
        fingerprint: str,
        unknown_live: UnknownLive | None = None,
    ) -> None:
        spec = ReleaseGateSpec(
            model=model,
            evaluation=evaluation,
            settings=settings.model_dump_json(),
            unknown_live=unknown_live.model_dump_json() if unknown_live else "",
            fingerprint=fingerprint,
            blessing=types.Channel(type=standard_artifacts.ModelBlessing),
            verdict=types.Channel(type=VerdictArtifact),
        )
        super().__init__(spec=spec)
