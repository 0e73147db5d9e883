"""Makes models live outside a run, and keeps the metadata store and the serving directory consistent.

Neither TFX nor TensorFlow: what TFX's resolvers will read is written with ml-metadata itself. The serving
directory decides what is live; the store only records it, and can be rebuilt from the directory.
"""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from ml_metadata.errors import NotFoundError
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.components.pusher import audit, serving
from maskline.components.pusher.model_card import Facts
from maskline.components.pusher.serving import Version, identity_of
from maskline.transform.errors import InputError
from maskline.transform.names import (
    ACCURACY,
    BLESSED,
    BLESSED_MODEL_ID,
    FACTS_FILE,
    IDENTITY,
    MODEL_ID,
    PIPELINE_CONTEXT,
    PIPELINE_NAME,
    VERSION,
    ArtifactType,
)

SERVED = "Served"  # the folder under `artifacts/` of models that were found in the serving directory
_EXECUTION = "maskline.release"
_PROPERTIES = {VERSION: mlmd.INT, IDENTITY: mlmd.STRING, MODEL_ID: mlmd.INT}
_SERVING = "Format-Serving"  # TFX's folder of the SavedModel within a Model artifact


def make_live(
    store: MetadataStore | None,
    saved_model: Path,
    folder: Path,
    *,
    why: str,
    model_id: int,
    override: bool = False,
) -> Version:
    """Publishes a model and records it, as Pusher does; hold the root's lock around it.

    Args:
      store: the metadata store, for writing; without one the next run's `reconcile` records the release.
      saved_model: the exported model, or an earlier version.
      folder: the serving directory.
      why: the reason, for the audit log.
      model_id: its Model artifact.
      override: a person released it against ReleaseGate.

    Returns:
      the new version, which is live.

    Raises:
      MachineError: the directory cannot be written. The live version has not changed.
    """
    facts = None
    if store is not None:
        serving.remember_number(folder, max(map(_version, releases(store)), default=0))
        if not (saved_model / serving.FACTS_PATH).exists():
            try:
                facts = _facts(store, model_id, folder)
            except InputError:
                if override:  # a release of today has a card; the way back goes on without
                    raise
    version = serving.publish(saved_model, folder, why=why, model_id=model_id, facts=facts, override=override)
    if store is not None:
        _record(store, version, folder, model_id)
    return version


def reconcile(store: MetadataStore, folder: Path, *, local: bool = True) -> None:
    """Repairs the serving directory, and records what the metadata store does not know of it.

    Call it before a run, which compares its candidate with the live model. A version whose model the store
    does not know, because the store was lost or the version was copied here, becomes a Model artifact.

    Args:
      store: the metadata store, for writing.
      folder: the serving directory, `<root>/serving/maskline`.
      local: the store is the root's own. That of a cluster may name models in places that cannot be seen
        from here; then it is trusted.

    Raises:
      MachineError: the directory needs repair and cannot be written.
    """
    serving.repair(folder)
    known = _without_doubles(store, releases(store))
    serving.remember_number(folder, max(map(_version, known), default=0))
    recorded = {(_version(release), _identity(release)) for release in known}
    found = serving.versions(folder)
    for version in found:
        if (version.number, version.identity) not in recorded:
            _record(store, version, folder, model_of(store, version, folder, local=local))
    for live in found[-1:]:
        last, model = releases(store)[-1], model_of(store, live, folder, local=local)
        if (_version(last), last.properties[MODEL_ID].int_value) != (live.number, model):
            _record(store, live, folder, model)


def releases(store: MetadataStore) -> list[mlmd.Artifact]:
    """The records of what went live, oldest first; the last one names the live version."""
    return sorted(of_type(store, ArtifactType.RELEASE), key=lambda artifact: artifact.id)


def model_of(store: MetadataStore, version: Version, folder: Path, *, local: bool = True) -> int:
    """The Model artifact of a version, whose files are there; made where the store has none."""
    found = known_model(store, version, folder, local=local)
    return found if found or not local else _register(store, version, folder.parent.parent)


def known_model(store: MetadataStore, version: Version, folder: Path, *, local: bool = True) -> int:
    """The Model artifact of a version, whose files are there; 0 where the store has none.

    The ids in the audit log and in older records may come from a store that was lost, so they count only
    where the artifact carries the version's identity.
    """
    ids = [r.properties[MODEL_ID].int_value for r in releases(store) if _identity(r) == version.identity]
    ids += [c.model_id for c in audit.changes(folder) if c.identity == version.identity]
    if not local:
        return next(iter(reversed(ids)), 0)
    models = {m.id: m for m in store.get_artifacts_by_id(sorted(set(ids)))}
    root = folder.parent.parent
    for number in reversed(ids):
        model = models.get(number)
        if model is None or model.type != ArtifactType.MODEL or model.state != mlmd.Artifact.LIVE:
            continue
        if identity_of(root / model.uri / _SERVING) == version.identity:
            return number
    return 0


def _register(store: MetadataStore, version: Version, root: Path) -> int:
    """Makes a Model artifact of a version in the serving directory, with its accuracy where that is known."""
    uri = Path("artifacts", SERVED, "model", str(version.number))
    copy, partial = root / uri, root / "artifacts" / SERVED / f"partial-{version.number}"
    for old in (copy, partial):
        if old.exists():
            shutil.rmtree(old)
    # A copy, so that the comparison still has its model when the version is damaged later.
    shutil.copytree(version.path, partial / _SERVING)
    copy.parent.mkdir(exist_ok=True)
    partial.rename(copy)
    model_type = mlmd.ArtifactType(name=ArtifactType.MODEL, base_type=mlmd.ArtifactType.MODEL)
    model = mlmd.Artifact(type_id=store.put_artifact_type(model_type), uri=str(uri), state=mlmd.Artifact.LIVE)
    [model_id] = _put(store, [(model, "model")])
    accuracy = _accuracy(version.path)
    if accuracy is not None:
        kind = store.put_artifact_type(mlmd.ArtifactType(name=ArtifactType.MODEL_BLESSING))
        blessing = mlmd.Artifact(type_id=kind, uri=str(uri), state=mlmd.Artifact.LIVE)
        blessing.custom_properties[BLESSED].int_value = 1
        blessing.custom_properties[BLESSED_MODEL_ID].int_value = model_id
        blessing.custom_properties[ACCURACY].double_value = accuracy
        _put(store, [(blessing, "blessing")])
    return model_id


def _accuracy(version: Path) -> float | None:
    """The accuracy that a version had when it was released; None where it does not say."""
    try:
        facts = json.loads((version / serving.FACTS_PATH).read_bytes())
        return float(facts["metrics"][ACCURACY])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _without_doubles(store: MetadataStore, known: list[mlmd.Artifact]) -> list[mlmd.Artifact]:
    """Keeps one record of each version: the newest, as a killed run's Pusher may record it once more."""
    newest = {(_version(r), _identity(r)): r.id for r in known}
    older = [r for r in known if newest[_version(r), _identity(r)] != r.id]
    for release in older:
        release.state = mlmd.Artifact.DELETED
    if older:
        store.put_artifacts(older)
    return [release for release in known if release not in older]


def _facts(store: MetadataStore, model_id: int, folder: Path) -> Facts | None:
    """What Pusher knew of a model that it was given, whether it published it or not."""
    asked = [
        e.execution_id for e in store.get_events_by_artifact_ids([model_id]) if e.type == mlmd.Event.INPUT
    ]
    made = [e.artifact_id for e in store.get_events_by_execution_ids(asked) if e.type == mlmd.Event.OUTPUT]
    root = folder.parent.parent
    files = [
        root / artifact.uri / FACTS_FILE
        for artifact in store.get_artifacts_by_id(sorted(set(made)))
        if artifact.type == ArtifactType.PUSHED_MODEL and (root / artifact.uri / FACTS_FILE).exists()
    ]
    if not files:
        return None
    try:
        return Facts.model_validate_json(files[-1].read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError(f"{files[-1]}: cannot be read; `maskline run` makes it again") from None


def _record(store: MetadataStore, version: Version, folder: Path, model_id: int) -> None:
    """Writes a Release, where resolvers look."""
    kind = store.put_artifact_type(mlmd.ArtifactType(name=ArtifactType.RELEASE, properties=_PROPERTIES))
    release = mlmd.Artifact(type_id=kind, uri=f"serving/{folder.name}", state=mlmd.Artifact.LIVE)
    release.properties[VERSION].int_value = version.number
    release.properties[IDENTITY].string_value = version.identity
    release.properties[MODEL_ID].int_value = model_id
    _put(store, [(release, "release")])


def _put(store: MetadataStore, outputs: Iterable[tuple[mlmd.Artifact, str]]) -> list[int]:
    """Writes artifacts as outputs of an execution in the pipeline's context; returns their ids."""
    execution = mlmd.Execution(
        type_id=store.put_execution_type(mlmd.ExecutionType(name=_EXECUTION)),
        last_known_state=mlmd.Execution.COMPLETE,
    )
    pairs = []
    for artifact, key in outputs:
        event = mlmd.Event(type=mlmd.Event.OUTPUT)
        event.path.steps.add(key=key)
        event.path.steps.add(index=0)
        pairs.append((artifact, event))
    return list(store.put_execution(execution, pairs, _pipelines(store))[1])


def _pipelines(store: MetadataStore) -> list[mlmd.Context]:
    """The contexts of pipelines; a new store gets ours."""
    try:
        found = store.get_contexts_by_type(PIPELINE_CONTEXT)
    except NotFoundError:
        found = []
    if not found:
        kind = store.put_context_type(mlmd.ContextType(name=PIPELINE_CONTEXT))
        store.put_contexts([mlmd.Context(type_id=kind, name=PIPELINE_NAME)])
        found = store.get_contexts_by_type(PIPELINE_CONTEXT)
    return list(found)


def of_type(store: MetadataStore, name: str) -> list[mlmd.Artifact]:
    """The artifacts of a type that are not deleted; none where the type is not known yet."""
    try:
        found = store.get_artifacts_by_type(name)
    except NotFoundError:
        return []
    return [artifact for artifact in found if artifact.state != mlmd.Artifact.DELETED]


def _version(release: mlmd.Artifact) -> int:
    return int(release.properties[VERSION].int_value)


def _identity(release: mlmd.Artifact) -> str:
    return str(release.properties[IDENTITY].string_value)
