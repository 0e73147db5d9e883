"""What a window of spans resolves to, on a metadata store as runs leave it."""

import pytest
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.types.standard_artifacts import Examples

from maskline.components.artifacts import VerdictArtifact
from maskline.components.resolvers.spans import (
    PreviousSpanStrategy,
    WindowStrategy,
    choose_spans,
    last_spans,
    of_another_sequence,
)
from maskline.transform.errors import InputError


class Store:
    """Ingests and verdicts in the order in which runs record them."""

    def __init__(self):
        config = mlmd.ConnectionConfig()
        config.fake_database.SetInParent()
        self.store = MetadataStore(config)
        self._examples = self._type("Examples", span=mlmd.INT, version=mlmd.INT)
        self._verdict = self._type("MasklineVerdict", passed=mlmd.INT)
        self._execution = self.store.put_execution_type(mlmd.ExecutionType(name="any"))

    def _type(self, name, **properties):
        return self.store.put_artifact_type(mlmd.ArtifactType(name=name, properties=properties))

    def examples(self, span, version=0, *, sequence="today's", **custom):
        artifact = mlmd.Artifact(type_id=self._examples, uri="u")
        artifact.properties["span"].int_value = span
        artifact.properties["version"].int_value = version
        for key, value in (custom or {"rows_read": 9}).items():
            artifact.custom_properties[key].int_value = value
        artifact.custom_properties["sequence_digest"].string_value = sequence
        return self.gives_out(artifact)

    def verdict(self, examples, passed):
        artifact = mlmd.Artifact(type_id=self._verdict, uri="u")
        artifact.properties["passed"].int_value = passed
        artifact.custom_properties["examples_id"].int_value = examples
        return self.gives_out(artifact)

    def ingest(self, span, version=0, *, passed=1, sequence="today's"):
        examples = self.examples(span, version, sequence=sequence)
        self.verdict(examples, passed)
        return examples

    def gives_out(self, artifact):
        if isinstance(artifact, int):  # from the cache
            [artifact] = self.store.get_artifacts_by_id([artifact])
        event = mlmd.Event(type=mlmd.Event.OUTPUT)
        execution = mlmd.Execution(type_id=self._execution)
        _, [number], _ = self.store.put_execution(execution, [(artifact, event)], [])
        return number

    def window(self, *spans):
        examples, verdicts = map(self.store.get_artifacts_by_type, ("Examples", "MasklineVerdict"))
        return [artifact.id for artifact in choose_spans(self.store, examples, verdicts, spans, "today's")]

    def last(self, current, size):
        """What a run on a cluster resolves, which knows no numbers."""
        return self.window(*last_spans(self.store.get_artifacts_by_type("Examples"), current, size))


@pytest.fixture
def store():
    return Store()


def test_each_span_once_in_order_and_no_other(store):
    first, second, third = (store.ingest(span, 1) for span in (1, 2, 3))
    store.examples(2, transformed=1)  # as Transform's, which carry a span and version 0
    assert store.window(2, 3) == [second, third]
    assert store.window(1, 3) == [first, third]
    assert store.window(3, 4) == [third]


def test_a_late_version_takes_the_place_of_the_earlier_one(store):
    store.ingest(2, 1)
    newer, third = store.ingest(2, 2), store.ingest(3)
    assert store.window(2, 3) == [newer, third]


def test_a_blocked_version_leaves_the_one_before_and_a_blocked_span_nothing(store):
    older = store.ingest(2, 1)
    store.ingest(2, 2, passed=0)
    store.ingest(3, passed=0)
    assert store.window(2, 3) == [older]


def test_a_version_that_was_withdrawn_does_not_count(store):
    older = store.ingest(2, 1)
    store.ingest(2, 2)
    store.gives_out(older)
    assert store.window(2) == [older]


def test_the_same_span_ingested_by_other_settings_is_the_one_used_last(store):
    first, other = store.ingest(1), store.ingest(1)
    assert store.window(1) == [other]
    store.gives_out(first)
    assert store.window(1) == [first]


def test_the_verdict_of_the_last_rules_counts(store):
    examples = store.examples(1)
    strict, lenient = store.verdict(examples, 0), store.verdict(examples, 1)
    assert store.window(1) == [examples]
    store.gives_out(strict)
    assert store.window(1) == []
    store.gives_out(lenient)
    assert store.window(1) == [examples]


def test_the_last_spans_up_to_this_one_are_those_that_were_ingested(store):
    first, third, seventh = (store.ingest(span, 1) for span in (1, 3, 7))
    store.examples(5, transformed=1)
    assert store.last(7, 2) == [third, seventh]
    assert store.last(7, 9) == [first, third, seventh], "fewer than asked for"
    assert store.last(3, 2) == [first, third], "an older span that is run again looks at none after it"


def test_a_blocked_span_leaves_a_place_empty_as_where_spans_are_counted_on_the_disk(store):
    second = store.ingest(2)
    store.ingest(3, passed=0)
    fourth = store.ingest(4)
    assert store.last(4, 2) == [fourth]
    assert store.last(4, 3) == store.window(2, 3, 4) == [second, fourth]


def test_a_span_that_was_ingested_again_is_one_of_the_last_once(store):
    store.ingest(1, 1)
    second, again = store.ingest(2, 1), store.ingest(1, 2)
    assert store.last(2, 2) == [again, second]


def test_an_ingest_under_another_sequence_is_not_used_whatever_its_version(store):
    store.ingest(1, 2, sequence="yesterday's")
    assert store.window(1) == []
    older = store.ingest(1, 1)
    assert store.window(1) == [older], "the other one's version is not looked at"
    blocked = store.ingest(2, sequence="yesterday's")
    store.ingest(2, passed=0)
    assert store.window(1, 2) == [older]
    assert blocked not in store.window(2)


def test_spans_that_were_only_ingested_under_another_sequence_end_the_run(store):
    store.ingest(1, sequence="yesterday's")
    store.ingest(2, sequence="yesterday's")
    store.ingest(2)
    current = store.ingest(3)
    examples = store.store.get_artifacts_by_type("Examples")
    assert of_another_sequence(examples, [1, 2, 3, 4], "today's") == [1]
    given = [as_examples(artifact) for artifact in examples]
    [newest] = [artifact for artifact in given if artifact.id == current]
    inputs = {"current": [newest], "examples": given, "verdict": []}
    with pytest.raises(
        InputError, match=r"data.window: span 1 was ingested under another `sequence`, by which"
    ):
        WindowStrategy(size=3).resolve_artifacts(store.store, inputs)
    WindowStrategy(size=2).resolve_artifacts(store.store, inputs)


def test_what_is_no_longer_on_the_disk_is_passed_over(store, tmp_path):
    """As on a cluster, where nothing looks at the files before a run."""
    for span in (1, 2, 3):
        store.ingest(span)
    examples, verdicts = map(store.store.get_artifacts_by_type, ("Examples", "MasklineVerdict"))
    for artifact in examples:
        artifact.uri = str(tmp_path / f"span-{artifact.properties['span'].int_value}")
    (tmp_path / "span-1").mkdir()
    (tmp_path / "span-3").mkdir()
    first, _, third = given = [as_examples(artifact) for artifact in examples]
    asked = {"current": [third], "examples": given, "verdict": [as_verdict(v) for v in verdicts]}
    found = WindowStrategy(size=3).resolve_artifacts(store.store, asked)
    assert found["examples"] == [first, third]

    for verdict, artifact in zip(asked["verdict"], examples, strict=True):
        verdict.set_int_custom_property("statistics_id", artifact.id)
    asked = {"current": [third], "statistics": given, "verdict": asked["verdict"]}
    assert PreviousSpanStrategy().resolve_artifacts(store.store, asked)["statistics"] == [first]
    (tmp_path / "span-1").rmdir()
    assert PreviousSpanStrategy().resolve_artifacts(store.store, asked)["statistics"] == []


def as_examples(artifact):
    made = Examples()
    made.set_mlmd_artifact(artifact)
    return made


def as_verdict(artifact):
    made = VerdictArtifact()
    made.set_mlmd_artifact(artifact)
    return made
