"""A clock that is moved through a file: it goes on by itself from there, so that runs take their time."""

import os
import time
from datetime import datetime, timedelta
from pathlib import Path


class Clock:
    """The simulated time, in UTC.

    Args:
      file: where the time stands; other processes read it when they start.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._base = datetime.fromisoformat(file.read_text())
        self._began = time.monotonic()

    def __call__(self) -> datetime:
        return self._base + timedelta(seconds=time.monotonic() - self._began)

    def sleep(self, seconds: float) -> None:
        """Lets the time pass at once."""
        self._base += timedelta(seconds=seconds)
        self.save()

    def save(self) -> None:
        set_time(self._file, self())


def set_time(file: Path, moment: datetime) -> None:
    partial = file.with_suffix(".partial")
    partial.write_text(moment.isoformat())
    os.replace(partial, file)
