"""One temporary folder for a run and all its processes, under the root."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from maskline.transform.errors import cannot_write

SCRATCH_FOLDER = "tmp"
# What a run is called. Everything else in the folder belongs to others.
_RUN = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{6}")


@contextmanager
def folder(root: Path, run: str) -> Iterator[Path]:
    """Gives a run its temporary folder and takes it away; call it while you hold the root's lock.

    `TMPDIR` and Python's `tempfile` name it while the block runs, so that training rows, TensorFlow's
    generated source and Beam's files all go there. Folders of runs that were killed are removed first:
    whoever holds the lock is alone.

    Raises:
      MachineError: the folder cannot be made.
    """
    clear(root)
    own = root / SCRATCH_FOLDER / run
    try:
        own.mkdir(parents=True)
    except OSError as error:
        raise cannot_write(own, error) from None
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(own)
    tempfile.tempdir = None  # it is looked up once, and kept
    try:
        yield own
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before
        tempfile.tempdir = None
        clear(root)


def clear(root: Path) -> None:
    """Removes what runs left; nothing but folders that bear a run's name."""
    for path in left_behind(root):
        shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        (root / SCRATCH_FOLDER).rmdir()


def left_behind(root: Path) -> list[Path]:
    """The temporary folders of runs: all that are there while no run works."""
    found = (root / SCRATCH_FOLDER).glob("*")
    return sorted(path for path in found if _RUN.fullmatch(path.name) and not path.is_symlink())
