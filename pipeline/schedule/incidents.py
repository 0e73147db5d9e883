"""Turns what happened into messages: one when an incident begins, one when it is over, and none between."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from maskline.components.pusher import audit
from maskline.components.pusher.contents import versions
from maskline.pipeline.notify import outbox
from maskline.pipeline.notify.message import Message
from maskline.pipeline.schedule import ledger
from maskline.pipeline.schedule.alarms import live_version, raised
from maskline.pipeline.schedule.ledger import Decision, Tick
from maskline.pipeline.settings.notify import MessageKind
from maskline.pipeline.settings.sections import Settings
from maskline.transform.versioned import Versioned

_FILE = "incidents.json"
_ROLLED_BACK = "rolled back"  # how the audit log's reason begins; see `registry.rollback`
_FAILURES = (Decision.FAILED, Decision.REFUSED, Decision.GAVE_UP)
_ALARMS: Mapping[str, MessageKind] = {
    "age": MessageKind.STALE, "silence": MessageKind.STALE, "accuracy": MessageKind.WEAK,
}  # fmt: skip
# What shows that runs work again.
_WORKS = (Decision.RELEASED, Decision.NOT_BLESSED, Decision.BLOCKED, Decision.NOT_RETRAINED)


class Open(BaseModel):
    """An incident that is not over: what it is about, and its text when it began."""

    kind: MessageKind
    text: str


class State(Versioned):
    """What was reported: incidents that are open by name, the last version, the last run that was refused."""

    incidents: dict[str, Open] = {}
    version: int = 0
    not_blessed: str = ""


def begin(settings: Settings) -> None:
    """Before the first tick: versions that are already there are not reported."""
    if not _file(settings).exists():
        known = max((version.number for version in versions(settings.serving_dir)), default=0)
        _save(settings, State(version=known))


def update(settings: Settings, new: Sequence[Tick], now: datetime) -> None:
    """Puts messages about new ticks, releases and alarms into the queue.

    Args:
      settings: as they are now.
      new: the ticks since the last call.
      now: the time.

    Raises:
      OSError: the disk refuses them; the next call tells of it.
    """
    state = read_state(settings)
    past = ledger.ticks(settings.root)
    messages = [
        *_of_releases(state, settings),
        *_of_ticks(state, new),
        *_of_alarms(state, settings, past, now),
    ]
    for kind, text, span in messages:
        outbox.put(settings.root, settings.notify, Message.of(settings.root, kind, text, now, span))
    _save(settings, state)


def report(settings: Settings, name: str, text: str | None, now: datetime) -> None:
    """Opens an incident about the settings file, or with no text ends it.

    Raises:
      OSError: as `update`.
    """
    state = read_state(settings)
    messages = list(_set(state, name, MessageKind.SETTINGS, text))
    for message_kind, words in messages:
        outbox.put(settings.root, settings.notify, Message.of(settings.root, message_kind, words, now))
    if messages:
        _save(settings, state)


def guarded(work: Callable[[], None], say: Callable[[str], Any]) -> None:
    """Runs what tells people; where it fails, that is said, and nothing else fails for it."""
    try:
        work()
    except (OSError, ValueError) as error:
        say(f"messages wait: {' '.join(str(error).split())}")


def _of_releases(state: State, settings: Settings) -> Iterator[tuple[MessageKind, str, str]]:
    for change in audit.changes(settings.serving_dir):
        if change.to > state.version:
            state.version = change.to
            back = change.why.startswith(_ROLLED_BACK)
            text = f"version {change.to} is live: {change.reason}"
            yield (MessageKind.ROLLED_BACK if back else MessageKind.RELEASED), text, ""


def _of_ticks(state: State, new: Sequence[Tick]) -> Iterator[tuple[MessageKind, str, str]]:
    for tick in new:
        span = f"span {tick.span}: " if tick.span else ""
        text = f"{span}{tick.why}"
        if tick.decision is Decision.NOT_BLESSED and tick.depends_on != state.not_blessed:
            state.not_blessed = tick.depends_on
            yield MessageKind.NOT_BLESSED, text, tick.span
        found: dict[str, tuple[MessageKind, str | None]] = {}
        if tick.decision in _FAILURES:
            found["failed"] = (MessageKind.FAILED, text)
        elif tick.decision in _WORKS or (tick.decision is Decision.NOTHING_NEW and not tick.status):
            found["failed"] = (MessageKind.FAILED, None)
        if tick.decision is Decision.BLOCKED:
            found["blocked"] = (MessageKind.BLOCKED, text)
        elif tick.decision in (Decision.RELEASED, Decision.NOT_BLESSED):
            found["blocked"] = (MessageKind.BLOCKED, None)
        for name, (kind, words) in found.items():
            for message_kind, message in _set(state, name, kind, words, changed=tick.depends_on):
                yield message_kind, message, tick.span


def _of_alarms(
    state: State, settings: Settings, past: Sequence[Tick], now: datetime
) -> Iterator[tuple[MessageKind, str, str]]:
    holding = {
        alarm.key: alarm
        for alarm in raised(settings.schedule, past, now, live_version(settings.serving_dir, past))
    }
    for key, kind in _ALARMS.items():
        text = holding[key].text if key in holding else None
        yield from ((k, words, "") for k, words in _set(state, key, kind, text))
    pause = ledger.paused(settings.root)
    # A person who pauses it knows of it.
    text = pause.why if pause and pause.automatic else None
    yield from ((k, words, "") for k, words in _set(state, "paused", MessageKind.PAUSED, text))


def _set(
    state: State, name: str, kind: MessageKind, text: str | None, *, changed: str = ""
) -> Iterator[tuple[MessageKind, str]]:
    """Opens or ends an incident; a message where that is news.

    Other data that are blocked as well are an incident of their own; a failure goes on until a run works.
    """
    known = state.incidents.get(name)
    if text is None:
        if known:
            del state.incidents[name]
            yield MessageKind.RECOVERED, f"over is: {known.text}"
    elif known is None or (kind is MessageKind.BLOCKED and known.text != text and changed):
        state.incidents[name] = Open(kind=kind, text=text)
        yield kind, text


def read_state(settings: Settings) -> State:
    """What was reported so far; nothing where the file is gone or damaged."""
    try:
        return State.model_validate_json(_file(settings).read_bytes())
    except (FileNotFoundError, ValidationError):
        return State()


def _file(settings: Settings) -> Path:
    return settings.root / ledger.FOLDER / _FILE


def _save(settings: Settings, state: State) -> None:
    outbox.write_whole(_file(settings), state)
