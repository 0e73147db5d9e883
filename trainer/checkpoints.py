"""Checkpoints of one training on disk: written completely, synced, and verified when read. No TensorFlow."""

import hashlib
import logging
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

logger = logging.getLogger(__name__)

_SUMS = "SHA256SUMS"  # in the format of `sha256sum`, which can verify a checkpoint too
_KEPT = 2  # the newest, and the one before it in case the newest gets damaged


class Checkpoints:
    """A folder of numbered checkpoints, each a folder of files.

    A checkpoint is written under another name, synced (files and folder) and renamed. It contains the
    checksum of each of its files, so that damage by a power cut or a disk is noticed when it is read.

    Args:
      folder: for the checkpoints of one training only; created if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def newest(self) -> Path | None:
        """Returns the newest undamaged checkpoint. Removes damaged ones, and logs that."""
        for path in reversed(self._all()):
            if not (fault := _fault_of(path)):
                return path
            logger.warning("the checkpoint of epoch %d is damaged (%s): dropped", int(path.name), fault)
            _remove(path)
        return None

    def write(self, number: int, fill: Callable[[Path], None]) -> None:
        """Writes a checkpoint, then removes those that are no longer needed.

        Args:
          number: the epoch's number, from 1.
          fill: a function that writes the files into a given folder.
        """
        place = self._folder / f"{number:05d}"
        partial = place.with_suffix(".partial")
        _remove(partial)
        partial.mkdir()
        fill(partial)
        sums = [f"{_sum_of(file)}  {file.name}\n" for file in sorted(partial.iterdir())]
        (partial / _SUMS).write_text("".join(sums))
        for path in (*partial.iterdir(), partial):
            _sync(path)
        _remove(place)
        partial.rename(place)
        _sync(self._folder)
        for older in self._all()[:-_KEPT]:
            _remove(older)

    def _all(self) -> list[Path]:
        return sorted(path for path in self._folder.iterdir() if re.fullmatch("[0-9]{5}", path.name))


def _fault_of(checkpoint: Path) -> str:
    """Says what is wrong with a checkpoint; an empty string means nothing is."""
    try:
        sums = dict(line.split("  ")[::-1] for line in (checkpoint / _SUMS).read_text().splitlines())
        for name, expected in sums.items():
            if _sum_of(checkpoint / name) != expected:
                return f"{name} is not as it was written"
    except (OSError, ValueError) as error:
        return f"{_SUMS}: {error}" if isinstance(error, ValueError) else str(error)
    return "" if sums else f"{_SUMS} is empty"


def _sum_of(file: Path) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
