"""The audit log: every change of what is live, a line of JSON each, only ever appended to."""

import errno
import getpass
import os
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from maskline.transform.errors import InputError
from maskline.transform.names import AUDIT_FILE


class Change(BaseModel):
    """A change of what is live: when, by whom, `from` which version `to` which, and why.

    `identity` names the model by what it was trained from, `model_id` is its Model artifact in the
    metadata store. `before` stands for `from`, which Python keeps for itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    time: AwareDatetime
    who: str
    before: int | None = Field(alias="from")
    to: int
    why: str
    identity: str = ""
    model_id: int = 0


def changes(folder: Path) -> list[Change]:
    """Every change of what was live in a serving directory, oldest first.

    Raises:
      InputError: the log was edited, and not well.
    """
    file = folder / AUDIT_FILE
    try:
        return [Change.model_validate_json(line) for line in _lines(file)[:-1]]
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise InputError(f"{file}: was changed by other hands ({reason}); put it back") from None


def append(folder: Path, change: Change) -> None:
    """Adds a line and writes it through to the disk; on a full disk the log stays as it was.

    Raises:
      OSError: it could not be written.
    """
    line = change.model_dump_json(by_alias=True).encode() + b"\n"
    with open(folder / AUDIT_FILE, "ab", buffering=0) as file:
        if file.write(line) < len(line):
            mend(folder)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file.fileno())


def is_torn(folder: Path) -> bool:
    """Whether the last line was not written to its end: the disk was full, or the machine went down."""
    return _lines(folder / AUDIT_FILE)[-1] != b""


def mend(folder: Path) -> None:
    """Cuts a torn last line off: what it tells did not happen."""
    file = folder / AUDIT_FILE
    os.truncate(file, file.stat().st_size - len(_lines(file)[-1]))


def user() -> str:
    """Who works here."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container there may be no name for the number
        return str(os.getuid())


def _lines(file: Path) -> list[bytes]:
    """All lines; the last one is empty where the log is whole."""
    try:
        return file.read_bytes().split(b"\n")
    except FileNotFoundError:
        return [b""]
