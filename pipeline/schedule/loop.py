"""The loop of `maskline schedule`: waits for the next time, and starts a tick in a process of its own.

It holds the schedule and nothing else, so that it can be ended and begun at any moment. It asks the clock
again and again, in small steps: a clock that jumps makes no double and no missing tick.
"""

import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from maskline.components.ingest import spans
from maskline.pipeline.notify import outbox
from maskline.pipeline.schedule import child, disk, status
from maskline.pipeline.schedule.alone import alone
from maskline.pipeline.schedule.events import watched
from maskline.pipeline.schedule.heart import Heart
from maskline.pipeline.schedule.in_force import InForce
from maskline.pipeline.schedule.ledger import FOLDER
from maskline.pipeline.schedule.status import StatusLine
from maskline.pipeline.schedule.waker import Waker
from maskline.pipeline.settings.schedule import Overlap, times
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError
from maskline.transform.names import Exit

_STEP = 5.0  # seconds between two looks at the clock
_WATCH = 30.0  # seconds between two looks for a new span
_SETTLE = 1.0  # seconds after a file event
_MESSAGES = timedelta(minutes=1)  # between two looks whether a message waits to be sent

Listen = Callable[[Heart], Any]  # makes a context that serves while it is open


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


class _Asked:
    """What signals and file events asked for; `ending` is the number of the signal that asks for the end."""

    def __init__(self) -> None:
        self.ending = 0
        self.reread = False
        self.files = False


def run_schedule(
    read: Callable[[], Settings],
    when: When,
    arguments: Sequence[str],
    *,
    say: Callable[[str], Any] = print,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    wait: Callable[[float], Any] | None = None,
    program: Sequence[str] = child.MASKLINE,
    listen: Listen | None = None,
) -> int:
    """Waits and ticks until it is told to end.

    Args:
      read: reads the settings, again before every tick.
      when: what makes a tick due.
      arguments: for `maskline tick`.
      say: takes one line.
      clock: the time, in UTC.
      wait: takes seconds.
      program: `maskline`, as a command.
      listen: serves metrics and health meanwhile.

    Returns:
      the exit status: 130 after SIGINT, 143 after SIGTERM.

    Raises:
      InputError: the settings are wrong at the start, or another scheduler works on the root.
    """
    force = InForce(read, arguments, say)
    root = force.settings.root
    waker = Waker()
    with ExitStack() as stack:
        holder = stack.enter_context(alone(root / FOLDER / "scheduler"))
        if holder is not None:
            raise InputError(f"{root}: another scheduler works here (process {holder}); end it first")
        disk.check_room(force.settings)
        asked = stack.enter_context(_signals(waker))
        if when.watch:
            stack.enter_context(watched(force.settings.data.path, lambda: _look(asked, waker), say))
        now = clock()
        heart = Heart(force.settings, now if when.watch else when.next(force.settings, now))
        if listen:
            stack.enter_context(listen(heart))
        loop = _Loop(when, force, heart, asked, say, clock, wait or waker.wait, program, StatusLine(say))
        loop.run()
    waker.close()
    return 128 + asked.ending if asked.ending else 0


class _Loop(NamedTuple):
    """The parts of the loop, so that each step finds them."""

    when: When
    force: InForce
    heart: Heart
    asked: _Asked
    say: Callable[[str], Any]
    clock: Callable[[], datetime]
    wait: Callable[[float], Any]
    program: Sequence[str]
    screen: StatusLine

    def run(self) -> None:
        seen: frozenset[spans.Span] | None = None
        while not self.asked.ending:
            with self.screen:
                if not self._wait_until_due():
                    continue
            self._read_again()
            settings = self.heart.settings
            there = _complete(settings)
            ended = int(Exit.OK)
            if not self.when.watch or there != seen:
                ended = self._tick()
                self.screen.changed()
            seen = there
            self.heart.due = _next(settings, self.when, self.heart.due, self.clock(), ended)

    def _read_again(self) -> None:
        self.force.again(self.clock())
        self.heart.settings = self.force.settings

    def _status(self, now: datetime) -> str:
        return status.line(self.heart.settings, None if self.when.watch else self.heart.due, now)

    def _wait_until_due(self) -> bool:
        """Waits in small steps; False where a signal came: for the end, or to read the settings."""
        told = None
        while not self.asked.ending:
            if self.asked.reread:
                self.asked.reread = False
                self._read_again()
                self.screen.changed()
                self.say("the settings were read again")
                if not self.when.watch and not self.when.every:
                    self.heart.due = self.when.next(self.heart.settings, self.clock())
                return False
            now = self.clock()
            left = (self.heart.due - now).total_seconds()
            if left <= 0:
                return True
            self.screen.show(now, self._status)
            if told is None or abs(now - told) >= _MESSAGES:
                told = now
                settings = self.heart.settings
                outbox.deliver(settings.root, settings.notify, now, self.say)
            self.wait(min(left, _STEP))
            if self.when.watch and self.asked.files:
                self.asked.files = False
                self.wait(_SETTLE)  # a copy of many files is one look
                return True
        return False

    def _tick(self) -> int:
        self.wait(random.uniform(0, self.heart.settings.schedule.jitter))
        self.heart.ticking, began = self.clock(), time.monotonic()
        process = child.start("tick", *self.force.arguments, program=self.program)
        told = False
        while process.poll() is None:
            if self.asked.ending and not told:
                process.terminate()
                told = True
            try:
                process.wait(timeout=0.5)
            except subprocess.TimeoutExpired:
                continue
        self.heart.seconds, self.heart.ticking = time.monotonic() - began, None
        return process.returncode


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


def _complete(settings: Settings) -> frozenset[spans.Span]:
    if not spans.is_pattern(settings.data.path):
        return frozenset()
    try:
        return frozenset(spans.find(settings.data.path, **settings.data.complete).complete.values())
    except InputError:
        return frozenset()


def _look(asked: _Asked, waker: Waker) -> None:
    asked.files = True
    waker.wake()


@contextmanager
def _signals(waker: Waker) -> Iterator[_Asked]:
    """What signals ask for, while the loop works: SIGTERM and SIGINT the end, SIGHUP to read the settings."""
    asked = _Asked()

    def end(number: int, _: Any) -> None:
        asked.ending = asked.ending or number
        waker.wake()

    def reread(_: int, __: Any) -> None:
        asked.reread = True
        waker.wake()

    handlers = {signal.SIGTERM: end, signal.SIGINT: end, signal.SIGHUP: reread}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
