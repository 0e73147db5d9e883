"""Estimates the disk space of a run, and looks whether it is there: before it begins and between nodes."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, Self

from maskline.transform.errors import MachineError

# Records are written as examples, as transformed examples, as rows to train on and, at worst, to the
# quarantine. A gzip shard holds about eight times its size.
_TIMES = 4
_INFLATED = 8
# What does not grow with the data: graphs, statistics, reports, logs. A run on the sample data takes 3 MB.
_FIXED = 8 << 20
# A model is written as checkpoint (with two moments of the optimizer), Keras file, export and release.
_COPIES = 8
_PARAMETER = 4  # bytes
_BETWEEN = 4 << 20  # what any one node needs
_MEGABYTE = 1 << 20


class Need(NamedTuple):
    """How much a run takes, and where.

    Attributes:
      place: the root.
      size: in bytes, of all steps together; an estimate that is rather too high.
    """

    place: Path
    size: int

    @classmethod
    def of(cls, place: Path, shards: Iterable[Path], *, parameters: int = 0) -> Self:
        """Estimates what a run on some shards takes, for a model with this many parameters."""
        data = sum(map(_content, shards)) * _TIMES
        return cls(place, data + parameters * _PARAMETER * _COPIES + _FIXED)

    def check(self, *, halfway: bool = False) -> None:
        """Looks whether the file system has room.

        Args:
          halfway: the run has begun, and has taken what it took; only what one node needs is asked for.

        Raises:
          MachineError: it has not; says how much is needed and how much is free.
        """
        there = next(folder for folder in (self.place, *self.place.parents) if folder.exists())
        free = shutil.disk_usage(there).free
        if free < (_BETWEEN if halfway else self.size):
            raise MachineError(
                f"no space left on {mount_of(there)}: {self.megabytes} MB needed for {self.place}, "
                f"{free // _MEGABYTE} MB are free; make room (`maskline gc`), or give another --root"
            )

    @property
    def megabytes(self) -> int:
        """The size, rounded up."""
        return -(-self.size // _MEGABYTE)

    @property
    def in_words(self) -> dict[str, Any]:
        """What `maskline.pipeline.machine.in_words` is to say of it."""
        return {"root": self.place, "megabytes": self.megabytes}


def mount_of(place: Path) -> Path:
    """Where the file system that holds a file is mounted."""
    place = place.resolve()
    return next(folder for folder in (place, *place.parents) if folder.is_mount())


def _content(shard: Path) -> int:
    """Bytes of records in a shard, about."""
    with open(shard, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return shard.stat().st_size * (_INFLATED if packed else 1)
