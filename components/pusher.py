"""Pusher: releases a blessed model once, and records what is live."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.pusher.executor import Executor as StockExecutor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components import audit
from components.releases import Release, candidate_identity
from components.serving import Version, publish, repair, versions

logger = logging.getLogger(__name__)


class PusherSpec(ComponentSpec):
    """Inputs as in TFX's Pusher; `release` beside its output."""

    PARAMETERS = {
        "serving_dir": ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "model_blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
    }
    OUTPUTS = {
        "pushed_model": ChannelParameter(type=standard_artifacts.PushedModel),
        "release": ChannelParameter(type=Release),
    }


class Executor(StockExecutor):
    """Publishes by the model's identity: a model that was released before is not released again."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: Mapping[str, Any],
    ) -> None:
        """Publishes and records; leaves `release` without an artifact where nothing went live."""
        pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
        model = artifact_utils.get_single_instance(input_dict["model"])
        version = None
        if self.CheckBlessing(input_dict):
            version = self._publish_once(model, Path(exec_properties["serving_dir"]))
        if version is None:
            self._MarkNotPushed(pushed)
            output_dict["release"] = []
            return
        self._MarkPushed(pushed, pushed_destination=str(version.path), pushed_version=str(version.number))
        release = artifact_utils.get_single_instance(output_dict["release"])
        release.version = version.number
        release.identity = version.identity
        release.model_id = model.id

    def _publish_once(self, model: types.Artifact, folder: Path) -> Version | None:
        identity = candidate_identity(model)
        repair(folder)
        present = versions(folder)
        if present and present[-1].identity == identity:
            # Published by a run that was killed before it could record it, or by a cache miss.
            logger.info("version %d already serves this model", present[-1].number)
            return present[-1]
        earlier = [change.to for change in audit.changes(folder) if change.identity == identity]
        if earlier:
            logger.info("version %d served this model before; not released again", earlier[-1])
            return None
        run = self._context.pipeline_run_id if self._context else None
        why = f"blessed in run {run}" if run else "blessed"
        return publish(Path(self.GetModelPath({"model": [model]})), folder, why=why, model_id=model.id)


class Pusher(base_component.BaseComponent):
    """Releases a blessed model into `<serving_dir>/<version>/`, which TensorFlow Serving reads.

    Args:
      model: the candidate.
      model_blessing: the verdict on it.
      serving_dir: the directory of versions.
      fingerprint: of the source; part of the cache key.
    """

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        model: types.BaseChannel,
        model_blessing: types.BaseChannel,
        serving_dir: str,
        fingerprint: str,
    ) -> None:
        spec = PusherSpec(
            model=model,
            model_blessing=model_blessing,
            serving_dir=serving_dir,
            fingerprint=fingerprint,
            pushed_model=types.Channel(type=standard_artifacts.PushedModel),
            release=types.Channel(type=Release),
        )
        super().__init__(spec=spec)
