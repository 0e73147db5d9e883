"""Sends standard output and error elsewhere: Python's, C++'s and those of child processes."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO


@contextmanager
def sent_to(file: IO[bytes], *descriptors: int) -> Iterator[None]:
    """Sends file descriptors to `file` while the block runs.

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
