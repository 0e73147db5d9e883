"""The audit log: one line of JSON for every change of the live version. Lines are only ever appended."""

import errno
import getpass
import os
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, ConfigDict, Field, ValidationError, model_validator

from maskline.transform.names import AUDIT_FILE
from maskline.transform.versioned import Versioned

# Earlier releases of maskline marked an override by this prefix of its reason.
_OVERRIDE_PREFIX = "blessed on purpose: "


class Change(Versioned):
    """A change of the live version: when, by whom, from which version to which, and why.

    In JSON, `before` is called `from`, which is a keyword in Python. `identity` is the model's identity,
    `model_id` the id of its artifact in the metadata store, and `manifest` the SHA-256 of the version's
    manifest. `override` is true if a person released the model although ReleaseGate had blocked it.
    `unknown_live` says what was wrong with the live model if a person accepted that the new model was not
    compared with it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    time: AwareDatetime
    who: str
    before: int | None = Field(alias="from")
    to: int = Field(ge=1, lt=10**18)
    why: str
    identity: str = ""
    model_id: int = 0
    manifest: str = ""
    override: bool = False
    unknown_live: str = ""

    @model_validator(mode="before")
    @classmethod
    def _read_old_override(cls, values: Any) -> Any:
        if isinstance(values, dict) and "override" not in values:
            why = values.get("why")
            if isinstance(why, str) and why.startswith(_OVERRIDE_PREFIX):
                return {**values, "override": True, "why": why.removeprefix(_OVERRIDE_PREFIX)}
        return values

    @property
    def reason(self) -> str:
        """The reason in words, which also say whether it was an override."""
        return f"released against the gate: {self.why}" if self.override else self.why


def changes(folder: Path) -> list[Change]:
    """Returns every change of the live version of a serving directory, oldest first.

    Lines that cannot be read are skipped, so that rolling back remains possible; `problems` names them.
    """
    return _read(folder)[0]


def problems(folder: Path) -> list[str]:
    """One line that says how many complete lines of the log cannot be read, or none."""
    bad = _read(folder)[1]
    more = f", nor can {len(bad) - 1} more lines" if len(bad) > 1 else ""
    return [f"{folder / AUDIT_FILE}: {bad[0]}{more}; put it back from a backup"] if bad else []


def _read(folder: Path) -> tuple[list[Change], list[str]]:
    file = folder / AUDIT_FILE
    found, bad = [], []
    try:
        lines = _lines(file)
    except OSError as error:
        return [], [f"the audit log cannot be read ({error.strerror})"]
    for number, line in enumerate(lines[:-1], start=1):
        try:
            found.append(Change.model_validate_json(line))
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            bad.append(f"line {number} cannot be read ({reason})")
    return found, bad


def append(folder: Path, change: Change) -> None:
    """Appends a line and syncs it to the disk. If the disk is full, the log stays unchanged.

    Raises:
      OSError: the line could not be written.
    """
    line = change.model_dump_json(by_alias=True, exclude_defaults=True).encode() + b"\n"
    with open(folder / AUDIT_FILE, "ab", buffering=0) as file:
        if file.write(line) < len(line):
            mend(folder)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file.fileno())


def is_torn(folder: Path) -> bool:
    """Returns whether the last line is incomplete, because the disk was full or the machine stopped."""
    try:
        return _lines(folder / AUDIT_FILE)[-1] != b""
    except OSError:
        return False


def mend(folder: Path) -> None:
    """Removes an incomplete last line. The change that it announces did not happen."""
    file = folder / AUDIT_FILE
    os.truncate(file, file.stat().st_size - len(_lines(file)[-1]))


def user() -> str:
    """Returns the name of the user who runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container, the user's number may have no name
        return str(os.getuid())


def _lines(file: Path) -> list[bytes]:
    """Returns all lines; the last one is empty unless the log ends in an incomplete line."""
    try:
        return file.read_bytes().split(b"\n")
    except FileNotFoundError:
        return [b""]
