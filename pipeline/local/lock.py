"""One run at a time on a root."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from maskline.pipeline.errors import BusyError
from maskline.transform.errors import InputError


@contextmanager
def hold(root: Path) -> Iterator[None]:
    """Holds the root's lock; the kernel gives it back however the process ends.

    Raises:
      BusyError: another process holds it; names its id.
      InputError: the root cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        file = open(root / "lock", "a+")  # noqa: SIM115, closed below
    except OSError as error:
        raise InputError(f"{root}: the root cannot be written ({error.strerror})") from None
    with file:
        _take(file, root)
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield


def _take(file: IO[str], root: Path) -> None:
    for patience in reversed(range(10)):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            process = holder(root)
            if process or not patience:
                raise BusyError(
                    f"{root}: a run is already working here (process {process}); "
                    "wait for it, or give another --root"
                ) from None
            # Nobody in particular: a `show` that looked at this very moment, and is about to be gone.
            time.sleep(0.05)


def holder(root: Path) -> int | None:
    """The id of the process that holds the root's lock, or None."""
    try:
        with open(root / "lock") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0)
    except FileNotFoundError:
        pass
    return None
