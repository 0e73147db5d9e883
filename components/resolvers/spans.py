"""Finds spans that earlier runs ingested: the one before, the verdict on this one, and a window of them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.dsl.io import fileio

from maskline.transform.errors import InputError
from maskline.transform.names import (
    EXAMPLES_ID,
    PASSED,
    ROWS_READ,
    SEQUENCE_DIGEST,
    SPAN,
    STATISTICS_ID,
    VERSION,
)

_Artifact: TypeAlias = metadata_store_pb2.Artifact
_GONE = (_Artifact.MARKED_FOR_DELETION, _Artifact.DELETED)


class PreviousSpanStrategy(ResolverStrategy):
    """Resolves the statistics of the newest earlier span that passed the data gate and is still there.

    In a plain directory every ingest has span 0; there, the ingests follow each other as they came. On a
    cluster nothing looks at the files before a run, and a volume may have been emptied.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Resolves `current` (one), `statistics` (all) and `verdict` (all).

        Returns:
          `statistics`: one artifact, or none; the others: none.
        """
        [current] = input_dict["current"]
        passed = {v.get_int_custom_property(STATISTICS_ID) for v in input_dict["verdict"] if v.passed}
        earlier = [
            s
            for s in input_dict["statistics"]
            if s.id in passed
            and (s.span < current.span or (s.span == current.span == 0 and s.id < current.id))
        ]
        newest = sorted(earlier, key=lambda s: (s.span, s.id), reverse=True)
        there = next((s for s in newest if fileio.exists(s.uri)), None)
        return {"current": [], "statistics": [there] if there else [], "verdict": []}


class AcceptedStrategy(ResolverStrategy):
    """Resolves the verdict that what follows the data gate depends on.

    Conditions are inputs to TFX's cache. Where the same examples pass once more, by other rules or
    beside another previous span, it is therefore the first verdict that let them pass: whatever was
    made of them stays.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Resolves `verdict` (one, today's) and `earlier` (all).

        Returns:
          `verdict`: one artifact; `earlier`: none.
        """
        [verdict] = input_dict["verdict"]
        if verdict.passed:
            examples = verdict.get_int_custom_property(EXAMPLES_ID)
            passed = [v for v in input_dict["earlier"] if v.passed]
            same = [v for v in passed if v.get_int_custom_property(EXAMPLES_ID) == examples]
            verdict = min([verdict, *same], key=lambda v: v.id)
        return {"verdict": [verdict], "earlier": []}


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
        sequence = current.get_string_custom_property(SEQUENCE_DIGEST)
        if other := of_another_sequence(examples, wanted, sequence):
            raise InputError(
                f"data.window: span {', '.join(map(str, other))} was ingested under another `sequence`, by "
                "which its ids mean other symbols; run on it again, or make data.window smaller"
            )
        there = [e for e in examples if e.properties[SPAN].int_value in wanted and fileio.exists(e.uri)]
        chosen = choose_spans(store, there, verdicts, wanted, sequence)
        return {"current": [], "examples": [given[artifact.id] for artifact in chosen], "verdict": []}


def last_spans(examples: Iterable[_Artifact], current: int, size: int) -> list[int]:
    """The numbers of the last `size` spans up to `current` that were ever ingested, the oldest first.

    One that the data gate blocked is among them, as it is where spans are counted on the disk: a window
    never reaches further back because of it.
    """
    numbers = {e.properties[SPAN].int_value for e in examples if _is_ingest(e)}
    return sorted(number for number in numbers if number <= current)[-size:]


def choose_spans(
    store: mlmd.MetadataStore,
    examples: Iterable[_Artifact],
    verdicts: Sequence[_Artifact],
    spans: Sequence[int],
    sequence: str,
) -> list[_Artifact]:
    """Chooses among ingests that are all recorded, those of `spans` by the run that asks.

    Args:
      store: the metadata store.
      examples: all Examples; those that the ingest did not make are passed over.
      verdicts: all of the data gate.
      spans: numbers.
      sequence: digest of the run's `sequence`; by another one, ids mean other symbols.

    Returns:
      one artifact for each span of which a version passed; none that is newer than what lies there now.
    """
    ingested = [e for e in examples if _is_ingest(e) and _sequence(e) == sequence]
    used = _last_use(store, [*ingested, *verdicts])
    passed = _passed(verdicts, used)
    chosen = []
    for span in spans:
        versions = [e for e in ingested if e.properties[SPAN].int_value == span]
        # This run's ingest was used last, from the cache or not; a withdrawn version was not.
        newest = max((used[e.id], _version(e)) for e in versions)[1] if versions else 0
        good = [e for e in versions if e.id in passed and _version(e) <= newest]
        chosen += sorted(good, key=lambda e: (_version(e), used[e.id]))[-1:]
    return chosen


def of_another_sequence(examples: Iterable[_Artifact], spans: Sequence[int], sequence: str) -> list[int]:
    """The spans that were ingested, but never under this `sequence`."""
    found: dict[int, set[str]] = {}
    for e in filter(_is_ingest, examples):
        found.setdefault(e.properties[SPAN].int_value, set()).add(_sequence(e))
    return [span for span in spans if span in found and sequence not in found[span]]


def _sequence(examples: _Artifact) -> str:
    return str(examples.custom_properties[SEQUENCE_DIGEST].string_value)


def _is_ingest(examples: _Artifact) -> bool:
    return ROWS_READ in examples.custom_properties and examples.state not in _GONE


def _version(examples: _Artifact) -> int:
    return int(examples.properties[VERSION].int_value)


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
    return {examples for examples, verdict in last.items() if verdict.properties[PASSED].int_value == 1}
