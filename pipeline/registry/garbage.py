"""Finds and removes what no kept model needs: versions, artifacts, logs, reports, checkpoints. No TFX.

Only what maskline and TFX made is ever removed, and only where the metadata store knows what made it. Folders
are compared by identity (device and inode), so that it does not matter how a path is spelled. TFX takes
nothing from the cache whose record says that it is gone, so the record is changed before the files go: what a
later run asks for again is computed again.
"""

import errno
import re
import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.components.pusher import serving
from maskline.components.pusher.contents import look
from maskline.components.resolvers.best import most_accurate
from maskline.pipeline.registry import live
from maskline.pipeline.registry.record import OF_SPAN
from maskline.pipeline.registry.releases import known_model, of_type, releases
from maskline.pipeline.report.paths import REPORTS_FOLDER
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError, cannot_write
from maskline.transform.names import NODE_CONTEXT, RUN_CONTEXT, VERSION, ArtifactType

TRASH = "trash"
_GO_ON = "give write access, then `maskline gc` removes the rest"
# Small records, by which the live and the best model are found and what was decided is remembered; and rows
# of the user that were set aside and may be wanted again.
_NEVER = {
    ArtifactType.RELEASE,
    ArtifactType.VERDICT,
    ArtifactType.MODEL_BLESSING,
    ArtifactType.QUARANTINE,
}
_RUN_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d+")
_CHECKPOINT = re.compile(r"[0-9a-f]{16}")


class Garbage(NamedTuple):
    """What can go. `artifacts` are records; `folders` lie under the root, theirs among them.

    Reports of runs are among `logs`.
    """

    versions: list[int]
    artifacts: list[mlmd.Artifact]
    folders: list[Path]
    logs: list[Path]
    checkpoints: list[Path]
    size: int

    def __str__(self) -> str:
        made = f"{len(self.versions)} versions, {len(self.artifacts)} artifacts"
        files = f"{len(self.logs)} logs and reports, and {len(self.checkpoints)} checkpoints"
        return f"{made}, {files}, {self.size / 1e6:,.1f} MB"

    def lines(self, settings: Settings) -> list[str]:
        """One line for each thing that goes."""
        paths = [settings.serving_dir / str(number) for number in self.versions]
        return [str(path) for path in (*paths, *self.folders, *self.logs, *self.checkpoints)]


def find(store: MetadataStore, settings: Settings, *, keep: int, keep_runs: int = 1) -> Garbage:
    """What can go when the newest `keep` versions stay; hold the root's lock, so that no run works.

    The live version is the newest one. What stays with a version: its model, all that went into it, and
    everything else in the runs that made it and published it. The last `keep_runs` runs stay too, and the
    most accurate model that was ever released, which the release gate compares with. Call `store.settle`
    before.

    Raises:
      InputError: the live version is damaged or gone, and what goes might bring it back; or the store knows
        none of the folders under `artifacts/`: it is of another root, or was lost.
    """
    contents = look(settings.serving_dir)
    recorded = max((release.properties[VERSION].int_value for release in releases(store)), default=0)
    if problem := live.problem(settings.serving_dir, contents, recorded=recorded):
        raise InputError(f"{problem}, so nothing is removed; {live.way_on(contents)}")
    present = contents.versions
    going = present[:-keep]
    stay = present[-keep:]
    runs = kept_runs(store, settings, stay, last=keep_runs)
    kept = {a.id for run in runs for a in store.get_artifacts_by_context(run.id)}
    kept |= _came_from(store, _models(store, settings, stay) | _best(store, settings.root))
    known = [a for a in store.get_artifacts() if a.state != mlmd.Artifact.DELETED]
    artifacts = [a for a in known if a.id not in kept and a.type not in _NEVER]
    gone = {a.id for a in artifacts}
    used = set(_identities(settings.root, (a for a in known if a.id not in gone)))
    seen = _folders(store, settings.root)
    _refuse_unknown(settings, known, seen)
    folders = [path for path in seen if _identity(path) not in used]
    names = {run.name for run in runs}
    logs = [path for path in _logs(store, settings.root) if path.stem not in names]
    checkpoints = _abandoned(store, settings.root)
    doomed = [*folders, *logs, *checkpoints, *(version.path for version in going)]
    return Garbage([v.number for v in going], artifacts, folders, logs, checkpoints, sum(map(_size, doomed)))


def remove(store: MetadataStore, settings: Settings, garbage: Garbage) -> None:
    """Moves it into the root's trash, which keeps the root whole at any moment, and empties that.

    Killed half-way, the next call does the rest.

    Raises:
      MachineError: the serving directory cannot be written.
    """
    for number in garbage.versions:
        serving.remove(settings.serving_dir, number)
    _mark(store, garbage.artifacts, mlmd.Artifact.MARKED_FOR_DELETION)
    trash = settings.root / TRASH / f"{datetime.now():%Y-%m-%dT%H-%M-%S.%f}"
    for path in (*garbage.folders, *garbage.checkpoints, *garbage.logs):
        target = trash / path.relative_to(settings.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        _move(path, target)
    _mark(store, garbage.artifacts, mlmd.Artifact.DELETED)
    empty_trash(settings.root)


def _move(path: Path, target: Path) -> None:
    try:
        path.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise cannot_write(path, error, _GO_ON) from None
        _remove_there(path)


def _remove_there(path: Path) -> None:
    """Removes what lies on another disk than the trash, where a move would be a copy.

    Its record says already that it goes, so a kill on the way leaves nothing that anybody reads.
    """
    try:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    except OSError as error:
        raise cannot_write(path, error, _GO_ON) from None


def empty_trash(root: Path) -> None:
    """Removes what `remove` moved into the trash, now or before it was killed."""
    if (root / TRASH).is_dir():
        shutil.rmtree(root / TRASH)


def _mark(store: MetadataStore, artifacts: list[mlmd.Artifact], state: int) -> None:
    for artifact in artifacts:
        artifact.state = state
    store.put_artifacts(artifacts)


def _models(store: MetadataStore, settings: Settings, versions: Iterable[serving.Version]) -> set[int]:
    """The Model artifacts behind some versions."""
    return {known_model(store, version, settings.serving_dir) for version in versions} - {0}


def _best(store: MetadataStore, root: Path) -> set[int]:
    """The Model artifact of the most accurate model that was released, as the LiveModel resolver finds it."""
    models, blessings = (of_type(store, k) for k in (ArtifactType.MODEL, ArtifactType.MODEL_BLESSING))
    best = most_accurate(releases(store), models, blessings, lambda model: (root / model.uri).exists())
    return {best.id} if best else set()


def kept_runs(
    store: MetadataStore, settings: Settings, versions: Iterable[serving.Version], *, last: int = 1
) -> list[mlmd.Context]:
    """The last runs, those that ingested spans for them, and those that made or published some versions."""
    numbers = {version.number for version in versions}
    published = {r.id for r in releases(store) if r.properties[VERSION].int_value in numbers}
    made = _models(store, settings, versions) | published
    # Not those that took them from the cache.
    executions = store.get_executions_by_id(sorted(_makers(store, made)))
    names = {
        context.name
        for execution in executions
        if execution.last_known_state == mlmd.Execution.COMPLETE
        for context in store.get_contexts_by_execution(execution.id)
    }
    runs = sorted(store.get_contexts_by_type(RUN_CONTEXT), key=lambda run: run.id)
    newest = [run.name for run in runs if OF_SPAN not in run.name][-last:]
    newest += [run.name for run in runs[-1:]]  # one that was killed among the spans of its window
    return [run for run in runs if run.name in names or run.name.split(OF_SPAN)[0] in newest]


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


def _folders(store: MetadataStore, root: Path) -> list[Path]:
    """What nodes wrote, at `artifacts/<node>/<output>/<execution>`; foreign folders are left out.

    TFX numbers an output's folder by its execution, which it records before it makes the folder.
    """
    executions = {str(execution.id) for execution in store.get_executions()}
    nodes = {context.name.split(".")[-1] for context in store.get_contexts_by_type(NODE_CONTEXT)}
    return [
        path
        for path in sorted(root.glob("artifacts/*/*/*"))
        if path.is_dir()
        and not path.is_symlink()
        and path.name in executions
        and path.parts[-3] in nodes
        and not path.parts[-2].startswith(".")
    ]


def _refuse_unknown(settings: Settings, known: list[mlmd.Artifact], seen: list[Path]) -> None:
    """A store that knows no folder that is there cannot say what may go."""
    there = [path for path in settings.root.glob("artifacts/*/*/*") if not path.parts[-2].startswith(".")]
    recorded = set(_identities(settings.root, known))
    if there and not any(_identity(path) in recorded for path in there):
        raise InputError(
            f"{settings.metadata_file}: knows none of the {len(there)} folders under "
            f"{settings.root / 'artifacts'}, so nothing is removed; it is of another root or was lost: put "
            "it back from a backup, or move these folders away yourself"
        )


def _identities(root: Path, artifacts: Iterable[mlmd.Artifact]) -> Iterable[tuple[int, int]]:
    """The folders of artifacts and all above them, as far as they exist."""
    for artifact in artifacts:
        place = (root / artifact.uri).resolve()
        for folder in (place, *place.parents):
            if folder.exists():
                yield _identity(folder)


def _identity(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_dev, stat.st_ino


def _logs(store: MetadataStore, root: Path) -> list[Path]:
    """The logs and reports of runs, by their names."""
    known = {run.name for run in store.get_contexts_by_type(RUN_CONTEXT)}
    found = [*sorted(root.glob("logs/*.log")), *sorted(root.glob(f"{REPORTS_FOLDER}/*.html"))]
    return [path for path in found if path.stem in known or _RUN_NAME.fullmatch(path.stem)]


def _abandoned(store: MetadataStore, root: Path) -> list[Path]:
    """Checkpoints that the last run did not touch: it did not go on with them, and neither will the next."""
    runs = store.get_contexts_by_type(RUN_CONTEXT)
    began = max((run.create_time_since_epoch for run in runs), default=0) / 1000
    ours = [path for path in root.glob("checkpoints/*") if _CHECKPOINT.fullmatch(path.name) and path.is_dir()]
    return [path for path in ours if _touched(path) < began]


def _touched(folder: Path) -> float:
    return max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())
