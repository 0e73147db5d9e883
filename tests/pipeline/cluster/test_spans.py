"""Spans on a cluster: which one a run ingests, and what a window resolves to. The nodes up to there."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.pipeline.cluster.compiler import compile_pipeline
from maskline.pipeline.cluster.metadata import connection
from maskline.pipeline.cluster.store import Store, open_store
from maskline.pipeline.settings.load import load
from maskline.transform.errors import InputError
from tests.small_nodes import launch
from tests.support import REPOSITORY

pytestmark = pytest.mark.slow
INGEST = ("ExampleGen", "ImportSchemaGen", "StatisticsGen", "ExampleValidator", "PreviousSpan", "DataGate")


class Cluster(NamedTuple):
    """A compiled pipeline with a window of two, and where its runs are recorded."""

    folder: Path
    text: str
    connection: mlmd.ConnectionConfig

    def deliver(self, place: str, shard: Path) -> None:
        (self.folder / "exports" / place).mkdir(parents=True)
        shutil.copy(shard, self.folder / "exports" / place)

    def run(self, name: str, *given: str) -> list[tuple[int, int]]:
        """Runs the nodes up to the window; gives its spans and versions."""
        for node in (*INGEST, "Accepted", "Window"):
            outcome = launch(self.text, node, name, self.connection, *(given if node == "ExampleGen" else ()))
            assert outcome.status == 0, (node, outcome)
        store = Store(self.connection)
        [resolved] = self.executions(store, name, "Window")
        events = store.get_events_by_execution_ids([resolved.id])
        made = store.get_artifacts_by_id(
            [e.artifact_id for e in events if e.type == mlmd.Event.INTERNAL_OUTPUT]
        )
        spans = [artifact.properties for artifact in made if artifact.type == "Examples"]
        return [(span["span"].int_value, span["version"].int_value) for span in spans]

    def executions(self, store: Store, run: str, node: str) -> list[mlmd.Execution]:
        """What is recorded of one node in one run."""
        names = {"pipeline_run": run, "node": f"maskline.{node}"}
        contexts = [store.get_context_by_type_and_name(*item) for item in names.items()]
        one, other = ({e.id: e for e in store.get_executions_by_context(c.id)} for c in contexts)
        return [one[number] for number in one.keys() & other.keys()]


@pytest.fixture(scope="module")
def cluster(postgres, tmp_path_factory) -> Cluster:
    folder = tmp_path_factory.mktemp("spans")
    config = load(REPOSITORY / "maskline.yaml", [
        f"data.path='{folder}/exports/span-{{SPAN}}/v{{VERSION}}'",
        f"cluster.data='{folder}/exports/span-{{SPAN}}/v{{VERSION}}'",
        f"cluster.root={folder}/root", f"cluster.home={folder}", "data.unchanged_for=0",
        "data.window=2", "data.allow_fewer=true",
    ])  # fmt: skip
    compiled = compile_pipeline(config)
    compiled.write_bundle(folder / "bundle")
    where = connection(postgres.database("spans"), postgres.credentials)
    open_store(where, patience=60)
    return Cluster(folder, compiled.ir, where)


def test_a_run_ingests_the_span_it_is_given_and_trains_on_the_last_up_to_it(cluster, shards):
    first, second, third, _ = sorted(shards.iterdir())
    for place, shard in (("span-1/v1", first), ("span-2/v1", second), ("span-2/v2", third)):
        cluster.deliver(place, shard)
    assert cluster.run("daily") == [(2, 2)], "fewer than two are allowed"
    assert cluster.run("backfill", "span=1") == [(1, 1)], "none that comes after it"
    assert cluster.run("by number", "span=2") == [(1, 1), (2, 2)]
    [ingest] = cluster.executions(Store(cluster.connection), "by number", "ExampleGen")
    assert ingest.last_known_state == mlmd.Execution.CACHED, "it was ingested as the latest"


def test_span_that_is_not_there_is_refused_in_one_line(cluster):
    with pytest.raises(InputError, match=r"span 9 is not there; complete spans: 1, 2$"):
        launch(cluster.text, "ExampleGen", "early", cluster.connection, "span=9")
