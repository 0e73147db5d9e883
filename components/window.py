"""Chooses the examples of a window of spans: of each span one version, so that no row is trained on twice."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.dsl.components.common.resolver import ResolverStrategy

from maskline.components.artifacts import ROWS_READ
from maskline.components.resolvers import EXAMPLES_ID

_Artifact: TypeAlias = metadata_store_pb2.Artifact
_GONE = (_Artifact.MARKED_FOR_DELETION, _Artifact.DELETED)


class WindowStrategy(ResolverStrategy):
    """Resolves, of each span of a window, the newest version that passed the data gate, once.

    TFX's own SpanRangeStrategy takes every version and every ingest of a span.

    Args:
      spans: their numbers, where what stands before the run knows them and has ingested them.
      size: without numbers, the last so many that were ingested, up to this run's.
    """

    def __init__(self, spans: Sequence[int] = (), size: int = 0) -> None:
        self._spans = list(spans)
        self._size = size

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Resolves `current` (this run's), `examples` (all) and `verdict` (all).

        Returns:
          `examples`: one artifact a span that passed, in the order of the spans; the others: none.
        """
        given = {artifact.id: artifact for artifact in input_dict["examples"]}
        examples, verdicts = (
            [artifact.mlmd_artifact for artifact in input_dict[key]] for key in ("examples", "verdict")
        )
        [current] = input_dict["current"]
        wanted = self._spans or last_spans(examples, current.span, self._size)
        chosen = choose(store, examples, verdicts, wanted)
        return {"current": [], "examples": [given[artifact.id] for artifact in chosen], "verdict": []}


def last_spans(examples: Iterable[_Artifact], current: int, size: int) -> list[int]:
    """The numbers of the last `size` spans up to `current` that were ever ingested, the oldest first.

    One that the data gate blocked is among them, as it is where spans are counted on the disk: a window
    never reaches further back because of it.
    """
    numbers = {e.properties["span"].int_value for e in examples if _is_ingest(e)}
    return sorted(number for number in numbers if number <= current)[-size:]


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
    ingested = [e for e in examples if _is_ingest(e)]
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


def _is_ingest(examples: _Artifact) -> bool:
    return ROWS_READ in examples.custom_properties and examples.state not in _GONE


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
