"""What a person should know although no run failed: the live model is old or weak, or no data come."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from maskline.components.pusher import audit
from maskline.components.pusher.contents import versions
from maskline.pipeline.schedule.ledger import Decision, Tick
from maskline.pipeline.settings.notify import MessageKind
from maskline.pipeline.settings.schedule import RetrainingSettings

# What shows that new data came.
_NEW_DATA = (
    Decision.RELEASED, Decision.BLOCKED, Decision.NOT_BLESSED, Decision.REFUSED, Decision.NOT_RETRAINED,
    Decision.INGESTED,
)  # fmt: skip


class Alarm(NamedTuple):
    """Its kind, a name that stays the same while it holds, and what is wrong in words."""

    kind: MessageKind
    key: str
    text: str


class Live(NamedTuple):
    """The live version, and since when it is live."""

    version: int
    since: datetime


def live_version(serving_dir: Path, past: Sequence[Tick]) -> Live | None:
    """What is live, since the tick that released it; the audit log knows of what no tick did."""
    number = max((version.number for version in versions(serving_dir)), default=0)
    times = [tick.time for tick in past if tick.version == number]
    times += [change.time for change in audit.changes(serving_dir) if change.to == number]
    return Live(number, times[0]) if number and times else None


def raised(
    settings: RetrainingSettings, past: Sequence[Tick], now: datetime, live: Live | None
) -> Iterator[Alarm]:
    """The alarms that hold.

    Times are those of ticks, so that one clock rules them all.

    Args:
      settings: their limits.
      past: all ticks, oldest first.
      now: the time.
      live: what is live; None before the first release.
    """
    if live and settings.max_age and now - live.since > timedelta(hours=settings.max_age):
        text = (
            f"the live model, version {live.version}, is {_hours(now - live.since)} old, and "
            f"schedule.max_age is {settings.max_age:g} h"
        )
        yield Alarm(MessageKind.STALE, "age", text)
    seen: set[str] = set()
    last = past[0].time if past else now
    for tick in past:
        if tick.decision in _NEW_DATA and tick.depends_on not in seen:
            seen.add(tick.depends_on)
            last = tick.time
    if settings.max_silence and now - last > timedelta(hours=settings.max_silence):
        text = (
            f"no new data came for {_hours(now - last)}, and schedule.max_silence is "
            f"{settings.max_silence:g} h"
        )
        yield Alarm(MessageKind.STALE, "silence", text)
    scored = next((tick for tick in reversed(past) if tick.accuracy is not None), None)
    if scored and scored.accuracy is not None and scored.accuracy < settings.min_live_accuracy:
        text = (
            f"live version {scored.scored} is right on {scored.accuracy:.1%} of {scored.asked:,} new rows, "
            f"and schedule.min_live_accuracy is {settings.min_live_accuracy:.1%}"
        )
        yield Alarm(MessageKind.WEAK, "accuracy", text)


def _hours(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    return f"{hours:.0f} h" if hours >= 1 else f"{hours * 60:.0f} min"
