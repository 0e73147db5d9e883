"""The status line of a schedule: the next tick, the last decision, what is live and how old it is."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from maskline.pipeline.schedule import ledger
from maskline.pipeline.schedule.alarms import live_version
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError


def line(settings: Settings, due: datetime, now: datetime) -> str:
    """One line for a person; times in the zone of the schedule."""
    parts = [f"next tick at {due.astimezone(ZoneInfo(settings.schedule.timezone)):%Y-%m-%d %H:%M:%S %Z}"]
    try:
        past = ledger.ticks(settings.root)
    except InputError as error:
        return f"{parts[0]}; {error}"
    if past:
        span = f"span {past[-1].span} " if past[-1].span else ""
        parts.append(f"last: {span}{past[-1].decision}")
    if found := live_version(settings.serving_dir, past):
        parts.append(f"live: version {found.version}, {age(now - found.since)} old")
    return "; ".join(parts)


def age(passed: timedelta) -> str:
    """A time that has passed, in its largest unit: `3 d`, `5 h`, `7 min`."""
    minutes = max(0, int(passed.total_seconds() // 60))
    days, hours = divmod(minutes // 60, 24)
    return f"{days} d" if days else f"{hours} h" if hours else f"{minutes} min"
