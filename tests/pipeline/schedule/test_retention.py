"""What stays after a scheduled run, in a real metadata store with runs of a test's own making."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.components.pusher import audit
from maskline.pipeline.registry import releases
from maskline.pipeline.registry.store import connect
from maskline.pipeline.schedule import disk, ledger, retention
from maskline.pipeline.schedule.ledger import Decision, Tick
from maskline.pipeline.schedule.store import look_at_store
from maskline.pipeline.settings.load import load
from maskline.transform.errors import InputError
from maskline.transform.names import NODE_CONTEXT, PIPELINE_CONTEXT, ROWS_READ, RUN_CONTEXT, ArtifactType
from tests.components.pusher.test_serving import saved_model

NOW = datetime(2026, 11, 27, 3, tzinfo=UTC)
_ROWS = 3000  # bytes of an artifact's only file


class Root:
    """A root whose runs each made rows, a model and a release of it."""

    def __init__(self, folder, *options):
        self.folder, self.options = folder, options
        folder.mkdir(parents=True, exist_ok=True)
        self.runs = 0

    @property
    def settings(self):
        return load(None, self.options, root=self.folder)

    def run(self, *, release=True):
        self.runs += 1
        store = connect(self.settings.metadata_file)
        examples = self._made(store, "ExampleGen", ArtifactType.EXAMPLES, "examples", span=self.runs)
        model = self._made(store, "Trainer", ArtifactType.MODEL, "model", inputs=[examples])
        if release:
            path = self.folder / self._uri(store, model) / "Format-Serving"
            saved_model(path, f"identity {self.runs}")
            releases.make_live(store, path, self.settings.serving_dir, why="test", model_id=model)

    def _uri(self, store, artifact):
        return store.get_artifacts_by_id([artifact])[0].uri

    def _made(self, store, node, kind, output, *, inputs=(), span=0):
        types = {name: store.put_context_type(mlmd.ContextType(name=name))
                 for name in (PIPELINE_CONTEXT, RUN_CONTEXT, NODE_CONTEXT)}  # fmt: skip
        execution_type = store.put_execution_type(mlmd.ExecutionType(name=node))
        properties = {"span": mlmd.INT, "version": mlmd.INT} if kind is ArtifactType.EXAMPLES else {}
        artifact_type = store.put_artifact_type(mlmd.ArtifactType(name=kind, properties=properties))
        names = {
            PIPELINE_CONTEXT: "maskline",
            RUN_CONTEXT: self.name(self.runs),
            NODE_CONTEXT: f"maskline.{node}",
        }
        contexts = [mlmd.Context(type_id=types[k], name=name) for k, name in names.items()]
        execution = mlmd.Execution(type_id=execution_type, last_known_state=mlmd.Execution.COMPLETE)
        [number] = store.put_executions([execution])
        execution.id = number
        artifact = mlmd.Artifact(
            type_id=artifact_type, uri=f"artifacts/{node}/{output}/{number}", state=mlmd.Artifact.LIVE
        )
        if span:
            artifact.properties["span"].int_value = span
            artifact.custom_properties[ROWS_READ].int_value = 500
        (self.folder / artifact.uri).mkdir(parents=True)
        (self.folder / artifact.uri / "rows").write_bytes(b"x" * _ROWS)
        pairs = [(artifact, mlmd.Event(type=mlmd.Event.OUTPUT))]
        pairs += [(store.get_artifacts_by_id([i])[0], mlmd.Event(type=mlmd.Event.INPUT)) for i in inputs]
        _, ids, _ = store.put_execution(execution, pairs, contexts, reuse_context_if_already_exist=True)
        return ids[0]

    def name(self, run):
        return f"2026-11-{run:02d}T03-00-00.000000"

    def prune(self):
        pruned = retention.prune(self.settings, NOW)
        assert pruned is not None
        return pruned

    def versions(self):
        folder = self.settings.serving_dir
        return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal())

    def known_runs(self):
        store = connect(self.settings.metadata_file, read_only=True)
        return sorted(context.name for context in store.get_contexts_by_type(RUN_CONTEXT))

    def folders(self):
        return sorted(int(path.name) for path in self.folder.glob("artifacts/Trainer/model/*"))


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path / "root", "schedule.keep.versions=2", "schedule.keep.runs=3")


def test_newest_versions_and_runs_stay_and_the_store_forgets_the_others(root):
    for _ in range(6):
        root.run()
    before = root.folders()
    root.prune()
    assert root.versions() == [5, 6]
    assert root.known_runs() == [root.name(run) for run in (4, 5, 6)]
    assert root.folders() == before[-3:]
    assert [c.to for c in audit.changes(root.settings.serving_dir)] == [1, 2, 3, 4, 5, 6]
    store = connect(root.settings.metadata_file)
    assert len(releases.releases(store)) == 6, "the way back is remembered"
    models = store.get_artifacts_by_type(ArtifactType.MODEL)
    assert len(models) == 3, "what is gone is forgotten"
    spans = {span for span, _ in look_at_store(root.settings.metadata_file).spans}
    assert spans == {1, 2, 3, 4, 5, 6}, "that a span was ingested is never forgotten"


def test_run_that_was_pruned_leaves_no_row_that_names_what_is_gone(root):
    for _ in range(6):
        root.run()
    root.prune()
    with closing(sqlite3.connect(root.settings.metadata_file)) as database:
        for table, column, of in (
            ("Event", "artifact_id", "Artifact"), ("Event", "execution_id", "Execution"),
            ("EventPath", "event_id", "Event"), ("Association", "context_id", "Context"),
            ("Association", "execution_id", "Execution"), ("Attribution", "context_id", "Context"),
            ("Attribution", "artifact_id", "Artifact"), ("ArtifactProperty", "artifact_id", "Artifact"),
            ("ExecutionProperty", "execution_id", "Execution"), ("ContextProperty", "context_id", "Context"),
        ):  # fmt: skip
            query = f"SELECT COUNT(*) FROM {table} WHERE {column} NOT IN (SELECT id FROM {of})"
            assert database.execute(query).fetchone() == (0,), f"{table}.{column}"


def test_store_works_on_after_it_was_compacted_and_gives_no_id_twice(root):
    for _ in range(6):
        root.run()
    before = max(root.folders())
    root.prune()
    root.run()
    assert max(root.folders()) > before
    root.prune()
    assert root.versions() == [6, 7]


def test_store_does_not_grow_with_the_number_of_runs(root):
    sizes = []
    for _ in range(12):
        root.run()
        root.prune()
        sizes.append(root.settings.metadata_file.stat().st_size)
    assert sizes[-1] < 1.15 * sizes[4]


def test_what_is_too_old_goes_but_never_what_is_live(tmp_path):
    root = Root(tmp_path / "root", "schedule.keep.days=1")
    for _ in range(3):
        root.run()
    retention.prune(root.settings, datetime(2100, 1, 1, tzinfo=UTC))
    assert root.versions() == [3]


def test_root_is_made_smaller_until_it_fits(tmp_path):
    root = Root(tmp_path / "root")
    for _ in range(8):
        root.run()
    needed = disk.size(root.folder) - 8 * _ROWS
    root.options = (f"schedule.keep.gib={needed / disk.GIB}",)
    pruned = root.prune()
    assert pruned.after <= needed
    assert 8 in root.versions()


def test_bound_below_what_the_live_version_needs_is_refused_before_anything_runs(tmp_path):
    root = Root(tmp_path / "root", "schedule.keep.gib=1e-6")
    root.run()
    root.run()
    with pytest.raises(InputError, match=r"^schedule\.keep\.gib: 1e-06 GiB are less than .* set it higher$"):
        retention.check(root.settings)
    assert root.versions() == [1, 2], "a check removes nothing"


def test_old_idle_ticks_go_and_what_was_run_stays(root):
    root.run()
    old = datetime(2026, 1, 1, tzinfo=UTC)
    for decision, time in ((Decision.NOTHING_NEW, old), (Decision.RELEASED, old), (Decision.PAUSED, NOW)):
        ledger.append(root.folder, Tick(time=time, decision=decision, why="x"))
    root.prune()
    kept = [tick.decision for tick in ledger.ticks(root.folder)]
    assert kept == [Decision.RELEASED, Decision.PAUSED]
