"""Work of nodes that was done before is not done again: what they read decides what they write.

An executor whose parameters and inputs, byte for byte, were seen before gets copies of the outputs from then.
What is damaged is read anew, as its bytes are others. All around the executors is real: the lookups in the
store, the cache, the resolvers, the gates, what is published, and what is released.
"""

import hashlib
import importlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

SLOW = (
    "maskline.components.ingest.component", "maskline.components.data_gate.statistics",
    "maskline.components.transform", "tfx.components.trainer.executor",
    "maskline.components.evaluation.component", "maskline.components.model_checks.component",
)  # fmt: skip
_NAMES = ("Executor", "GenericExecutor")


class Memo:
    """Keeps the outputs of executors in a folder.

    Args:
      folder: made where it is missing.
      data: the folder of shards, which ExampleGen reads though it is no artifact.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.on = True

    def install(self) -> None:
        """Stands before the slow executors, in this process and its forks."""
        for module in map(importlib.import_module, SLOW):
            for name in _NAMES:
                if executor := vars(module).get(name):
                    executor.Do = self._before(executor.Do, f"{module.__name__}.{name}")

    def _before(self, do: Callable[..., None], name: str) -> Callable[..., None]:
        def before(
            executor: Any,
            inputs: Mapping[str, Sequence[Any]],
            outputs: Mapping[str, Sequence[Any]],
            properties: Mapping[str, Any],
        ) -> None:
            if not self.on:
                return do(executor, inputs, outputs, properties)
            kept = self._folder / _key(name, inputs, properties)
            if kept.is_dir():
                for artifact, place in _artifacts(outputs, kept):
                    shutil.copytree(place / "files", artifact.uri, dirs_exist_ok=True)
                    artifact.mlmd_artifact.MergeFromString((place / "properties").read_bytes())
                return None
            do(executor, inputs, outputs, properties)
            made = kept.with_name(f"{kept.name}.{os.getpid()}")
            for artifact, place in _artifacts(outputs, made):
                shutil.copytree(artifact.uri, place / "files")
                (place / "properties").write_bytes(_properties(artifact))
            made.rename(kept)
            return None

        return before


def _artifacts(outputs: Mapping[str, Sequence[Any]], folder: Path) -> Iterator[tuple[Any, Path]]:
    for name, artifacts in outputs.items():
        for number, artifact in enumerate(artifacts):
            yield artifact, folder / f"{name}-{number}"


def _properties(artifact: Any) -> bytes:
    """Those that its executor wrote, without who and where it is."""
    whole = artifact.mlmd_artifact
    kept = type(whole)(properties=whole.properties, custom_properties=whole.custom_properties)
    return kept.SerializeToString()


def _key(name: str, inputs: Mapping[str, Sequence[Any]], properties: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(repr((name, sorted(properties.items()))).encode())
    for of, artifacts in sorted(inputs.items()):
        for artifact in artifacts:
            digest.update(f"{of} {sorted(artifact.mlmd_artifact.properties.items())}".encode())
            _add(digest, Path(artifact.uri))
    if not inputs:  # ExampleGen, which reads shards
        _add(digest, Path("../data"))
    return digest.hexdigest()[:32]


def _add(digest: Any, folder: Path) -> None:
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder)} {file.stat().st_size} ".encode() + file.read_bytes())
