"""Errors whose text is the whole message: one line, to which no traceback belongs."""

import errno
import os

# What only the machine can be blamed for, whoever asked it.
_OF_MACHINE = {
    errno.EACCES, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC,
    errno.EPERM, errno.EROFS,
}  # fmt: skip


class InputError(ValueError):
    """Something the user gave is wrong.

    The text is one line that says what is wrong, where, and what to do or what is allowed.
    The command line prints it and exits with 2.
    """


class MachineError(RuntimeError):
    """The machine refuses: no space, memory or file descriptors are left, or permission is missing.

    The text is one line that says what it refused, where, and what to do. The command line prints it and
    exits with 1.
    """


def cannot_write(
    place: str | os.PathLike[str], error: OSError, advice: str = ""
) -> InputError | MachineError:
    """The error to raise where a place cannot be written.

    Args:
      place: the file or folder.
      error: what the system said.
      advice: what to do about it, for the end of the line.

    Returns:
      a `MachineError` where the machine refused; an `InputError` where the place is none that can be
      written, as a folder below a file.
    """
    kind = MachineError if error.errno in _OF_MACHINE else InputError
    reason = error.strerror or str(error)
    return kind(f"{os.fspath(place)}: cannot be written ({reason})" + (f"; {advice}" if advice else ""))
