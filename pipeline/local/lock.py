"""One run at a time on a root, and who holds a file that others wait for."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from maskline.pipeline.errors import BusyError
from maskline.transform.errors import cannot_write

FILE = "lock"  # in the folder that is held
PATIENCE = 2.0  # seconds; a rollback is over by then, a run is not
_PAUSE = 0.05


@contextmanager
def hold(
    root: Path, *, patience: float = PATIENCE, advice: str = "give write access, or another --root"
) -> Iterator[None]:
    """Holds the root's lock; the kernel gives it back however the process ends.

    Args:
      root: made where it is missing.
      patience: seconds to wait for another process.
      advice: what to do where the root cannot be written.

    Raises:
      BusyError: another process holds it; names its id.
      MachineError: the root cannot be written.
      InputError: the root is no folder.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        file = open(root / FILE, "a+")  # noqa: SIM115, closed below
    except OSError as error:
        raise cannot_write(root, error, advice) from None
    with file:
        _take(file, root, patience)
        _sign(file)
        yield


def _take(file: IO[str], root: Path, patience: float) -> None:
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                process = holder(root)
                held = f"held by process {process}" if process else "another process looks at it"
                raise BusyError(f"{root}: busy, {held}; wait until it has ended, then try again") from None
            time.sleep(_PAUSE)


def _sign(file: IO[str]) -> None:
    """Writes who holds the lock, for people and for `holder`; on a full disk the system is asked instead."""
    with suppress(OSError):
        os.truncate(file.fileno(), 0)
        os.pwrite(file.fileno(), str(os.getpid()).encode(), 0)


def holder(root: Path) -> int | None:
    """The id of the process that holds the root's lock, or None."""
    try:
        with open(root / FILE) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read()
                return int(text) if text.isdecimal() else holder_of(root / FILE)
    except OSError:  # none, or none that may be read: nobody is known to work here
        pass
    return None


def holder_of(file: Path) -> int | None:
    """The id of a process that holds a lock of any kind on a file, as Linux tells; None where it does not."""
    try:
        stat = file.stat()
        held = Path("/proc/locks").read_text()
    except OSError:
        return None
    name = f"{os.major(stat.st_dev):02x}:{os.minor(stat.st_dev):02x}:{stat.st_ino}"
    for line in held.splitlines():
        # 1: POSIX  ADVISORY  WRITE 4711 fe:00:131 0 EOF, with `->` before the kind where it waits.
        parts = line.split()
        if name in parts and "->" not in parts:
            process = int(parts[parts.index(name) - 1])
            return process if process > 0 else None  # of another container
    return None
