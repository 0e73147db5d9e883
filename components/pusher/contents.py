"""What lies in a serving directory: versions, damaged versions, and foreign things. No TensorFlow."""

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from maskline.components.pusher import audit, manifest
from maskline.transform.names import AUDIT_FILE, IDENTITY_FILE

LOCK_FILE = ".lock"
LAST_NUMBER_FILE = ".last-number"  # the highest number ever given, where directory and log lost it
INCOMING, REMOVING = "incoming-", "removing-"
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)  # a server reads 64 bits


class Version(NamedTuple):
    """A version as it was released: complete, and with the identity of its model."""

    number: int
    path: Path
    identity: str


class Damaged(NamedTuple):
    """A version that is no longer as it was released; `why` names the file."""

    number: int
    path: Path
    why: str


class Foreign(NamedTuple):
    """Something else; `number` is the one under which a server would load it as a model, or None."""

    path: Path
    why: str
    number: int | None = None


class Contents(NamedTuple):
    """All that lies in a serving directory, each part in ascending order."""

    versions: list[Version]
    damaged: list[Damaged]
    foreign: list[Foreign]

    @property
    def live(self) -> Version | None:
        """The version with the highest number, or None before the first release."""
        return self.versions[-1] if self.versions else None

    @property
    def notes(self) -> list[str]:
        """One line for each thing that is damaged or foreign."""
        damaged = [f"{d.path}: version {d.number} is damaged: {d.why}" for d in self.damaged]
        return damaged + [f"{f.path}: is not a released version: {f.why}; ignored" for f in self.foreign]


def look(folder: Path, *, thorough: bool = False) -> Contents:
    """Looks at everything in a serving directory.

    Args:
      folder: the serving directory; it need not exist.
      thorough: read every file of every version and compare it with the manifest; see `manifest.damage`.
    """
    found = Contents([], [], [])
    if not folder.is_dir():
        return found
    logged = {change.to: change for change in audit.changes(folder)}
    for path in sorted(folder.iterdir(), key=_order):
        if path.name in (AUDIT_FILE, LOCK_FILE, LAST_NUMBER_FILE) or _is_leftover(path):
            continue
        entry = _judge(path, logged, thorough=thorough)
        if isinstance(entry, Version):
            found.versions.append(entry)
        elif isinstance(entry, Damaged):
            found.damaged.append(entry)
        else:
            found.foreign.append(entry)
    return found


def versions(folder: Path) -> list[Version]:
    """The complete versions in a serving directory, oldest first; the last one is live."""
    return look(folder).versions


def identity_of(saved_model: Path) -> str:
    """The identity that a SavedModel carries; empty where it has none that can be read."""
    try:
        identity = json.loads((saved_model / IDENTITY_FILE).read_bytes())["identity"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return identity if isinstance(identity, str) else ""


def highest_number(folder: Path) -> int:
    """The highest number that was ever given, as the directory, the log and what `remember` wrote know it."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    given = [int(name) for name in names if _NUMBER.fullmatch(name)]
    given += [change.to for change in audit.changes(folder)]
    with suppress(OSError, ValueError):
        given.append(int((folder / LAST_NUMBER_FILE).read_text()[:18]))
    return max(given, default=0)


def leftovers(folder: Path) -> list[Path]:
    """Folders of a publisher that was killed."""
    return sorted(path for path in folder.iterdir() if _is_leftover(path)) if folder.is_dir() else []


def _is_leftover(path: Path) -> bool:
    kind, _, number = path.name.partition("-")
    ours = f"{kind}-" in (INCOMING, REMOVING) and _NUMBER.fullmatch(number) is not None
    return ours and path.is_dir() and not path.is_symlink()


def _order(path: Path) -> tuple[int, str]:
    return (int(path.name) if _NUMBER.fullmatch(path.name) else -1, path.name)


def _judge(path: Path, logged: dict[int, audit.Change], *, thorough: bool) -> Version | Damaged | Foreign:
    if not _NUMBER.fullmatch(path.name):
        return Foreign(path, "its name is not a version number")
    number = int(path.name)
    loads = (path / manifest.MODEL_FILE).is_file()
    served = number if loads else None
    if not number or str(number) != path.name:
        return Foreign(path, "its name is not a version number as maskline writes it", served)
    if path.is_symlink() or not path.is_dir():
        return Foreign(path, "it is not a folder of its own", served)
    change, identity = logged.get(number), identity_of(path)
    if not identity and (change is None or not change.identity):
        why = "it holds a model of another program" if loads else "it holds no model"
        return Foreign(path, why, served)
    if not identity:
        return Damaged(number, path, f"{IDENTITY_FILE} is missing or cannot be read")
    if change is not None and change.identity != identity:
        return Damaged(number, path, f"{IDENTITY_FILE} names another model than the audit log")
    why = manifest.damage(path, sha256=change.manifest if change else "", thorough=thorough)
    return Damaged(number, path, why) if why else Version(number, path, identity)
