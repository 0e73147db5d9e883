"""The status line of a schedule: the next tick, the last decision, what is live and how old it is."""

from collections.abc import Callable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.live import Live
from rich.text import Text

from maskline.pipeline.schedule import ledger
from maskline.pipeline.schedule.alarms import live_version
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError

_REDRAWN = timedelta(minutes=1)


class StatusLine:
    """Shows the status while a schedule waits.

    On a terminal it is redrawn each minute, in one place; elsewhere it is said once after each change.

    Args:
      say: takes a line that stays.
      console: where the line is redrawn if it is a terminal; None: standard output.
    """

    def __init__(self, say: Callable[[str], Any], console: Console | None = None) -> None:
        self._say = say
        console = console or Console()
        self._live = (
            Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        )
        self._shown: datetime | None = None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def changed(self) -> None:
        """What was shown is no longer so."""
        self._shown = None

    def show(self, now: datetime, status: Callable[[datetime], str]) -> None:
        """Shows what is so now, if that is due; `status` reads files, so it is asked only then."""
        if self._live:
            if self._shown is None or abs(now - self._shown) >= _REDRAWN:
                self._live.update(Text(status(now), no_wrap=True, overflow="ellipsis"), refresh=True)
                self._shown = now
        elif self._shown is None:
            self._say(status(now))
            self._shown = now


def line(settings: Settings, due: datetime | None, now: datetime) -> str:
    """One line for a person; times in the zone of the schedule. Without `due` it waits for a span."""
    zone = ZoneInfo(settings.schedule.timezone)
    when = f"next tick at {due.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}" if due else "waiting for a new span"
    parts = [when]
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
