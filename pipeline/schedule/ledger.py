"""The record of ticks: what each one decided and why, a line of JSON each, only ever appended to."""

import os
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from maskline.transform.errors import InputError
from maskline.transform.versioned import Versioned

FOLDER = "schedule"
_TICKS, _PAUSED = "ticks.jsonl", "paused.json"


class Decision(StrEnum):
    """What a tick decided, or what became of the run that it started."""

    RELEASED = "released"
    BLOCKED = "blocked"  # the data gate said no; tried again only when data, rules or source change
    NOT_BLESSED = "not blessed"  # the model was not released; the live one stays
    FAILED = "failed"  # the machine, or a fault of maskline: tried again, with backoff
    REFUSED = "refused"  # what the user gave; not tried again until it changes
    NOT_RETRAINED = "not retrained"  # as schedule.retrain says
    INGESTED = "ingested"  # by a backfill, for a window
    NOTHING_NEW = "nothing new"
    NO_DATA = "no data"  # no complete span
    WAITING = "waiting"  # for the time of the next attempt
    GAVE_UP = "gave up"  # all attempts failed
    BUSY = "busy"  # another run works
    PAUSED = "paused"
    INTERRUPTED = "interrupted"


# What started a run.
RAN = (
    Decision.RELEASED, Decision.BLOCKED, Decision.NOT_BLESSED, Decision.FAILED, Decision.REFUSED,
    Decision.INTERRUPTED,
)  # fmt: skip


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Tick(Versioned, _Form):
    """One tick.

    Attributes:
      time: when it ended.
      decision: what it decided.
      why: in words.
      span: in words; empty for a plain folder.
      depends_on: digest of data, settings and source.
      status: the exit status of `maskline run`.
      seconds: that the run took.
      version: what was released; 0 for nothing.
      rows, quarantined: of the ingest.
      scored: version of the live model that was asked the span before the training; 0 where none was.
      right, asked: rows that it answered right, and all.
    """

    time: AwareDatetime
    decision: Decision
    why: str
    span: str = ""
    depends_on: str = ""
    status: int = 0
    seconds: float = 0.0
    version: int = 0
    rows: int = 0
    quarantined: int = 0
    scored: int = 0
    right: int = 0
    asked: int = 0

    @property
    def accuracy(self) -> float | None:
        """That of the live model on the span, before it was trained on; None where it was not asked."""
        return self.right / self.asked if self.asked else None

    def __str__(self) -> str:
        span = f"span {self.span}: " if self.span else ""
        live = f"; live version {self.scored} was right on {self.accuracy:.1%}" if self.asked else ""
        return f"{self.time:%Y-%m-%d %H:%M:%S} UTC  {span}{self.decision}: {self.why}{live}"


class Pause(Versioned, _Form):
    """Who paused the schedule, when and why; `automatic` after failures."""

    time: AwareDatetime
    who: str
    why: str
    automatic: bool = False


def ticks(root: Path) -> list[Tick]:
    """Every tick, oldest first; a line that a power cut tore is passed over.

    Raises:
      InputError: the record was edited and is not valid.
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


def prune(root: Path, before: datetime) -> int:
    """Removes old ticks that ran nothing, so that a tick each minute fills no disk; returns their number.

    Written beside and renamed. Hold the lock of ticks.
    """
    known = ticks(root)
    kept = [tick for tick in known if tick.time >= before or tick.decision in RAN or tick.version]
    if len(kept) < len(known):
        partial = root / FOLDER / f"{_TICKS}.partial"
        with open(partial, "wb") as file:
            file.writelines(tick.model_dump_json().encode() + b"\n" for tick in kept)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(root / FOLDER / _TICKS)
    return len(known) - len(kept)


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
