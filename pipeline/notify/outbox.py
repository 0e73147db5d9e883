"""The queue of messages: on the disk until each way has taken them, tried again with growing distance."""

import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ValidationError

from maskline.pipeline.notify.message import Message
from maskline.pipeline.notify.ways import NotSent, send
from maskline.pipeline.schedule.alone import alone
from maskline.pipeline.settings.notify import NotifySettings
from maskline.transform.versioned import NEWER, Versioned

_FOLDER = Path("schedule", "outbox")
_SENT = "sent.json"
_FIRST, _LONGEST = timedelta(minutes=1), timedelta(hours=1)  # between two attempts


class Waiting(Versioned):
    """A message, the ways that have not taken it, and when it is tried again."""

    message: Message
    ways: tuple[str, ...]
    attempts: int = 0
    due: AwareDatetime


class _Sent(Versioned):
    times: tuple[AwareDatetime, ...] = ()


def put(root: Path, settings: NotifySettings, message: Message) -> None:
    """Adds a message to the queue, unless nobody wants to hear of its kind.

    Raises:
      OSError: the disk refuses it.
    """
    if message.kind in settings.on and settings.ways:
        number = len(waiting(root))  # keeps the order of messages of the same moment
        name = f"{message.time:%Y%m%dT%H%M%S%f}-{number:06d}-{message.id}.json"
        write_whole(root / _FOLDER / name, Waiting(message=message, ways=settings.ways, due=message.time))


def waiting(root: Path) -> list[Waiting]:
    """What was not sent yet, oldest first."""
    return [entry for _, entry in _entries(root)]


def deliver(root: Path, settings: NotifySettings, now: datetime, say: Callable[[str], Any]) -> None:
    """Sends what is due. What fails is said and tried again; nothing is raised for it.

    A way that failed is not asked again for the next message, so that a server that is down costs one
    `notify.timeout`. Two processes never send the same message.
    """
    if not (root / _FOLDER).is_dir():
        return
    try:
        with alone(root / _FOLDER / "lock") as holder:
            if holder is None:
                _deliver(root, settings, now, say)
    except (OSError, ValueError) as error:
        say(f"messages wait: {error}")


def _deliver(root: Path, settings: NotifySettings, now: datetime, say: Callable[[str], Any]) -> None:
    sent = [time for time in _sent(root).times if timedelta() <= now - time < timedelta(hours=1)]
    down: set[str] = set()
    for file, entry in list(_entries(root)):
        if now - entry.message.time > timedelta(days=settings.give_up_days):
            say(f"message dropped, as notify.give_up_days have passed: {entry.message.text}")
            file.unlink()
            continue
        if entry.due > now:
            continue
        if len(sent) >= settings.per_hour:
            break
        left = _try(entry, settings, down, say)
        if left:
            pause = min(_FIRST * 2 ** min(entry.attempts, 10), _LONGEST)
            update = {"ways": left, "attempts": entry.attempts + 1, "due": now + pause}
            write_whole(file, entry.model_copy(update=update))
        else:
            file.unlink()
        if set(entry.ways) - set(left):
            sent.append(now)
            write_whole(root / _FOLDER / _SENT, _Sent(times=tuple(sent)))


def _try(
    entry: Waiting, settings: NotifySettings, down: set[str], say: Callable[[str], Any]
) -> tuple[str, ...]:
    """The ways that have not taken it; one that is no longer in the settings is left out."""
    left = []
    for way in entry.ways:
        if way in down:
            left.append(way)
        elif way in settings.ways:
            try:
                send(way, settings, entry.message)
            except NotSent as error:
                say(f"message not sent: notify.{way}: {error}; it is tried again")
                down.add(way)
                left.append(way)
    return tuple(left)


def _entries(root: Path) -> Iterator[tuple[Path, Waiting]]:
    for file in sorted((root / _FOLDER).glob("[0-9]*.json")):
        try:
            yield file, Waiting.model_validate_json(file.read_bytes())
        except ValidationError as error:  # half of one, from a power cut or a full disk
            if error.errors()[0]["type"] != NEWER:
                file.unlink(missing_ok=True)
        except OSError:
            file.unlink(missing_ok=True)


def _sent(root: Path) -> _Sent:
    try:
        return _Sent.model_validate_json((root / _FOLDER / _SENT).read_bytes())
    except (OSError, ValidationError):
        return _Sent()


def write_whole(file: Path, content: BaseModel) -> None:
    """Beside and renamed, so that the file is whole or as it was."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.partial")
    try:
        with open(partial, "wb") as out:
            out.write(content.model_dump_json().encode())
            out.flush()
            os.fsync(out.fileno())
        partial.rename(file)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
