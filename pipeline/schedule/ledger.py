"""The record of ticks: what each one decided and why, a line of JSON each, only ever appended to."""

import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from maskline.transform.errors import InputError

FOLDER = "schedule"
_TICKS, _PAUSED = "ticks.jsonl", "paused.json"


class Decision(StrEnum):
    """What a tick decided, or what became of the run that it started."""

    RELEASED = "released"
    NOT_BLESSED = "not blessed"  # a gate said no; never tried again on the same data, settings and source
    FAILED = "failed"  # the machine, or a fault of maskline: tried again, with backoff
    REFUSED = "refused"  # what the user gave; not tried again until it changes
    NOTHING_NEW = "nothing new"
    NO_DATA = "no data"  # no complete span
    WAITING = "waiting"  # for the time of the next attempt
    GAVE_UP = "gave up"  # all attempts failed
    BUSY = "busy"  # another run works
    PAUSED = "paused"
    INTERRUPTED = "interrupted"


# What started a run.
RAN = (Decision.RELEASED, Decision.NOT_BLESSED, Decision.FAILED, Decision.REFUSED, Decision.INTERRUPTED)


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Tick(_Form):
    """One tick: `depends_on` is the digest of data, settings and source, `status` that of `maskline run`."""

    time: AwareDatetime
    decision: Decision
    why: str
    span: str = ""
    depends_on: str = ""
    status: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        span = f"span {self.span}: " if self.span else ""
        return f"{self.time:%Y-%m-%d %H:%M:%S} UTC  {span}{self.decision}: {self.why}"


class Pause(_Form):
    """Who paused the schedule, when and why."""

    time: AwareDatetime
    who: str
    why: str


def ticks(root: Path) -> list[Tick]:
    """Every tick, oldest first; a line that a power cut tore is passed over.

    Raises:
      InputError: the record was edited, and not well.
    """
    file = root / FOLDER / _TICKS
    try:
        lines = file.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    try:
        return [Tick.model_validate_json(line) for line in lines if line.strip(b"\0")]
    except ValidationError as error:
        raise InputError(
            f"{file}: is damaged ({error.errors()[0]['msg']}); remove the line, or the file"
        ) from None


def append(root: Path, tick: Tick) -> None:
    """Adds a tick and writes it through to the disk."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / _TICKS, "ab") as file:
        if file.tell() and not _ends_a_line(folder / _TICKS):
            file.write(b"\n")
        file.write(tick.model_dump_json().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _ends_a_line(file: Path) -> bool:
    with open(file, "rb") as content:
        content.seek(-1, os.SEEK_END)
        return content.read() == b"\n"


def paused(root: Path) -> Pause | None:
    """Who paused the schedule, or None."""
    try:
        return Pause.model_validate_json((root / FOLDER / _PAUSED).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:  # damaged, and so no word of who resumed it
        return Pause(time="1970-01-01T00:00:00Z", who="unknown", why="the file that says why is damaged")


def pause(root: Path, pause: Pause) -> None:
    """Pauses the schedule; written beside and renamed, so that the file is whole or not there."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{_PAUSED}.partial"
    with open(partial, "wb") as file:
        file.write(pause.model_dump_json().encode())
        file.flush()
        os.fsync(file.fileno())
    partial.rename(folder / _PAUSED)


def resume(root: Path) -> bool:
    """Lets the schedule go on; False where it was not paused."""
    try:
        (root / FOLDER / _PAUSED).unlink()
    except FileNotFoundError:
        return False
    return True


def attempts(past: Sequence[Tick], depends_on: str) -> list[Tick]:
    """The runs that failed on the same data, settings and source since anything else was run."""
    found: list[Tick] = []
    for tick in reversed(past):
        if tick.decision in RAN:
            if tick.depends_on != depends_on or tick.decision is not Decision.FAILED:
                break
            found.append(tick)
    return found[::-1]


def failures_in_a_row(past: Sequence[Tick]) -> int:
    """How many of the last ticks that ran anything failed, one after the other."""
    count = 0
    for tick in reversed(past):
        if tick.decision in (Decision.FAILED, Decision.REFUSED):
            count += 1
        elif tick.decision in RAN:
            break
    return count
