"""Looks whether a model fits into the machine's memory, before anything is built."""

from pathlib import Path

from maskline.trainer import size
from maskline.trainer.settings import TrainerSettings
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec

_MEGABYTE = 1 << 20
_MEMINFO = Path("/proc/meminfo")
_OF_CONTAINER = Path("/sys/fs/cgroup/memory.max")


def check(spec: SequenceSpec, settings: TrainerSettings) -> None:
    """Refuses a model that cannot be trained here.

    Raises:
      InputError: it takes more memory than is available; says how much, and which settings to lower.
    """
    needed, there = size.memory(spec, settings), available()
    if needed > there:
        raise InputError(
            f"model: {size.parameters(spec, settings):,} parameters and batches of "
            f"{settings.training.batch_size:,} rows take at least {needed // _MEGABYTE:,} MB of memory; "
            f"{there // _MEGABYTE:,} MB are available. Lower model.width, model.hidden, sequence.length or "
            "training.batch_size"
        )


def available() -> int:
    """Bytes that this machine, or this container, has for new processes."""
    [line] = [line for line in _MEMINFO.read_text().splitlines() if line.startswith("MemAvailable:")]
    free = int(line.split()[1]) << 10
    limit = _OF_CONTAINER.read_text().strip() if _OF_CONTAINER.exists() else "max"
    return min(free, int(limit)) if limit.isdecimal() else free
