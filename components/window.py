"""Chooses the examples of a window of spans: of each span one version, so that no row is trained on twice."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.dsl.components.common.resolver import ResolverStrategy

from components.artifacts import ROWS_READ
from components.resolvers import EXAMPLES_ID

_Artifact: TypeAlias = metadata_store_pb2.Artifact
_GONE = (_Artifact.MARKED_FOR_DELETION, _Artifact.DELETED)


class WindowStrategy(ResolverStrategy):
    """Resolves, of each span of a window, the newest version that passed the data gate, once.

    TFX's own SpanRangeStrategy takes every version and every ingest of a span.

    Args:
      spans: their numbers.
    """

    def __init__(self, spans: Sequence[int]) -> None:
        self._spans = list(spans)

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Resolves `examples` (all) and `verdict` (all).

        Returns:
          `examples`: one artifact a span that passed, in the order of the spans; `verdict`: none.
        """
        given = {artifact.id: artifact for artifact in input_dict["examples"]}
        examples, verdicts = (
            [artifact.mlmd_artifact for artifact in input_dict[key]] for key in ("examples", "verdict")
        )
        chosen = choose(store, examples, verdicts, self._spans)
        return {"examples": [given[artifact.id] for artifact in chosen], "verdict": []}


def choose(
    store: mlmd.MetadataStore,
    examples: Iterable[_Artifact],
    verdicts: Sequence[_Artifact],
    spans: Sequence[int],
) -> list[_Artifact]:
    """Chooses among ingests that are all recorded, those of `spans` by the run that asks.

    Args:
      store: the metadata store.
      examples: all Examples; those that the ingest did not make are passed over.
      verdicts: all of the data gate.
      spans: numbers.

    Returns:
      one artifact for each span of which a version passed; none that is newer than what lies there now.
    """
    ingested = [e for e in examples if ROWS_READ in e.custom_properties and e.state not in _GONE]
    used = _last_use(store, [*ingested, *verdicts])
    passed = _passed(verdicts, used)
    chosen = []
    for span in spans:
        versions = [e for e in ingested if e.properties["span"].int_value == span]
        # This run's ingest was used last, from the cache or not; a withdrawn version was not.
        newest = max((used[e.id], _version(e)) for e in versions)[1] if versions else 0
        good = [e for e in versions if e.id in passed and _version(e) <= newest]
        chosen += sorted(good, key=lambda e: (_version(e), used[e.id]))[-1:]
    return chosen


def _version(examples: _Artifact) -> int:
    return int(examples.properties["version"].int_value)


def _last_use(store: mlmd.MetadataStore, artifacts: Sequence[_Artifact]) -> dict[int, int]:
    """Artifact → the last execution that gave it out, by making it or from the cache."""
    used = {artifact.id: 0 for artifact in artifacts}
    for event in store.get_events_by_artifact_ids(sorted(used)) if used else ():
        if event.type == metadata_store_pb2.Event.OUTPUT:
            used[event.artifact_id] = max(used[event.artifact_id], event.execution_id)
    return used


def _passed(verdicts: Sequence[_Artifact], used: Mapping[int, int]) -> set[int]:
    """The ids of the examples that the verdict of the last rules lets pass."""
    last = {v.custom_properties[EXAMPLES_ID].int_value: v for v in sorted(verdicts, key=lambda v: used[v.id])
            if EXAMPLES_ID in v.custom_properties}  # fmt: skip
    return {examples for examples, verdict in last.items() if verdict.properties["passed"].int_value == 1}
