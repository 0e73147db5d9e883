"""TensorBoard's logs of all trainings of a root, under names that a person can read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from maskline.pipeline.report import timeline
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError


class TrainingLog(NamedTuple):
    """A training: what a person calls it, and the folder of its logs."""

    name: str
    folder: Path


def training_logs(settings: Settings) -> list[TrainingLog]:
    """One for each training whose logs are still there, oldest first; a run from the cache made none.

    Raises:
      InputError: there is none.
    """
    found: dict[Path, TrainingLog] = {}
    for entry, folder in timeline.trainings(settings):
        if folder.is_dir() and folder not in found:
            span = f" span {entry.span}" if entry.span else ""
            version = f" {entry.version}" if entry.version else ""
            name = f"{entry.name.split('.')[0]}{span} {entry.decision}{version}"
            found[folder] = TrainingLog(name, folder)
    if not found:
        raise InputError(f"{settings.root}: no training has left logs here; start one with `maskline run`")
    return list(found.values())


@contextmanager
def side_by_side(logs: list[TrainingLog]) -> Iterator[Path]:
    """A folder with a link to each training's logs, named as a person names it."""
    with TemporaryDirectory(prefix="maskline-boards-") as folder:
        for log in logs:
            (Path(folder) / log.name.replace("/", "-")).symlink_to(log.folder.absolute())
        yield Path(folder)
