"""The metadata store of a root: opened with care, and brought in line with the files it names. No TFX.

A run's artifacts have URIs relative to the root, so that a root can be moved, or reached through a link.
Roots of earlier releases of maskline hold absolute ones, which `settle` makes relative.
"""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

from ml_metadata.errors import StatusError
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.components.pusher.contents import versions
from maskline.pipeline.errors import BusyError
from maskline.pipeline.local.lock import holder_of
from maskline.pipeline.registry import files, inventory
from maskline.transform.errors import InputError, MachineError, cannot_write

RunStore: TypeAlias = MetadataStore  # so that who only hands a store on needs no ml-metadata
_WAY_BACK = "put it back from a backup, or let `maskline doctor --repair` rebuild it from what was released"
PATIENCE = 5.0  # seconds that a store is waited for that another process holds
# What SQLite says where the machine refuses.
_OF_MACHINE = (
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY,
)  # fmt: skip
_OF_A_ROOT = re.compile(r"/(artifacts/[^/]+/[^/]+/[0-9]+|serving/[^/]+)$")


def connect(metadata_file: Path, *, read_only: bool = False) -> MetadataStore:
    """Opens a metadata store. Let go of it before a run forks (docs/adr/0002).

    Raises:
      InputError: the store is damaged, or is no metadata store.
      MachineError: it cannot be read or written.
      BusyError: another process holds it, after some seconds; names its id.
    """
    if read_only and metadata_file.is_file() and not metadata_file.stat().st_size:
        raise InputError(f"{metadata_file}: the metadata store is empty; {_WAY_BACK}")
    _check(metadata_file, read_only=read_only)
    mode = mlmd.SqliteMetadataSourceConfig
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = str(metadata_file)
    config.sqlite.connection_mode = mode.READONLY if read_only else mode.READWRITE_OPENCREATE
    try:
        store = MetadataStore(config)
        store.get_artifact_types()
    except (StatusError, RuntimeError) as error:
        why = " ".join(str(error).split())[:200]
        raise InputError(
            f"{metadata_file}: is not a metadata store that can be used ({why}); {_WAY_BACK}"
        ) from None
    return store


def must_exist(metadata_file: Path, serving_dir: Path) -> None:
    """For a command that cannot do without the store.

    Raises:
      InputError: there is none; see `no_run`.
    """
    if not metadata_file.exists():
        raise no_run(metadata_file, serving_dir)


def no_run(metadata_file: Path, serving_dir: Path) -> InputError:
    """What to say where no run is recorded: the record is lost where versions are served."""
    served = len(versions(serving_dir))
    if not served:
        return InputError(f"{metadata_file.parent}: no run yet; start one with `maskline run`")
    released = f"though {served} version{'s are' if served > 1 else ' is'} released (`maskline models`)"
    if metadata_file.exists():
        return InputError(f"{metadata_file}: holds no run, {released}; start one with `maskline run`")
    return InputError(f"{metadata_file}: the metadata store is missing, {released}; {_WAY_BACK}")


def _check(file: Path, *, read_only: bool) -> None:
    """Asks SQLite itself, which reads every page: what ml-metadata raises is a page of SQL."""
    if not read_only and file.is_file():
        try:  # SQLite opens what it may not write for reading, and says so at the first change
            open(file, "r+b").close()
        except OSError as error:
            raise cannot_write(file, error, "make room or give access") from None
    try:
        with closing(sqlite3.connect(file, timeout=PATIENCE)) as database:
            if not read_only:
                database.execute("BEGIN IMMEDIATE")
            [found] = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise _refusal(file, error, "read" if read_only else "written") from None
    if found != "ok":
        raise InputError(f"{file}: the metadata store is damaged ({' '.join(found.split())}); {_WAY_BACK}")


def _refusal(file: Path, error: sqlite3.Error, action: str) -> Exception:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest is a further reason
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        process = holder_of(file)
        held = f"held by process {process}" if process else "held by another process"
        return BusyError(f"{file}: busy, {held}; wait until it has ended, then try again")
    if code in _OF_MACHINE and not file.is_dir():
        return MachineError(
            f"{file}: the metadata store cannot be {action} ({error}); make room or give access"
        )
    return InputError(f"{file}: the metadata store cannot be {action} ({error}); {_WAY_BACK}")


def settle(store: MetadataStore, root: Path) -> list[mlmd.Artifact]:
    """Brings the records in line with the files; hold the root's lock.

    An absolute URI that leads into this root, or into one that was moved here, becomes a relative one. An
    artifact whose files are gone or damaged is recorded as deleted: TFX's cache and resolvers then ignore
    it, and a run that needs it makes it again.

    Args:
      store: the metadata store, for writing.
      root: the root.

    Returns:
      the artifacts that are gone.
    """
    moved, gone, noted = [], [], inventory.noted(store)
    for artifact in store.get_artifacts():
        if artifact.state != mlmd.Artifact.LIVE:
            continue
        if (relative := _within(root, artifact.uri)) != artifact.uri:
            artifact.uri = relative
            moved.append(artifact)
        if files.missing(artifact.type, root / artifact.uri, noted.get(artifact.id)):
            artifact.state = mlmd.Artifact.DELETED
            gone.append(artifact)
    changed = {artifact.id: artifact for artifact in [*moved, *gone]}
    if changed:
        store.put_artifacts(list(changed.values()))
    return gone


def _within(root: Path, uri: str) -> str:
    """The URI relative to the root, where its folder lies in it; otherwise as it is."""
    found = _OF_A_ROOT.search(uri) if uri.startswith("/") else None
    return found[1] if found and (root / found[1]).exists() else uri
