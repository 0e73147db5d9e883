"""The loop of `maskline schedule`: waits for the next time, and starts a tick in a process of its own.

It holds the schedule and nothing else, so that it can be ended and begun at any moment. It asks the clock
again and again, in small steps: a clock that jumps makes no double and no missing tick.
"""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from maskline.components.ingest import spans
from maskline.pipeline.errors import BusyError
from maskline.pipeline.schedule.alone import alone
from maskline.pipeline.schedule.ledger import FOLDER
from maskline.pipeline.settings.schedule import Overlap, times
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError
from maskline.transform.names import Exit

_STEP = 5.0  # seconds between two looks at the clock
_WATCH = 30.0  # seconds between two looks for a new span


class When(NamedTuple):
    """What makes a tick due: the settings' cron line, a fixed distance, or a new complete span."""

    every: timedelta | None = None
    watch: bool = False

    def next(self, settings: Settings, after: datetime) -> datetime:
        """The next time after `after`, in UTC; while it watches, that of the next look."""
        if self.watch:
            return after + timedelta(seconds=_WATCH)
        if self.every:
            return after + self.every
        zone = ZoneInfo(settings.schedule.timezone)
        return next(times(settings.schedule.cron, after.astimezone(zone))).astimezone(UTC)


def run_schedule(
    read: Callable[[], Settings],
    when: When,
    arguments: Sequence[str],
    *,
    say: Callable[[str], Any] = print,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    wait: Callable[[float], Any] = time.sleep,
) -> int:
    """Waits and ticks until it is told to end.

    Args:
      read: reads the settings, again before every tick.
      when: what makes a tick due.
      arguments: for `maskline tick`.
      say: takes one line.
      clock: the time, in UTC.
      wait: takes seconds.

    Returns:
      the exit status: 130 after SIGINT, 143 after SIGTERM.

    Raises:
      InputError: the settings are wrong at the start.
      BusyError: another scheduler works on the root.
    """
    settings = read()
    with alone(settings.root / FOLDER / "scheduler") as holder, _stoppable() as stopped:
        if holder is not None:
            raise BusyError(f"{settings.root}: another scheduler works here (process {holder})")
        seen: frozenset[spans.Span] | None = None
        due = clock() if when.watch else when.next(settings, clock())
        while not stopped:
            if not when.watch:
                say(f"next tick at {_local(due, settings)}")
            if not _wait_until(due, clock, wait, stopped):
                break
            settings = _again(read, settings, say)
            there = _complete(settings)
            status = int(Exit.OK)
            if not when.watch or there != seen:
                status = _tick(settings, arguments, stopped, wait)
            seen = there
            due = _next(settings, when, due, clock(), status)
    return 128 + stopped[0] if stopped else 0


def _next(settings: Settings, when: When, due: datetime, now: datetime, status: int) -> datetime:
    """When the next tick is due, after one that was due at `due` has ended at `now`.

    Times that passed meanwhile are dropped, or one of them is kept, and never more.
    """
    if settings.schedule.overlap is Overlap.ONE:
        if status == Exit.BUSY:
            return now + timedelta(seconds=_WATCH)
        if not when.watch and when.next(settings, due) <= now:
            return now
    return when.next(settings, now)


def _again(read: Callable[[], Settings], before: Settings, say: Callable[[str], Any]) -> Settings:
    """The settings as the file has them now; those of before where the file is wrong."""
    try:
        found = read()
    except InputError as error:
        say(f"the settings cannot be used, and those of before stay in force: {error}")
        return before
    if found.root != before.root:
        say(f"root: {found.root} takes effect when the scheduler is started again")
        return before
    return found


def _tick(
    settings: Settings, arguments: Sequence[str], stopped: list[int], wait: Callable[[float], Any]
) -> int:
    wait(random.uniform(0, settings.schedule.jitter))
    process = subprocess.Popen([sys.executable, "-m", "maskline.pipeline.cli", "tick", *arguments])
    told = False
    while process.poll() is None:
        if stopped and not told:
            process.terminate()
            told = True
        time.sleep(0.2)
    return process.returncode


def _wait_until(
    due: datetime, clock: Callable[[], datetime], wait: Callable[[float], Any], stopped: list[int]
) -> bool:
    """Waits in small steps; False where it was told to end meanwhile."""
    while not stopped:
        left = (due - clock()).total_seconds()
        if left <= 0:
            return True
        wait(min(left, _STEP))
    return False


def _complete(settings: Settings) -> frozenset[spans.Span]:
    if not spans.is_pattern(settings.data.path):
        return frozenset()
    try:
        return frozenset(spans.find(settings.data.path, **settings.data.complete).complete.values())
    except InputError:
        return frozenset()


def _local(moment: datetime, settings: Settings) -> str:
    return f"{moment.astimezone(ZoneInfo(settings.schedule.timezone)):%Y-%m-%d %H:%M:%S %Z}"


@contextmanager
def _stoppable() -> Iterator[list[int]]:
    """A list that is empty until a signal asks for the end, and then holds its number."""
    stopped: list[int] = []
    asked = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda n, _: stopped.append(n)) for number in asked}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
