"""A root as runs leave it: a real metadata store, and the files of its artifacts."""

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.components.verdict import Check, Outcome, Verdict
from maskline.pipeline.config import load
from maskline.pipeline.registry.history import connect
from maskline.transform.names import VERDICT_FILE
from tests.components.pusher.test_serving import saved_model

BLOCKED, PASSED = Outcome.BLOCKED, Outcome.PASSED


@pytest.fixture
def config(tmp_path):
    (tmp_path / "root").mkdir()
    return load(root=tmp_path / "root")


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
        events = []
        for kind, uri in outputs.items():
            type_id = store.put_artifact_type(mlmd.ArtifactType(name=kind))
            artifact = mlmd.Artifact(type_id=type_id, uri=str(uri), state=mlmd.Artifact.LIVE)
            events.append((artifact, mlmd.Event(type=mlmd.Event.OUTPUT)))
        type_id = store.put_execution_type(mlmd.ExecutionType(name=name))
        done = mlmd.Execution(type_id=type_id, last_known_state=mlmd.Execution.COMPLETE)
        return store.put_execution(done, events, list(contexts(run, name)))[1]

    def verdict(run, gate, outcome):
        check = Check(name="accuracy", subject="operator=*", asked="little", measured="much", outcome=outcome)
        folder = config.root / "artifacts" / gate / "verdict" / run
        folder.mkdir(parents=True)
        (folder / VERDICT_FILE).write_text(Verdict(checks=(check,)).model_dump_json())
        return folder

    def record(run, *, gate=BLOCKED, checks=PASSED):
        model = config.root / "artifacts" / "Trainer" / "model" / run
        saved_model(model / "Format-Serving", run)
        node(run, "Trainer", Model=model)
        node(run, "ModelChecks", MasklineVerdict=verdict(run, "ModelChecks", checks))
        if gate:
            ids = node(
                run, "ReleaseGate", MasklineVerdict=verdict(run, "ReleaseGate", gate), ModelBlessing=""
            )
            [blessing] = store.get_artifacts_by_id(ids[1:])
            blessing.custom_properties["blessed"].int_value = int(gate is PASSED)
            store.put_artifacts([blessing])
        node(run, "Pusher")
        return model / "Format-Serving"

    return record
