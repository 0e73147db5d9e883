"""Starts what a schedule starts, as processes of their own that never outlive it."""

import ctypes
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import IO, Any, NamedTuple

MASKLINE = (sys.executable, "-m", "maskline.pipeline.cli")
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_STEP = 0.5  # seconds between two looks whether a process must be ended
_LINE = 2000  # characters of a line that are kept


class Ended(NamedTuple):
    """How a process ended: its status, negative for a signal; whether its time was over; its last words."""

    status: int
    timed_out: bool = False
    last_line: str = ""


def start(*arguments: str, program: Sequence[str] = MASKLINE, **options: Any) -> "subprocess.Popen[bytes]":
    """Starts `maskline` with some arguments; it gets SIGTERM where its parent is killed."""
    return subprocess.Popen([*program, *arguments], preexec_fn=_end_with_parent, **options)


def run(arguments: Sequence[str], *, hours: float, grace: float) -> Ended:
    """Runs `maskline run`, and shows what it says.

    It is told to end when its time is over or when this process is, and killed after a while.

    Args:
      arguments: of `maskline`.
      hours: that it may take.
      grace: seconds that it has to end.
    """
    process = start(*arguments, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = _Listener(process.stderr)
    with _handed_on(process) as stopped:
        timed_out = _wait(process, stopped, time.monotonic() + hours * 3600, grace)
    return Ended(process.returncode, timed_out, said.last_line())


def _wait(process: "subprocess.Popen[bytes]", stopped: list[int], until: float, grace: float) -> bool:
    """Waits for the end, and makes one; True where its time was over."""
    told = timed_out = False
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_STEP)
            return timed_out
        now = time.monotonic()
        if stopped and not told:  # the signal was handed on already
            told, until = True, now + grace
        if now < until:
            continue
        if told:
            process.kill()
        else:
            process.terminate()
            told, timed_out, until = True, True, now + grace


@contextmanager
def _handed_on(process: "subprocess.Popen[bytes]") -> Iterator[list[int]]:
    """Hands signals that ask for the end on to a process; a list of those that came."""
    stopped: list[int] = []

    def hand_on(number: int, _: FrameType | None) -> None:
        stopped.append(number)
        process.send_signal(number)

    asked = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    before = {number: signal.signal(number, hand_on) for number in asked}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Listener(threading.Thread):
    """Hands on what a process writes on standard error, and remembers the last line."""

    def __init__(self, source: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._source = source
        self._last = ""
        self.start()

    def run(self) -> None:
        with self._source as lines:
            for line in lines:
                text = line.decode(errors="replace")
                sys.stderr.write(text)
                self._last = text.strip()[:_LINE] or self._last

    def last_line(self) -> str:
        self.join(timeout=5)  # a grandchild may keep the pipe open
        return self._last


def _end_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
