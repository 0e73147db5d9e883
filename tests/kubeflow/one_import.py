"""Runs every node of a compiled pipeline as a pod would: each in a fork of one process that imported TFX.

    python -m tests.kubeflow.one_import IR METADATA RUN…

Importing costs more than a small node does. Prints how each ended, and what it left in the temporary folder.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path

import s3fs  # noqa: F401

from maskline.pipeline.cluster import metadata, node  # noqa: F401
from tests.support import REPOSITORY


def load_entry_point():
    spec = importlib.util.spec_from_file_location("node", REPOSITORY / "kubeflow" / "node.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(file: Path, address: str, name: str, run_id: str) -> int:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    options = argparse.Namespace(
        ir=str(file), sha256=digest, nodes=[name], run_id=run_id, metadata=address, parameter=[], secret=[]
    )
    status, state, reason = load_entry_point().run(options, name)
    left = sorted(path.name for path in Path(tempfile.gettempdir()).iterdir())
    print("ended", json.dumps([run_id, name, status, state, reason, left]), flush=True)
    return status


def main(file: Path, address: str, runs: list[str]) -> None:
    names = [entry["pipelineNode"]["nodeInfo"]["id"] for entry in json.loads(file.read_text())["nodes"]]
    for run_id in runs:
        for name in names:
            child = os.fork()
            if not child:
                os._exit(run(file, address, name, run_id))
            _, status = os.waitpid(child, 0)
            if status:
                sys.exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
