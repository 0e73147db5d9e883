"""Makes models live outside a run, and keeps the metadata store and the serving directory consistent.

Neither TFX nor TensorFlow: what TFX's resolvers will read is written with ml-metadata itself.
"""

from pathlib import Path

from ml_metadata.errors import NotFoundError
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.components.pusher import audit, serving
from maskline.components.pusher.model_card import Facts
from maskline.components.pusher.serving import Version
from maskline.transform.errors import InputError
from maskline.transform.names import FACTS_FILE, IDENTITY, MODEL_ID, PIPELINE_CONTEXT, VERSION, ArtifactType

_RELEASE = ArtifactType.RELEASE
_EXECUTION = "maskline.release"
_PROPERTIES = {VERSION: mlmd.INT, IDENTITY: mlmd.STRING, MODEL_ID: mlmd.INT}


def make_live(
    store: MetadataStore,
    saved_model: Path,
    folder: Path,
    *,
    why: str,
    model_id: int,
) -> Version:
    """Publishes a model and records it, as Pusher does; hold the root's lock around it.

    Args:
      store: the metadata store, for writing.
      saved_model: the exported model, or an earlier version.
      folder: the serving directory.
      why: the reason, for the audit log.
      model_id: its Model artifact.

    Returns:
      the new version, which is live.

    Raises:
      InputError: the directory cannot be written; what was live is live.
    """
    facts = None if (saved_model / serving.FACTS_PATH).exists() else _facts(store, model_id)
    version = serving.publish(saved_model, folder, why=why, model_id=model_id, facts=facts)
    _record(store, version, folder, model_id)
    return version


def roll_back(
    store: MetadataStore, folder: Path, number: int | None, reason: str = ""
) -> tuple[Version, int]:
    """Makes an earlier model live again by publishing it under the next number, as a server expects.

    Args:
      store: the metadata store, for writing; hold the root's lock.
      folder: the serving directory.
      number: the version to go back to; None is the one that was live before the live model first was.
      reason: for the audit log.

    Returns:
      the new version, and the number that it had before.

    Raises:
      InputError: there is no such version, it is the live model, or the directory cannot be written.
    """
    reconcile(store, folder)
    source = _way_back(folder, number)
    why = f"rolled back to version {source.number}" + (f": {reason}" if reason else "")
    model_id = next(c.model_id for c in audit.changes(folder) if c.to == source.number)
    return make_live(store, source.path, folder, why=why, model_id=model_id), source.number


def _way_back(folder: Path, number: int | None) -> Version:
    present = serving.versions(folder)
    if not present:
        raise InputError(f"{folder}: no model was released yet; there is nothing to go back to")
    live = present[-1]
    if number is None:
        first = min(c.to for c in audit.changes(folder) if c.identity == live.identity)
        earlier = [v for v in present if v.number < first]
        if not earlier:
            raise InputError(
                f"{folder}: no version is left from before the live model, version {live.number}"
            )
        return earlier[-1]
    found = [v for v in present if v.number == number]
    if not found:
        raise InputError(
            f"{folder}: no version {number}; there are {', '.join(str(v.number) for v in present)}"
        )
    if found[0].identity == live.identity:
        raise InputError(f"{folder}: version {number} is the live model already, as version {live.number}")
    return found[0]


def reconcile(store: MetadataStore, folder: Path) -> None:
    """Repairs the serving directory, and records what went live without the metadata store's knowledge.

    Call it before a run, which compares its candidate with the live model.

    Raises:
      InputError: the directory needs repair and cannot be written.
    """
    serving.repair(folder)
    recorded = max((release.properties[VERSION].int_value for release in releases(store)), default=0)
    for version in serving.versions(folder)[-1:]:
        if version.number > recorded:
            model_ids = {change.to: change.model_id for change in audit.changes(folder)}
            _record(store, version, folder, model_ids[version.number])


def releases(store: MetadataStore) -> list[mlmd.Artifact]:
    """The records of what went live, oldest first; the last one names the live version."""
    try:
        found = store.get_artifacts_by_type(_RELEASE)
    except NotFoundError:  # no release was ever made, so the type is not known yet
        return []
    return sorted(found, key=lambda artifact: artifact.id)


def _facts(store: MetadataStore, model_id: int) -> Facts | None:
    """What Pusher knew of a model that it was given, whether it published it or not."""
    asked = [
        e.execution_id for e in store.get_events_by_artifact_ids([model_id]) if e.type == mlmd.Event.INPUT
    ]
    made = [e.artifact_id for e in store.get_events_by_execution_ids(asked) if e.type == mlmd.Event.OUTPUT]
    files = [
        Path(artifact.uri, FACTS_FILE)
        for artifact in store.get_artifacts_by_id(sorted(set(made)))
        if artifact.type == ArtifactType.PUSHED_MODEL and Path(artifact.uri, FACTS_FILE).exists()
    ]
    return Facts.model_validate_json(files[-1].read_text(encoding="utf-8")) if files else None


def _record(store: MetadataStore, version: Version, folder: Path, model_id: int) -> None:
    """Writes a Release as the output of an execution in the pipeline's context, where resolvers look."""
    kind = store.put_artifact_type(mlmd.ArtifactType(name=_RELEASE, properties=_PROPERTIES))
    release = mlmd.Artifact(type_id=kind, uri=str(folder), state=mlmd.Artifact.LIVE)
    release.properties[VERSION].int_value = version.number
    release.properties[IDENTITY].string_value = version.identity
    release.properties[MODEL_ID].int_value = model_id
    execution = mlmd.Execution(
        type_id=store.put_execution_type(mlmd.ExecutionType(name=_EXECUTION)),
        last_known_state=mlmd.Execution.COMPLETE,
    )
    event = mlmd.Event(type=mlmd.Event.OUTPUT)
    event.path.steps.add(key="release")
    event.path.steps.add(index=0)
    store.put_execution(execution, [(release, event)], store.get_contexts_by_type(PIPELINE_CONTEXT))
