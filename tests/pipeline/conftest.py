"""A root as runs leave it: a real metadata store, and the files of its artifacts."""

import os

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.components.verdict import Check, Outcome, Verdict
from maskline.pipeline.registry.store import connect
from maskline.pipeline.settings.load import load
from maskline.transform.names import VERDICT_FILE
from tests.components.pusher.test_serving import saved_model

BLOCKED, PASSED = Outcome.BLOCKED, Outcome.PASSED


@pytest.fixture
def config(tmp_path):
    for name in ("root", "data"):
        (tmp_path / name).mkdir()
    (tmp_path / "data" / "a.tfrecord").touch()
    return load(root=tmp_path / "root", data=tmp_path / "data")


@pytest.fixture
def store(config):
    return connect(config.metadata_file)


@pytest.fixture
def record(config, store):
    """Writes what a run leaves in the metadata store: nodes, their outputs, and files of its gates."""

    def contexts(run, node):
        kinds = {"pipeline": "maskline", "pipeline_run": run, "node": f"maskline.{node}"}
        for kind, name in kinds.items():
            found = store.get_context_by_type_and_name(kind, name)
            if not found:
                type_id = store.put_context_type(mlmd.ContextType(name=kind))
                store.put_contexts([mlmd.Context(type_id=type_id, name=name)])
            yield found or store.get_context_by_type_and_name(kind, name)

    def node(run, name, **outputs):
        """An execution whose outputs lie where TFX puts them: folders are numbered by the execution."""
        type_id = store.put_execution_type(mlmd.ExecutionType(name=name))
        done = mlmd.Execution(type_id=type_id, last_known_state=mlmd.Execution.COMPLETE)
        [done.id] = store.put_executions([done])
        events = []
        for kind, write in outputs.items():
            base = {"base_type": mlmd.ArtifactType.MODEL} if kind == "Model" else {}
            type_id = store.put_artifact_type(mlmd.ArtifactType(name=kind, **base))
            uri = f"artifacts/{name}/{kind}/{done.id}"
            write(config.root / uri)
            named = f"{run} {name}"
            artifact = mlmd.Artifact(type_id=type_id, uri=uri, name=named, state=mlmd.Artifact.LIVE)
            events.append((artifact, mlmd.Event(type=mlmd.Event.OUTPUT)))
        return store.put_execution(done, events, list(contexts(run, name)))[1]

    def verdict(outcome):
        check = Check(name="accuracy", subject="operator=*", asked="little", measured="much", outcome=outcome)

        def write(folder):
            folder.mkdir(parents=True)
            (folder / VERDICT_FILE).write_text(Verdict(checks=(check,)).model_dump_json())

        return write

    def bless(ids, kind, outcome):
        [blessing] = [a for a in store.get_artifacts_by_id(ids) if a.type == kind]
        blessing.custom_properties["blessed"].int_value = int(outcome is PASSED)
        store.put_artifacts([blessing])

    def record(run, *, gate=BLOCKED, checks=PASSED):
        [made] = node(run, "Trainer", Model=lambda folder: saved_model(folder / "Format-Serving", run))
        ids = node(run, "ModelChecks", MasklineVerdict=verdict(checks), InfraBlessing=os.makedirs)
        bless(ids, "InfraBlessing", checks)
        if gate:
            ids = node(run, "ReleaseGate", MasklineVerdict=verdict(gate), ModelBlessing=os.makedirs)
            bless(ids, "ModelBlessing", gate)
        node(run, "Pusher")
        [model] = store.get_artifacts_by_id([made])
        return config.root / model.uri / "Format-Serving"

    return record
