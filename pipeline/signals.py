"""Signals that ask a command to end. Each ends it in order, with a word and an exit status of its own."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from maskline.transform.names import Exit

_ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_heard: "Interrupted | None" = None


class Interrupted(BaseException):
    """One of the signals came. No `Exception`, so that nothing that handles failures takes it for one."""

    def __init__(self, number: int) -> None:
        self.signal = signal.Signals(number)
        super().__init__(f"interrupted by {self.signal.name}")

    @property
    def exit(self) -> Exit:
        """The status that shells give to what this signal ended."""
        return Exit(128 + self.signal)


def heed() -> None:
    """Raises `Interrupted` in the main thread when a signal comes that was not ignored until now.

    `nohup` ignores SIGHUP, and shells ignore SIGINT for jobs in the background: so does what they start.
    """
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def check() -> None:
    """Raises what came before and was swallowed, as by a library's `except:` around an import."""
    if _heard:
        raise _heard


def left_to_parent() -> None:
    """In a forked child: a terminal signals the whole group, but the parent decides, and says SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


@contextmanager
def held_back() -> Iterator[None]:
    """Lets signals wait while a child is forked, so that they find the child prepared."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _interrupt(number: int, _: FrameType | None) -> None:
    global _heard
    for ending in _ENDING:  # the end takes seconds at most, and a second signal must not leave it half done
        signal.signal(ending, signal.SIG_IGN)
    _heard = Interrupted(number)
    raise _heard
