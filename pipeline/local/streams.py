"""Standard output and error: sent elsewhere for a while, and robust against whoever reads them."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any


class _Lossy(io.FileIO):
    """A descriptor that takes every write; what a full disk or a closed pipe refuses is dropped."""

    lost: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Writes bytes and never raises; returns their number, also where it failed."""
        try:
            return super().write(data)
        except OSError as error:
            self.lost = self.lost or error
            return memoryview(data).nbytes


class Output(io.TextIOWrapper):
    """Text for a reader that may be gone or unable to show it: writing never raises.

    Args:
      descriptor: an open file's.
      encoding: the reader's. A character that it does not have is shown as `?`.
      closes: closing this closes the descriptor.
    """

    def __init__(self, descriptor: int, encoding: str | None, *, closes: bool = False) -> None:
        self._file = _Lossy(descriptor, "wb", closefd=closes)
        super().__init__(
            io.BufferedWriter(self._file), encoding=encoding or "utf-8", errors="replace", line_buffering=True
        )

    @property
    def lost(self) -> OSError | None:
        """Why something could not be written, if so: the first reason."""
        return self._file.lost


def protect() -> None:
    """Makes Python's standard output and error robust; call it first.

    A descriptor that is closed would be given to the next file that is opened, and what a library prints
    would go there, into the metadata store for one. It is opened on nothing instead.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    sys.stdout = Output(1, sys.stdout.encoding if sys.stdout else None)
    sys.stderr = Output(2, sys.stderr.encoding if sys.stderr else None)


@contextmanager
def sent_to(file: IO[bytes], *descriptors: int) -> Iterator[None]:
    """Sends file descriptors to `file` while the block runs: Python's, C++'s and those of child processes.

    Args:
      file: an open file.
      descriptors: 1 is standard output, 2 standard error.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {descriptor: os.dup(descriptor) for descriptor in descriptors}
    for descriptor in descriptors:
        os.dup2(file.fileno(), descriptor)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, original in kept.items():
            os.dup2(original, descriptor)
            os.close(original)


@contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Drops what TensorFlow's C++ side writes on standard error, such as that there is no GPU.

    Some of it comes before any log level counts. Failures are raised as exceptions all the same.
    """
    with open(os.devnull, "wb") as nowhere, sent_to(nowhere, 2):
        yield
