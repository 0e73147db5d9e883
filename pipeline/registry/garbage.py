"""Finds and removes what no kept model needs: versions, artifacts, logs, checkpoints. No TFX.

TFX takes nothing from the cache whose record says that it is gone, so the record is changed before the files
go: what a later run asks for again is computed again.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.components.pusher import audit, serving
from maskline.pipeline.config import Config
from maskline.pipeline.registry.releases import releases
from maskline.transform.names import ACCURACY, BLESSED_MODEL_ID, MODEL_ID, RUN_CONTEXT, VERSION, ArtifactType

# Small records, by which the live and the best model are found and what was decided is remembered; and rows
# of the user that were set aside and may be wanted again.
_NEVER = {ArtifactType.RELEASE, ArtifactType.VERDICT, ArtifactType.MODEL_BLESSING, ArtifactType.QUARANTINE}


class Garbage(NamedTuple):
    """What can go. `artifacts` are records; `folders` lie under the root, theirs among them."""

    versions: list[int]
    artifacts: list[mlmd.Artifact]
    folders: list[Path]
    logs: list[Path]
    checkpoints: list[Path]
    size: int

    def __str__(self) -> str:
        return (
            f"{len(self.versions)} versions, {len(self.artifacts)} artifacts, {len(self.logs)} logs and "
            f"{len(self.checkpoints)} checkpoints, {self.size / 1e6:,.1f} MB"
        )


def find(store: MetadataStore, config: Config, *, keep: int) -> Garbage:
    """What can go when the newest `keep` versions stay; hold the root's lock, so that no run works.

    The live version is the newest one. What stays with a version: its model, all that went into it, and
    everything else in the runs that made it and published it. The last run stays too, and the most
    accurate model that was ever released, which the release gate asks for.
    """
    present = serving.versions(config.serving_dir)
    going = present[:-keep]
    stay = {version.number for version in present[-keep:]}
    runs = _kept_runs(store, config.serving_dir, stay)
    kept = {a.id for run in runs for a in store.get_artifacts_by_context(run.id)}
    kept |= _came_from(store, _models(config.serving_dir, stay)) | _best(store)
    artifacts = [
        a
        for a in store.get_artifacts()
        if a.id not in kept and a.type not in _NEVER and a.state != mlmd.Artifact.DELETED
    ]
    gone = {a.id for a in artifacts}
    staying = [a for a in store.get_artifacts() if a.id not in gone and a.state != mlmd.Artifact.DELETED]
    used = {folder for a in staying for folder in (Path(a.uri), *Path(a.uri).parents)}
    folders = [path for path in _folders(config.root) if path not in used]
    names = {run.name for run in runs}
    logs = [path for path in config.root.glob("logs/*.log") if path.stem not in names]
    checkpoints = _abandoned(store, config.root)
    doomed = [*folders, *logs, *checkpoints, *(version.path for version in going)]
    return Garbage([v.number for v in going], artifacts, folders, logs, checkpoints, sum(map(_size, doomed)))


def remove(store: MetadataStore, config: Config, garbage: Garbage) -> None:
    """Removes it. Killed half-way, the next call does the rest.

    Raises:
      InputError: the serving directory cannot be written.
    """
    for number in garbage.versions:
        serving.remove(config.serving_dir, number)
    _mark(store, garbage.artifacts, mlmd.Artifact.MARKED_FOR_DELETION)
    for path in (*garbage.folders, *garbage.checkpoints):
        shutil.rmtree(path)
    for path in garbage.logs:
        path.unlink()
    _mark(store, garbage.artifacts, mlmd.Artifact.DELETED)


def _mark(store: MetadataStore, artifacts: list[mlmd.Artifact], state: int) -> None:
    for artifact in artifacts:
        artifact.state = state
    store.put_artifacts(artifacts)


def _models(folder: Path, numbers: set[int]) -> set[int]:
    """The Model artifacts behind some versions."""
    return {change.model_id for change in audit.changes(folder) if change.to in numbers}


def _best(store: MetadataStore) -> set[int]:
    """The Model artifact of the most accurate model that was released."""
    released = {release.properties[MODEL_ID].int_value for release in releases(store)}
    accuracy = {
        blessing.custom_properties[BLESSED_MODEL_ID].int_value: value.double_value
        for blessing in store.get_artifacts_by_type(ArtifactType.MODEL_BLESSING)
        if (value := blessing.custom_properties.get(ACCURACY))
    }
    return set(sorted(released & accuracy.keys(), key=lambda model: accuracy[model])[-1:])


def _kept_runs(store: MetadataStore, folder: Path, numbers: set[int]) -> list[mlmd.Context]:
    """The last run, and those that made or published the kept versions' models."""
    published = {r.id for r in releases(store) if r.properties[VERSION].int_value in numbers}
    made = _models(folder, numbers) | published
    # Not those that took them from the cache.
    executions = store.get_executions_by_id(sorted(_makers(store, made)))
    names = {
        context.name
        for execution in executions
        if execution.last_known_state == mlmd.Execution.COMPLETE
        for context in store.get_contexts_by_execution(execution.id)
    }
    runs = sorted(store.get_contexts_by_type(RUN_CONTEXT), key=lambda run: run.id)
    return [run for run in runs[:-1] if run.name in names] + runs[-1:]


def _makers(store: MetadataStore, artifacts: set[int]) -> set[int]:
    """The executions that put some artifacts out."""
    events = store.get_events_by_artifact_ids(sorted(artifacts))
    return {event.execution_id for event in events if event.type == mlmd.Event.OUTPUT}


def _came_from(store: MetadataStore, artifacts: set[int]) -> set[int]:
    """Artifacts, with all that went into them, however far back."""
    found: set[int] = set()
    new = set(artifacts)
    while new:
        found |= new
        inputs = store.get_events_by_execution_ids(sorted(_makers(store, new)))
        new = {e.artifact_id for e in inputs if e.type == mlmd.Event.INPUT} - found
    return found


def _folders(root: Path) -> Iterable[Path]:
    """What components wrote: `artifacts/<node>/<output>/<execution>`, TFX's own notes in `.system` too."""
    return [path for path in root.glob("artifacts/*/*/*") if path.is_dir()]


def _abandoned(store: MetadataStore, root: Path) -> list[Path]:
    """Checkpoints that the last run did not touch: it did not go on with them, and neither will the next."""
    runs = store.get_contexts_by_type(RUN_CONTEXT)
    began = max((run.create_time_since_epoch for run in runs), default=0) / 1000
    return [path for path in root.glob("checkpoints/*") if _touched(path) < began]


def _touched(folder: Path) -> float:
    return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())
