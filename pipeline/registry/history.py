"""Reads the record of a run from the metadata store. Imports neither TFX nor TensorFlow."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf.message import DecodeError
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tensorflow_metadata.proto.v0 import statistics_pb2

from maskline.components.evaluation.report import read_evaluation
from maskline.components.ingest.quarantine import read_report
from maskline.components.pusher.contents import identity_of, look
from maskline.components.verdict import read_verdict
from maskline.pipeline.registry import live, overrides
from maskline.pipeline.registry.record import Component, Run, TrainedSpan
from maskline.pipeline.registry.releases import releases
from maskline.pipeline.registry.store import connect
from maskline.transform.learned import Learned
from maskline.transform.names import (
    BLESSED,
    CHECKED_FILES,
    EVALUATION_FILE,
    FACTS_FILE,
    HISTORY_FILE,
    NODE_CONTEXT,
    QUARANTINE_REPORT_FILE,
    ROWS_READ,
    RUN_CONTEXT,
    RUN_INPUTS,
    SPAN,
    SPLITS,
    TEST,
    VERSION,
    ArtifactType,
    Node,
)

_T = TypeVar("_T")
_State = mlmd.Execution.State


class History:
    """The runs that are recorded in a metadata store.

    Args:
      metadata_file: the SQLite store; created if it does not exist.
      serving_dir: the directory of released versions.
      read_only: only read the store, since a run may be writing to it.
      store: one that is open, as a cluster's, in place of `metadata_file`.

    Raises:
      InputError: the store cannot be read or written.
    """

    def __init__(
        self,
        metadata_file: Path,
        serving_dir: Path,
        *,
        read_only: bool = False,
        store: MetadataStore | None = None,
    ) -> None:
        self._serving_dir = serving_dir
        self._root = metadata_file.parent
        self._store = store or connect(metadata_file, read_only=read_only)

    def latest(self) -> Run | None:
        """Returns the newest run, or None if there is no run yet."""
        contexts = self._runs()
        return self._read(contexts[-1]) if contexts else None

    def run(self, name: str) -> Run:
        """Returns a run by its name. If the store does not know the name, the run has no components."""
        context = next((c for c in self._runs() if c.name == name), None)
        return self._read(context) if context else Run(run=name, components=[])

    def names(self) -> list[str]:
        """Returns the names of all runs, oldest first."""
        return [context.name for context in self._runs()]

    def unchanged(self, inputs: str) -> Run | None:
        """Returns the newest run if it had the same `inputs`, has ended, and its outputs still exist.

        Args:
          inputs: digest of everything that a run depends on.
        """
        contexts = self._runs()
        if not contexts or contexts[-1].custom_properties[RUN_INPUTS].string_value != inputs:
            return None
        artifacts = self._store.get_artifacts_by_context(contexts[-1].id)
        run = self._read(contexts[-1])
        there = all(a.state == mlmd.Artifact.LIVE and self._place(a).exists() for a in artifacts)
        return run if there and not run.live_problem and not run.lost else None

    def finish(self, run: str, inputs: str) -> None:
        """Records that a run has ended, and the digest of everything that it depended on."""
        context = self._store.get_context_by_type_and_name(RUN_CONTEXT, run)
        context.custom_properties[RUN_INPUTS].string_value = inputs
        self._store.put_contexts([context])

    def close_abandoned(self, *, canceled: bool = False) -> None:
        """Marks executions of killed runs as failed, or as canceled. Call it only while no run is active."""
        running = [e for e in self._store.get_executions() if e.last_known_state == _State.RUNNING]
        for execution in running:
            execution.last_known_state = _State.CANCELED if canceled else _State.FAILED
        if running:
            self._store.put_executions(running)

    def _runs(self) -> list[mlmd.Context]:
        return sorted(self._store.get_contexts_by_type(RUN_CONTEXT), key=lambda context: context.id)

    def _read(self, context: mlmd.Context) -> Run:
        run = Run(run=context.name, components=[])
        outputs: dict[str, list[mlmd.Artifact]] = {}
        executions = self._store.get_executions_by_context(context.id)
        for execution in sorted(executions, key=lambda execution: execution.id):
            name = self._node(execution)
            run.components.append(
                Component(
                    name=name,
                    state=_State.Name(execution.last_known_state),
                    seconds=_seconds(execution),
                )
            )
            outputs[name] = self._outputs(execution)
            if name == Node.WINDOW:
                spans = _of_type(self._outputs(execution, mlmd.Event.INTERNAL_OUTPUT), ArtifactType.EXAMPLES)
                run.window = sorted(map(_trained_span, spans), key=lambda span: span.span)
        self._add_counts(run, outputs)
        self._add_verdict(run, outputs)
        self._add_candidate(run, outputs)
        self._add_release(run, outputs)
        return run

    def _node(self, execution: mlmd.Execution) -> str:
        contexts = self._store.get_contexts_by_execution(execution.id)
        return next(c.name.split(".")[-1] for c in contexts if c.type == NODE_CONTEXT)

    def _outputs(self, execution: mlmd.Execution, kind: int = mlmd.Event.OUTPUT) -> list[mlmd.Artifact]:
        """Returns the output artifacts of an execution; for a resolver, `kind` is `INTERNAL_OUTPUT`."""
        events = self._store.get_events_by_execution_ids([execution.id])
        made = [e.artifact_id for e in events if e.type == kind]
        return self._store.get_artifacts_by_id(made)

    def _add_counts(self, run: Run, outputs: dict[str, list[mlmd.Artifact]]) -> None:
        component = {c.name: c for c in run.components}
        for artifact in _of_type(outputs.get(Node.EXAMPLE_GEN), ArtifactType.EXAMPLES):
            rows = artifact.custom_properties[ROWS_READ].int_value
            component[Node.EXAMPLE_GEN].records_in = {"read": rows}
        for artifact in _of_type(outputs.get(Node.EXAMPLE_GEN), ArtifactType.QUARANTINE):
            run.quarantine = self._place(artifact)
            if (run.quarantine / QUARANTINE_REPORT_FILE).exists():
                run.ingest = self._or_lost(run, read_report, run.quarantine)
        for artifact in _of_type(outputs.get(Node.STATISTICS_GEN), ArtifactType.STATISTICS):
            run.statistics = self._place(artifact)
            splits = self._or_lost(run, _count_splits, run.statistics) or {}
            component[Node.STATISTICS_GEN].records_in = splits
            component[Node.EXAMPLE_GEN].records_out = splits
            if Node.TRANSFORM in component and Node.WINDOW not in component:
                component[Node.TRANSFORM].records_in = splits
        for artifact in _of_type(outputs.get(Node.TRAINER), ArtifactType.TRAINING_HISTORY):
            run.training = self._place(artifact)
            history = self._or_lost(run, _read_json, run.training / HISTORY_FILE) or {}
            rows_trained = history.get("rows", {})
            if learned := history.get("learned"):  # histories of earlier versions have none
                run.learned = Learned.model_validate(learned)
            component[Node.TRAINER].records_in = rows_trained
            component[Node.TRANSFORM].records_out = rows_trained

    def _add_verdict(self, run: Run, outputs: dict[str, list[mlmd.Artifact]]) -> None:
        for name, artifacts in outputs.items():
            for artifact in _of_type(artifacts, ArtifactType.VERDICT):
                if verdict := self._or_lost(run, read_verdict, self._place(artifact)):
                    run.verdicts[name] = verdict
        for artifact in _of_type(outputs.get(Node.RELEASE_GATE), ArtifactType.MODEL_BLESSING):
            run.blessed = artifact.custom_properties[BLESSED].int_value == 1
        for artifact in _of_type(outputs.get(Node.MODEL_CHECKS), ArtifactType.INFRA_BLESSING):
            run.blessed = run.blessed and artifact.custom_properties[BLESSED].int_value == 1
            run.checked_files = artifact.custom_properties[CHECKED_FILES].string_value
        for artifact in _of_type(outputs.get(Node.EVALUATOR), ArtifactType.EVALUATION):
            # The file does not exist before the Evaluator has ended.
            if (self._place(artifact) / EVALUATION_FILE).exists():
                run.evaluation = self._or_lost(run, read_evaluation, self._place(artifact))
                run.metrics = run.evaluation.metrics if run.evaluation else {}
        run.why = [str(check) for verdict in run.verdicts.values() for check in verdict.blocking]
        evaluator = next((c for c in run.components if c.name == Node.EVALUATOR), None)
        if evaluator and run.evaluation:
            evaluator.records_in = {run.evaluation.split: run.evaluation.overall.rows}

    def _add_candidate(self, run: Run, outputs: dict[str, list[mlmd.Artifact]]) -> None:
        for artifact in _of_type(outputs.get(Node.TRAINER), ArtifactType.MODEL):
            run.candidate, run.candidate_id = self._place(artifact) / "Format-Serving", artifact.id
            run.override = overrides.of_model(self._serving_dir, artifact.id)

    def _add_release(self, run: Run, outputs: dict[str, list[mlmd.Artifact]]) -> None:
        for artifact in _of_type(outputs.get(Node.PUSHER), ArtifactType.PUSHED_MODEL):
            run.facts = self._place(artifact) / FACTS_FILE
        for artifact in _of_type(outputs.get(Node.PUSHER), ArtifactType.RELEASE):
            run.released_version = artifact.properties[VERSION].int_value
        recorded = max((r.properties[VERSION].int_value for r in releases(self._store)), default=0)
        contents = look(self._serving_dir)
        if contents.live:
            run.live_version, run.model = contents.live.number, contents.live.path
            own = identity_of(run.candidate) if run.candidate else ""
            run.is_live = bool(own) and own == contents.live.identity
        if problem := live.problem(self._serving_dir, contents, recorded=recorded):
            run.live_problem = f"{problem}; {live.way_on(contents)}"

    def _place(self, artifact: mlmd.Artifact) -> Path:
        """Returns the artifact's path. Its URI is relative to the root, or absolute in an older store."""
        return self._root / artifact.uri

    def _or_lost(self, run: Run, read: Callable[[Path], _T], path: Path) -> _T | None:
        """Reads a file of the run. If it is missing or damaged, adds it to `run.lost` and returns None."""
        try:
            return read(path)
        except (OSError, ValueError, DecodeError) as error:
            done = {component.state for component in run.components}
            if not run.ended and "RUNNING" in done and isinstance(error, FileNotFoundError):
                return None  # the file is still being written
            run.lost.append(str(path))
            return None


def _of_type(artifacts: Iterable[mlmd.Artifact] | None, name: str) -> list[mlmd.Artifact]:
    return [artifact for artifact in artifacts or () if artifact.type == name]


def _trained_span(examples: mlmd.Artifact) -> TrainedSpan:
    values = examples.properties
    return TrainedSpan(span=values[SPAN].int_value, version=values[VERSION].int_value)


def _seconds(execution: mlmd.Execution) -> float:
    began, ended = execution.create_time_since_epoch, execution.last_update_time_since_epoch
    return round((ended - began) / 1000, 2)


def _count_splits(uri: Path) -> dict[str, int]:
    counts = {}
    for file in sorted(uri.glob("Split-*/FeatureStats.pb"), reverse=True):
        statistics = statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes())
        counts[file.parent.name.removeprefix("Split-")] = statistics.datasets[0].num_examples
    return {split: counts[split] for split in SPLITS if split in counts and (counts[split] or split != TEST)}


def _read_json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_bytes())
