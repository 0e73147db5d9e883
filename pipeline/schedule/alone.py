"""One tick and one scheduler at a time on a root, by a file lock that the kernel gives back."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maskline.transform.errors import InputError


@contextmanager
def alone(file: Path) -> Iterator[int | None]:
    """Takes the lock on a file if it is free.

    Args:
      file: made where it is missing; holds the id of the process that has the lock.

    Yields:
      None where the lock is ours until the block ends, else the id of the process that has it.

    Raises:
      InputError: the file cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        content = open(file, "a+")  # noqa: SIM115, closed below
    except OSError as error:
        raise InputError(f"{file.parent}: cannot be written ({error.strerror})") from None
    with content:
        try:
            fcntl.flock(content, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            content.seek(0)
            yield int(content.read() or 0)
            return
        content.truncate(0)
        content.write(str(os.getpid()))
        content.flush()
        yield None
