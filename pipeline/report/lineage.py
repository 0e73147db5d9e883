"""Which component of a run read what another one made, and from which files it all came."""

from collections import defaultdict

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.pipeline.registry.record import Run
from maskline.pipeline.registry.store import connect
from maskline.pipeline.report.known import Lineage
from maskline.pipeline.settings.sections import Settings
from maskline.transform.names import NODE_CONTEXT, RUN_CONTEXT, ArtifactType, Node

_GIVEN = (mlmd.Event.INPUT, mlmd.Event.DECLARED_INPUT, mlmd.Event.INTERNAL_INPUT)
_MADE = (mlmd.Event.OUTPUT, mlmd.Event.DECLARED_OUTPUT, mlmd.Event.INTERNAL_OUTPUT)


def read(settings: Settings, run: Run, store: MetadataStore | None = None) -> Lineage:
    """Reads the events of a run's executions; nothing where the store does not know the run."""
    store = store or connect(settings.metadata_file, read_only=True)
    context = store.get_context_by_type_and_name(RUN_CONTEXT, run.run)
    if context is None:
        return Lineage([], {}, None)
    names: dict[int, str] = {}
    for execution in store.get_executions_by_context(context.id):
        contexts = store.get_contexts_by_execution(execution.id)
        names[execution.id] = next(c.name.split(".")[-1] for c in contexts if c.type == NODE_CONTEXT)
    events = store.get_events_by_execution_ids(list(names)) if names else []
    found = {a.id: a for a in store.get_artifacts_by_id(sorted({e.artifact_id for e in events}))}
    makers: dict[int, str] = {}
    made: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for event in sorted(events, key=lambda e: (e.execution_id, e.artifact_id)):
        if event.type in _MADE and event.artifact_id in found:
            node = names[event.execution_id]
            makers.setdefault(event.artifact_id, node)
            made[node].append((found[event.artifact_id].type, event.artifact_id))
    edges = {
        (makers[event.artifact_id], names[event.execution_id]): None
        for event in events
        if event.type in _GIVEN and event.artifact_id in makers
    }
    before = [
        settings.root / found[number].uri
        for kind, number in made.get(Node.PREVIOUS_SPAN, ())
        if kind == ArtifactType.STATISTICS
    ]
    return Lineage(
        [edge for edge in sorted(edges) if edge[0] != edge[1]], dict(made), before[-1] if before else None
    )
