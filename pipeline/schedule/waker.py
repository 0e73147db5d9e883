"""Waiting that a signal or another thread can cut short."""

import os
import select
from contextlib import suppress


class Waker:
    """A pipe to wait on: a signal's handler may write to it at any moment, where a lock might be held."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)

    def wake(self) -> None:
        """Ends the wait, or the next one."""
        with suppress(BlockingIOError):
            os.write(self._write, b"\0")

    def wait(self, seconds: float) -> None:
        """Waits until somebody wakes it, at most this number of seconds."""
        if select.select([self._read], [], [], max(0.0, seconds))[0]:
            with suppress(BlockingIOError):
                os.read(self._read, 4096)

    def close(self) -> None:
        """Gives the pipe back."""
        os.close(self._read)
        os.close(self._write)
