"""Publishes versions in the serving directory, logs them, and repairs the directory. No TensorFlow.

A model server polls the directory and serves the highest number in it. It ignores names that are not
numbers: the lock, the audit log, and folders that are being copied or removed. `contents` reads the versions.
"""

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from maskline.components.pusher import audit, manifest, model_card
from maskline.components.pusher.audit import Change
from maskline.components.pusher.contents import (
    INCOMING,
    LAST_NUMBER_FILE,
    LOCK_FILE,
    REMOVING,
    Version,
    highest_number,
    identity_of,
    leftovers,
    look,
    versions,
)
from maskline.components.pusher.model_card import Facts
from maskline.transform.errors import InputError, cannot_write
from maskline.transform.names import CARD_FILE, EXTRA_FOLDER, FACTS_FILE

__all__ = ["LOCK_FILE", "Version", "identity_of", "look", "versions"]

logger = logging.getLogger(__name__)

FACTS_PATH = f"{EXTRA_FOLDER}/{FACTS_FILE}"  # in each version, beside the model's identity


def publish(
    saved_model: Path,
    folder: Path,
    *,
    why: str,
    model_id: int = 0,
    facts: Facts | None = None,
    override: bool = False,
    unknown_live: str = "",
) -> Version:
    """Makes a model live: copies it into the serving directory under the next number, and logs it.

    The copy first has a name that no server takes for a version. It is synced to the disk with a manifest of
    its files, then the change is logged, and then the copy is renamed. If the process is killed before the
    change is logged, nothing has happened; if it is killed later, `repair` renames the copy. Only one
    publisher works at a time, and others wait. No number is used twice, even if its version was removed.

    Args:
      saved_model: the exported model.
      folder: the serving directory; created if it does not exist.
      why: the reason, for the audit log.
      model_id: the id of its Model artifact in the metadata store.
      facts: facts about the model, which are stored with it and shown in its model card. An earlier version
        contains its own facts; it gets a new card, which says how it became live again.
      override: whether a person released it although ReleaseGate had blocked it.
      unknown_live: what was wrong with the live model, if a person accepted that; for the audit log.

    Returns:
      the new version.

    Raises:
      MachineError: the directory cannot be written. The live version has not changed.
    """
    facts = facts or _facts_within(saved_model)
    with _changing(folder):
        _repair(folder)
        change = _next_change(folder, why, identity_of(saved_model)).model_copy(
            update={"model_id": model_id, "override": override, "unknown_live": unknown_live}
        )
        incoming = folder / f"{INCOMING}{change.to}"
        try:
            _copy(saved_model, incoming)
            if facts is not None:
                _write(incoming / FACTS_PATH, facts.model_dump_json(indent=1))
                _write(incoming / CARD_FILE, model_card.card(facts, change))
            change = change.model_copy(update={"manifest": manifest.write(incoming)})
            _flush(incoming)
            _flush(folder, deep=False)
            audit.append(folder, change)
        except OSError:
            shutil.rmtree(incoming, ignore_errors=True)  # frees the space on a full disk
            raise
        _go_live(folder, change.to)
    return Version(change.to, folder / str(change.to), change.identity)


def repair(folder: Path) -> None:
    """Repairs what a killed publisher left: removes an unlogged copy, and makes a logged copy live.

    It also logs versions that something else put into the directory. It writes only if there is something to
    repair. Call it before asking which version is live.

    Raises:
      MachineError: the directory cannot be written.
    """
    if leftovers(folder) or audit.is_torn(folder) or unlogged(folder):
        with _changing(folder):
            _repair(folder)


def remove(folder: Path, number: int) -> None:
    """Removes a version. It disappears in one step for a server that polls the directory.

    Raises:
      InputError: the version is live.
      MachineError: the directory cannot be written.
    """
    with _changing(folder):
        live = look(folder).live
        if live and number == live.number:
            raise InputError(f"{folder}: version {number} is live and cannot be removed")
        target = folder / f"{REMOVING}{number}"
        (folder / str(number)).rename(target)
        shutil.rmtree(target)


@contextmanager
def _changing(folder: Path) -> Iterator[None]:
    """Locks out other publishers, and turns an `OSError` into a message of one line."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / LOCK_FILE, "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # the kernel releases it, even if the process is killed
            yield
    except OSError as error:
        advice = "the live version has not changed. Make room or give write access, then run again"
        raise cannot_write(folder, error, advice) from error


def _facts_within(saved_model: Path) -> Facts | None:
    """Returns the facts that an earlier version contains; None for a model that was just exported."""
    try:
        return Facts.model_validate_json((saved_model / FACTS_PATH).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValidationError, OSError):  # models of other releases of maskline can become live again too
        logger.warning("%s: written by another release of maskline; its card is not updated", saved_model)
        return None


def _next_change(folder: Path, why: str, identity: str) -> Change:
    live = look(folder).live
    return Change(
        time=datetime.now(UTC),
        who=audit.user(),
        before=live.number if live else None,
        to=highest_number(folder) + 1,
        why=why,
        identity=identity,
    )


def remember_number(folder: Path, number: int) -> None:
    """Makes sure that a version number is not used again after directory and audit log were lost.

    Args:
      folder: the serving directory; created if it does not exist.
      number: the highest version in the metadata store.

    Raises:
      MachineError: the directory cannot be written.
    """
    if number > highest_number(folder):
        with _changing(folder):
            _write(folder / LAST_NUMBER_FILE, str(number))
            _flush(folder / LAST_NUMBER_FILE)


def _repair(folder: Path) -> None:
    if audit.is_torn(folder):
        audit.mend(folder)
    logged = {f"{INCOMING}{change.to}": change.to for change in audit.changes(folder)}
    for path in leftovers(folder):
        if path.name in logged and not (folder / str(logged[path.name])).exists():
            logger.warning("%s: its publisher was killed before it went live", path)
            _go_live(folder, logged[path.name])
        else:
            logger.warning("%s: removing what a killed publisher left", path)
            shutil.rmtree(path)
    for change in unlogged(folder):
        logger.warning("%s: version %d was not logged", folder, change.to)
        audit.append(folder, change)


def unlogged(folder: Path) -> list[Change]:
    """Returns changes that are missing from the log, for versions that something else put there."""
    logged = {change.to for change in audit.changes(folder)}
    found, before = [], None
    for number, path, identity in versions(folder):
        if number not in logged:
            time, why = datetime.fromtimestamp(path.stat().st_mtime, UTC), "found in the directory"
            found.append(
                Change(time=time, who="unknown", before=before, to=number, why=why, identity=identity)
            )
        before = number
    return found


def _go_live(folder: Path, number: int) -> None:
    (folder / f"{INCOMING}{number}").rename(folder / str(number))
    _flush(folder, deep=False)


def _copy(source: Path, target: Path) -> None:
    target.mkdir()
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir()
        else:
            shutil.copyfile(path, copy)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _flush(path: Path, *, deep: bool = True) -> None:
    """Syncs a file or directory to the disk; with `deep`, first everything inside it."""
    if deep and path.is_dir():
        for inner in path.iterdir():
            _flush(inner)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
