"""The audit log: every change of what is live, a line of JSON each, only ever appended to."""

import errno
import getpass
import os
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from maskline.transform.names import AUDIT_FILE

# How earlier releases of maskline marked an override: in the reason itself.
_OVERRIDE_PREFIX = "blessed on purpose: "


class Change(BaseModel):
    """A change of what is live: when, by whom, `from` which version `to` which, and why.

    `identity` names the model by what it was trained from, `model_id` is its Model artifact in the
    metadata store, `manifest` the SHA-256 of the version's manifest. `override` is true where a person
    released the model against ReleaseGate. `unknown_live` says what was wrong with the live model where a
    person accepted that the new one was not compared with it. `before` stands for `from`, which is a
    keyword in Python.
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
        """Why, in words, for people."""
        return f"released against the gate: {self.why}" if self.override else self.why


def changes(folder: Path) -> list[Change]:
    """Every change of what was live in a serving directory, oldest first.

    A line that cannot be read is skipped, so that the way back stays open; `problems` names it.
    """
    return _read(folder)[0]


def problems(folder: Path) -> list[str]:
    """One line for each complete line of the log that cannot be read."""
    return _read(folder)[1]


def _read(folder: Path) -> tuple[list[Change], list[str]]:
    file = folder / AUDIT_FILE
    found, bad = [], []
    try:
        lines = _lines(file)
    except OSError as error:
        return [], [f"{file}: the audit log cannot be read ({error.strerror}); put it back from a backup"]
    for number, line in enumerate(lines[:-1], start=1):
        try:
            found.append(Change.model_validate_json(line))
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            bad.append(f"{file}: line {number} cannot be read ({reason}); put it back from a backup")
    return found, bad


def append(folder: Path, change: Change) -> None:
    """Adds a line and writes it through to the disk; on a full disk the log stays as it was.

    Raises:
      OSError: it could not be written.
    """
    line = change.model_dump_json(by_alias=True, exclude_defaults=True).encode() + b"\n"
    with open(folder / AUDIT_FILE, "ab", buffering=0) as file:
        if file.write(line) < len(line):
            mend(folder)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file.fileno())


def is_torn(folder: Path) -> bool:
    """Whether the last line was not written to its end: the disk was full, or the machine went down."""
    try:
        return _lines(folder / AUDIT_FILE)[-1] != b""
    except OSError:
        return False


def mend(folder: Path) -> None:
    """Cuts off a torn last line: what it says did not happen."""
    file = folder / AUDIT_FILE
    os.truncate(file, file.stat().st_size - len(_lines(file)[-1]))


def user() -> str:
    """The name of the user whose process this is."""
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
