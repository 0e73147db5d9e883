"""What an MLflow server knows of our runs and releases, and how it learns the rest. Imports MLflow."""

from collections.abc import Iterator
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode

from maskline.components.pusher.audit import Change
from maskline.pipeline.settings.tracking import TrackingSettings
from maskline.pipeline.tracking.described import Described
from maskline.transform.names import EVALUATION_FILE

LIVE_ALIAS = "live"
_RUN, _DECISION, _CHANGE = "maskline.run", "maskline.decision", "maskline.change"
_MODEL, _ROOT = "maskline.model_id", "maskline.root"
_MODEL_FOLDER = "model"
# What MLflow takes in one request.
_METRICS, _PARAMETERS = 1000, 100


class TrackingServer:
    """An MLflow server with our experiment and our registered model, which are made where they are missing.

    Args:
      settings: address and names.

    Raises:
      MlflowException: the server cannot be reached or refuses something; so do all methods.
    """

    def __init__(self, settings: TrackingSettings) -> None:
        self._client = MlflowClient(tracking_uri=settings.mlflow, registry_uri=settings.mlflow)
        self._model = settings.model
        known = self._client.get_experiment_by_name(settings.experiment)
        self._experiment = (
            known.experiment_id if known else self._client.create_experiment(settings.experiment)
        )
        self._runs = {run.data.tags[_RUN]: run for run in self._all_runs()}

    def knows(self, name: str, decision: str) -> bool:
        """True where a run is there, whole and with this decision; a person may have released it since."""
        return name in self._runs and self._runs[name].data.tags.get(_DECISION) == decision

    def log(self, run: Described) -> None:
        """Writes a run. One that is there half, or with an earlier decision, is written over."""
        began = round(run.began.timestamp() * 1000)
        known = self._runs.get(run.name)
        if known is None:
            tags = {_RUN: run.name, "mlflow.runName": run.name, "mlflow.source.name": "maskline"}
            known = self._client.create_run(self._experiment, start_time=began, tags=tags)
        number = known.info.run_id
        metrics = [Metric(name, value, began, step) for name, value, step in run.metrics]
        for start in range(0, len(metrics), _METRICS):
            self._client.log_batch(number, metrics=metrics[start : start + _METRICS])
        parameters = [Param(name, value) for name, value in run.parameters.items()]
        for start in range(0, len(parameters), _PARAMETERS):
            self._client.log_batch(number, params=parameters[start : start + _PARAMETERS])
        for file in run.files:
            self._client.log_artifact(number, str(file))
        if run.evaluation:
            self._client.log_text(number, run.evaluation.model_dump_json(indent=1), EVALUATION_FILE)
        tags = {f"maskline.{key}": value for key, value in run.tags.items()}
        if run.model_id:
            tags[_MODEL] = str(run.model_id)
        self._client.log_batch(number, tags=[RunTag(key, value) for key, value in tags.items()])
        self._client.set_terminated(number, run.status, began + round(run.seconds * 1000))
        # The decision comes last: without it the run counts as written by half, and is written again.
        self._client.set_tag(number, _DECISION, run.decision)
        self._runs[run.name] = self._client.get_run(number)

    def release(self, changes: list[Change], serving_dir: Path, root: Path) -> None:
        """Registers what was released and is not registered yet, and lets `live` name what is live.

        Args:
          changes: of the live version, oldest first.
          serving_dir: holds the released versions; what is gone from there is registered without its files.
          root: of these changes; others may share the server, and a model's id counts in one root only.
        """
        self._register_model()
        found = {version.tags.get(_CHANGE): version for version in self._versions()}
        for change in changes:
            if (key := _key(change)) not in found:
                found[key] = self._register(change, self._run_of(change, changes, root), serving_dir)
        if changes:
            version = str(found[_key(changes[-1])].version)
            aliases = self._client.get_registered_model(self._model).aliases
            if str(aliases.get(LIVE_ALIAS)) != version:
                self._client.set_registered_model_alias(self._model, LIVE_ALIAS, version)

    def _register(self, change: Change, run: Run, serving_dir: Path) -> ModelVersion:
        folder = serving_dir / str(change.to)
        if folder.is_dir() and not self._client.list_artifacts(run.info.run_id, _MODEL_FOLDER):
            self._client.log_artifacts(run.info.run_id, str(folder), _MODEL_FOLDER)
        return self._client.create_model_version(
            self._model,
            source=f"{run.info.artifact_uri}/{_MODEL_FOLDER}",
            run_id=run.info.run_id,
            tags={_CHANGE: _key(change), "maskline.version": str(change.to), "maskline.who": change.who},
            description=change.reason,
        )

    def _run_of(self, change: Change, changes: list[Change], root: Path) -> Run:
        """The run that trained a version; for one that no known run trained, a run that holds its files."""
        same = {other.model_id for other in changes if other.identity == change.identity} - {0}
        ours = [run for _, run in sorted(self._runs.items()) if run.data.tags.get(_ROOT) == str(root)]
        trained = [run for run in ours if int(run.data.tags.get(_MODEL, 0)) in same]
        if trained:
            return trained[0]
        name = _key(change)
        if name not in self._runs:
            tags = {_RUN: name, "mlflow.runName": f"version {change.to}"}
            self._runs[name] = self._client.create_run(self._experiment, tags=tags)
            self._client.set_terminated(self._runs[name].info.run_id)
        return self._runs[name]

    def _register_model(self) -> None:
        try:
            self._client.create_registered_model(self._model)
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
                raise

    def _all_runs(self) -> Iterator[Run]:
        token = None
        while True:
            page = self._client.search_runs([self._experiment], page_token=token)
            yield from (run for run in page if _RUN in run.data.tags)
            if not (token := page.token):
                return

    def _versions(self) -> Iterator[ModelVersion]:
        token = None
        while True:
            page = self._client.search_model_versions(f"name='{self._model}'", page_token=token)
            yield from page
            if not (token := page.token):
                return


def _key(change: Change) -> str:
    """Tells changes of the live version apart, also those of several roots."""
    return f"{change.time.isoformat()} {change.to}"
