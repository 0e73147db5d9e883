"""The manifest of a released version: size, time and checksum of each of its files. No TensorFlow."""

import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from maskline.transform.names import MANIFEST_FILE
from maskline.transform.versioned import Versioned

MODEL_FILE = "saved_model.pb"  # without it TensorFlow loads nothing


class Entry(BaseModel):
    """One file as it was released: `size` in bytes, `sha256`, `time` of its last change in nanoseconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    sha256: str
    time: int


class Manifest(Versioned):
    """The files of a version, by their path within it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: dict[str, Entry]


def write(folder: Path) -> str:
    """Writes the manifest of a version that is about to be released.

    Args:
      folder: the version, complete but for its manifest.

    Returns:
      the manifest's own SHA-256, for the audit log.
    """
    files = {
        str(path.relative_to(folder)): Entry(
            size=path.stat().st_size, sha256=_sha256(path), time=path.stat().st_mtime_ns
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST_FILE
    }
    (folder / MANIFEST_FILE).write_text(Manifest(files=files).model_dump_json(indent=1), encoding="utf-8")
    return _sha256(folder / MANIFEST_FILE)


def digest(folder: Path) -> str:
    """SHA-256 of the names and contents of all files in a folder."""
    files = {str(path.relative_to(folder)): _sha256(path) for path in folder.rglob("*") if path.is_file()}
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def unlike(saved_model: Path, checked: str) -> str:
    """Says that an exported model is no longer what ModelChecks asked, and what to do.

    Args:
      saved_model: the model that is about to be released.
      checked: the `digest` of what was checked; empty where an earlier release of maskline noted none.
    """
    if not checked or digest(saved_model) == checked:
        return ""
    return (
        f"{saved_model}: is damaged: it is not what ModelChecks checked; remove this folder, and the next "
        "`maskline run` trains the model again"
    )


def damage(folder: Path, *, sha256: str = "", thorough: bool = False) -> str:
    """Compares a version with its manifest.

    Args:
      folder: the version.
      sha256: of the manifest, from the audit log; empty where the log has none.
      thorough: read every file; otherwise only those whose time of change is another than at the release,
        as those of a copy are.

    Returns:
      the first file that is not as it was released and why, or an empty string. A version that an earlier
      release of maskline published has no manifest; of it only the presence of the model is known.
    """
    try:
        return _damage(folder, sha256=sha256, thorough=thorough)
    except OSError as error:
        return f"{error.filename or folder} cannot be read ({error.strerror})"


def _damage(folder: Path, *, sha256: str, thorough: bool) -> str:
    if not (folder / MODEL_FILE).is_file():
        return f"{MODEL_FILE} is missing"
    file = folder / MANIFEST_FILE
    if not file.exists():
        return f"{MANIFEST_FILE} is missing" if sha256 else ""
    if sha256 and _sha256(file) != sha256:
        return f"{MANIFEST_FILE} is not the one that was released"
    try:
        manifest = Manifest.model_validate(json.loads(file.read_bytes()))
    except (ValidationError, ValueError):
        return f"{MANIFEST_FILE} cannot be read"
    for name, entry in manifest.files.items():
        if problem := _changed(folder / name, entry, thorough=thorough):
            return f"{name} {problem}"
    return ""


def _changed(path: Path, entry: Entry, *, thorough: bool) -> str:
    if not path.is_file():
        return "is missing"
    stat = path.stat()
    if stat.st_size != entry.size:
        return f"has {stat.st_size:,} bytes, and had {entry.size:,} when it was released"
    same = stat.st_mtime_ns == entry.time and not thorough
    return "" if same or _sha256(path) == entry.sha256 else "is not what was released"


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
