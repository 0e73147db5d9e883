"""How long `maskline history` takes on a root with many runs: `python -m tests.bench.history [RUNS]`."""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.pipeline.registry.store import connect
from maskline.pipeline.settings.load import load
from maskline.pipeline.settings.sections import Settings
from maskline.transform.names import Node
from tests.support import maskline

NODES = [node.value for node in Node if node not in (Node.WINDOW, Node.BASE_MODEL)]
_DONE = mlmd.Execution.COMPLETE


def many_runs(config: Settings, count: int, *, slices: int = 100) -> None:
    """Writes what runs leave in a metadata store, with an evaluation of so many slices each."""
    store = connect(config.metadata_file)
    kinds = {kind: store.put_context_type(mlmd.ContextType(name=kind)) for kind in ("pipeline_run", "node")}
    nodes = [mlmd.Context(type_id=kinds["node"], name=f"maskline.{node}") for node in NODES]
    runs = [
        mlmd.Context(type_id=kinds["pipeline_run"], name=f"2026-01-01T00-00-00.{n:06}") for n in range(count)
    ]
    ids = dict(zip(NODES, store.put_contexts(nodes), strict=True))
    types = {node: store.put_execution_type(mlmd.ExecutionType(name=node)) for node in NODES}
    artifact_types = {
        kind: store.put_artifact_type(mlmd.ArtifactType(name=kind))
        for kind in ("ModelEvaluation", "ModelBlessing", "InfraBlessing")
    }
    for number, run in enumerate(store.put_contexts(runs)):
        made = [mlmd.Execution(type_id=types[node], last_known_state=_DONE) for node in NODES]
        executions = dict(zip(NODES, store.put_executions(made), strict=True))
        folder = config.root / f"artifacts/Evaluator/evaluation/{number}"
        folder.mkdir(parents=True)
        accuracy = 0.5 + number / 1000
        metrics = {"candidate": {"accuracy": accuracy, "loss": 1.0, "example_count": 9}}
        part = {"name": "", "rows": 9, "metrics": metrics}
        (folder / "metrics.json").write_text(json.dumps({"slices": [part] * slices}))
        outputs = {
            "Evaluator": "ModelEvaluation",
            "ReleaseGate": "ModelBlessing",
            "ModelChecks": "InfraBlessing",
        }
        artifacts = []
        for kind in outputs.values():
            uri = str(folder.relative_to(config.root)) if kind == "ModelEvaluation" else ""
            artifact = mlmd.Artifact(type_id=artifact_types[kind], uri=uri, state=mlmd.Artifact.LIVE)
            if kind != "ModelEvaluation":
                artifact.custom_properties["blessed"].int_value = number % 2
            artifacts.append(artifact)
        events = [
            mlmd.Event(execution_id=executions[node], artifact_id=artifact, type=mlmd.Event.OUTPUT)
            for node, artifact in zip(outputs, store.put_artifacts(artifacts), strict=True)
        ]
        store.put_events(events)
        store.put_attributions_and_associations(
            [],
            [
                mlmd.Association(context_id=context, execution_id=executions[node])
                for node in NODES
                for context in (run, ids[node])
            ],
        )


def _used() -> float:
    """Seconds of the processor that children have taken."""
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime


def main() -> None:
    """Prints seconds of whole commands."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        many_runs(load(root=root), count)
        for options in ((), ("--json",), ("--html",)):
            began, used = time.perf_counter(), _used()
            done = maskline("history", "--root", root, *options)
            seconds = time.perf_counter() - began
            assert done.returncode == 0, done.stderr
            name = " ".join(("maskline history", *options))
            print(f"{name}: {count} runs in {seconds:.1f} s, {_used() - used:.1f} s of the processor")


if __name__ == "__main__":
    main()
