"""Every run and tick of a root, oldest first, read in bulk: a root may hold hundreds.

`History` reads one run with all that it left; here few figures of all runs are wanted, from few queries.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.components.evaluation.report import CANDIDATE
from maskline.components.ingest import spans
from maskline.components.pusher import audit
from maskline.components.pusher.audit import Change
from maskline.pipeline.registry.record import DONE, OF_SPAN
from maskline.pipeline.registry.store import connect
from maskline.pipeline.report.known import HistoryEntry, LivePeriod
from maskline.pipeline.report.paths import path_of
from maskline.pipeline.schedule import ledger
from maskline.pipeline.settings.sections import Settings
from maskline.transform.names import (
    ACCURACY,
    BLESSED,
    EVALUATION_FILE,
    NODE_CONTEXT,
    PASSED,
    RUN_CONTEXT,
    SPAN,
    VERSION,
    ArtifactType,
    Node,
)

_MADE = (mlmd.Event.OUTPUT, mlmd.Event.DECLARED_OUTPUT)
_AT_ONCE = 500  # ids in a query
_SLACK = timedelta(seconds=5)  # between the clock of a tick and that of its run
_State = mlmd.Execution.State


class _Recorded(NamedTuple):
    """A run's executions and artifacts, by node."""

    name: str
    executions: dict[str, mlmd.Execution]
    outputs: dict[str, list[mlmd.Artifact]]

    def of_type(self, node: str, kind: str) -> list[mlmd.Artifact]:
        return [artifact for artifact in self.outputs.get(node, ()) if artifact.type == kind]


def read(settings: Settings, store: MetadataStore | None = None) -> list[HistoryEntry]:
    """Every run and tick, oldest first; an empty list where there was none.

    Args:
      settings: say where things lie.
      store: the metadata store of a cluster, in place of the root's own.

    Raises:
      InputError: the store or the record of ticks cannot be read.
    """
    changes = audit.changes(settings.serving_dir)
    entries = [_entry(settings, run, changes) for run in _runs(settings, store)]
    entries += _ticks(settings, entries)
    entries.sort(key=lambda entry: entry.time)
    before: dict[str, float] = {}
    for entry in entries:
        if entry.metrics:
            entry.change = {k: v - before[k] for k, v in entry.metrics.items() if k in before}
            before = entry.metrics
    return entries


def trainings(settings: Settings) -> list[tuple[HistoryEntry, Path]]:
    """Runs that trained or took a training from the cache, oldest first, each with its TensorBoard logs."""
    changes = audit.changes(settings.serving_dir)
    return [
        (_entry(settings, run, changes), settings.root / artifact.uri)
        for run in _runs(settings)
        for artifact in run.of_type(Node.TRAINER, "ModelRun")
    ]


def live(settings: Settings) -> list[LivePeriod]:
    """Which version was live from when to when, oldest first, by the audit log."""
    changes = audit.changes(settings.serving_dir)
    ends: list[Change | None] = [*changes[1:], None]
    return [
        LivePeriod(version=c.to, since=c.time, until=end.time if end else None, who=c.who, why=c.reason)
        for c, end in zip(changes, ends, strict=False)
    ]


def _runs(settings: Settings, store: MetadataStore | None = None) -> Iterator[_Recorded]:
    if store is None:
        if not settings.metadata_file.exists():
            return
        store = connect(settings.metadata_file, read_only=True)
    contexts = sorted(_contexts(store, RUN_CONTEXT), key=lambda context: context.id)
    nodes = {
        execution.id: context.name.split(".")[-1]
        for context in _contexts(store, NODE_CONTEXT)
        for execution in store.get_executions_by_context(context.id)
    }
    executions = {c.id: store.get_executions_by_context(c.id) for c in contexts if OF_SPAN not in c.name}
    made: dict[int, list[int]] = defaultdict(list)
    for ids in _batches(sorted({e.id for found in executions.values() for e in found})):
        for event in store.get_events_by_execution_ids(ids):
            if event.type in _MADE:
                made[event.execution_id].append(event.artifact_id)
    artifacts = {
        artifact.id: artifact
        for ids in _batches(sorted({number for numbers in made.values() for number in numbers}))
        for artifact in store.get_artifacts_by_id(ids)
    }
    for context in contexts:
        if context.id in executions:
            own = {nodes[e.id]: e for e in executions[context.id] if e.id in nodes}
            outputs = {node: [artifacts[n] for n in made[e.id] if n in artifacts] for node, e in own.items()}
            yield _Recorded(context.name, own, outputs)


def _contexts(store: MetadataStore, kind: str) -> list[mlmd.Context]:
    known = {found.name for found in store.get_context_types()}
    return list(store.get_contexts_by_type(kind)) if kind in known else []


def _batches(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]


def _entry(settings: Settings, run: _Recorded, changes: list[Change]) -> HistoryEntry:
    decision, why = _decision(run, changes)
    released = run.of_type(Node.PUSHER, ArtifactType.RELEASE)
    ended = max((_time(e.last_update_time_since_epoch) for e in run.executions.values()), default=None)
    file = path_of(settings, run.name)
    return HistoryEntry(
        name=run.name,
        kind="run",
        time=_began(run),
        span=_span(settings, run),
        decision=decision,
        why=why,
        version=released[0].properties[VERSION].int_value if released else None,
        seconds=round(
            sum(
                (e.last_update_time_since_epoch - e.create_time_since_epoch) / 1000
                for e in run.executions.values()
            ),
            1,
        ),
        metrics=_metrics(settings, run),
        live=_live_at(changes, ended) if ended else None,
        report=str(file) if file.exists() else "",
    )


def _began(run: _Recorded) -> datetime:
    times = [_time(e.create_time_since_epoch) for e in run.executions.values()]
    return min(times, default=datetime.fromtimestamp(0, UTC))


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _live_at(changes: list[Change], moment: datetime) -> int | None:
    return next((c.to for c in reversed(changes) if c.time <= moment + _SLACK), None)


def _decision(run: _Recorded, changes: list[Change]) -> tuple[str, str]:
    states = {node: _State.Name(e.last_known_state) for node, e in run.executions.items()}
    failed = [node for node, state in states.items() if state == "FAILED"]
    if failed:
        return "failed", ", ".join(failed)
    if undone := [node for node, state in states.items() if state not in DONE]:
        return "interrupted", ", ".join(undone)
    gate = run.of_type(Node.DATA_GATE, ArtifactType.VERDICT)
    if gate and not gate[-1].properties[PASSED].int_value:
        return "data blocked", "DataGate"
    if Node.PUSHER not in states:
        return "interrupted", ""
    models = {artifact.id for artifact in run.of_type(Node.TRAINER, ArtifactType.MODEL)}
    override = [c for c in changes if c.override and c.model_id in models]
    if override:
        return "released on purpose", f"version {override[-1].to} by {override[-1].who}: {override[-1].why}"
    model = run.of_type(Node.RELEASE_GATE, ArtifactType.MODEL_BLESSING)
    export = run.of_type(Node.MODEL_CHECKS, ArtifactType.INFRA_BLESSING)
    refused = [
        node
        for node, yes in (
            (Node.RELEASE_GATE, bool(model) and _blessed(model)),
            (Node.MODEL_CHECKS, _blessed(export)),
        )
        if not yes
    ]
    if refused:
        return "not released", ", ".join(refused)
    released = run.of_type(Node.PUSHER, ArtifactType.RELEASE)
    return ("released", "") if released else ("passed", "this model was released before")


def _blessed(found: list[mlmd.Artifact]) -> bool:
    return all(artifact.custom_properties[BLESSED].int_value == 1 for artifact in found)


def _span(settings: Settings, run: _Recorded) -> str:
    found = run.of_type(Node.EXAMPLE_GEN, ArtifactType.EXAMPLES)
    if not found or not spans.is_pattern(settings.data.path):
        return ""
    return spans.span_name(settings.data.path, found[-1].properties[SPAN].int_value)


def _metrics(settings: Settings, run: _Recorded) -> dict[str, float]:
    """The candidate's over all rows; its accuracy alone where the file is gone."""
    for artifact in run.of_type(Node.EVALUATOR, ArtifactType.EVALUATION):
        try:
            return _candidate(settings.root / artifact.uri / EVALUATION_FILE)
        except (OSError, ValueError, KeyError, IndexError):
            pass
    for blessing in run.of_type(Node.RELEASE_GATE, ArtifactType.MODEL_BLESSING):
        if ACCURACY in blessing.custom_properties:
            return {ACCURACY: blessing.custom_properties[ACCURACY].double_value}
    return {}


def _candidate(file: Path) -> dict[str, float]:
    values: dict[str, Any] = json.loads(file.read_bytes())["slices"][0]["metrics"][CANDIDATE]
    return {name: float(value) for name, value in values.items() if name != "example_count"}


def _ticks(settings: Settings, runs: Iterable[HistoryEntry]) -> Iterator[HistoryEntry]:
    """Ticks that started no run; a run stands for the tick that started it."""
    began = [run.time for run in runs]
    for tick in ledger.ticks(settings.root):
        about = timedelta(seconds=tick.seconds) + _SLACK
        if tick.decision in ledger.RAN and any(abs(time - tick.time) <= about for time in began):
            continue
        yield HistoryEntry(
            name="",
            kind="tick",
            time=tick.time,
            span=tick.span,
            decision=str(tick.decision),
            why=tick.why,
            seconds=round(tick.seconds, 1),
        )
