"""ModelChecks: asks the exported model in a process of its own, and gives TFX's InfraBlessing. No Docker."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import path_utils

from maskline.components.artifacts import GoldenRows, VerdictArtifact
from maskline.components.model_checks.asking import answers_of
from maskline.components.model_checks.checks import ModelChecksSettings, judge_export
from maskline.components.pusher import manifest
from maskline.transform.names import BLESSED, CHECKED_FILES, GOLDEN_ROWS_FILE

logger = logging.getLogger(__name__)

# As TFX's InfraValidator writes them.
_BLESSED, _NOT_BLESSED = "INFRA_BLESSED", "INFRA_NOT_BLESSED"


class ModelChecksSpec(ComponentSpec):
    """The exported model and rows with known answers in, blessing and verdict out."""

    PARAMETERS = {
        "settings": ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "golden_rows": ChannelParameter(type=GoldenRows),
    }
    OUTPUTS = {
        "blessing": ChannelParameter(type=standard_artifacts.InfraBlessing),
        "verdict": ChannelParameter(type=VerdictArtifact),
    }


class Executor(base_executor.BaseExecutor):
    """Asks, and judges the answers."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: Mapping[str, Any],
    ) -> None:
        """Blesses as TFX's InfraValidator does: a file, and a custom property of the artifact."""
        model = path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"]))
        golden = f"{artifact_utils.get_single_uri(input_dict['golden_rows'])}/{GOLDEN_ROWS_FILE}"
        settings = ModelChecksSettings.model_validate_json(exec_properties["settings"])
        checked = manifest.digest(Path(model))
        verdict = judge_export(answers_of(model, golden, nan=settings.noise != "finite"), settings)
        artifact_utils.get_single_instance(output_dict["verdict"]).write(verdict)
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        blessing.set_int_custom_property(BLESSED, int(verdict.passed))
        blessing.set_string_custom_property(CHECKED_FILES, checked)
        fileio.makedirs(blessing.uri)
        with fileio.open(f"{blessing.uri}/{_BLESSED if verdict.passed else _NOT_BLESSED}", "w") as file:
            file.write("")


class ModelChecks(base_component.BaseComponent):
    """Checks the artifact that will be served, as a server would load it.

    Args:
      model: the candidate.
      golden_rows: raw eval examples with the logits before the export.
      settings: the limits.
      fingerprint: of the source; part of the cache key.
    """

    SPEC_CLASS = ModelChecksSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        model: types.BaseChannel,
        golden_rows: types.BaseChannel,
        settings: ModelChecksSettings,
        fingerprint: str,
    ) -> None:
        spec = ModelChecksSpec(
            model=model,
            golden_rows=golden_rows,
            settings=settings.model_dump_json(),
            fingerprint=fingerprint,
            blessing=types.Channel(type=standard_artifacts.InfraBlessing),
            verdict=types.Channel(type=VerdictArtifact),
        )
        super().__init__(spec=spec)
