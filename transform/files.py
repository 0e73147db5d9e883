"""Reads what a user wrote, within bounds: regular files of UTF-8 text, none larger than is asked for."""

import os
import stat
from pathlib import Path

from maskline.transform.errors import InputError


def read_text(file: Path, *, limit: int = 16 << 20) -> str:
    """Reads a text file; its line ends stay as they are.

    Args:
      file: a regular file: a device or a FIFO might never end.
      limit: its size in bytes, at most.

    Raises:
      InputError: the file is not there, is not regular, is too large or is not UTF-8.
    """
    try:
        # Without O_NONBLOCK the opening of a FIFO waits for a writer.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as content:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InputError(f"{file}: is not a regular file; give a text file")
            data = content.read(limit + 1)
    except FileNotFoundError:
        raise InputError(f"{file}: there is no such file") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    if len(data) > limit:
        raise InputError(f"{file}: is larger than {limit >> 20} MiB")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: is not UTF-8 text (byte {error.start})") from None
