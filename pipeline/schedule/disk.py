"""How much of the disk a root takes."""

from pathlib import Path

from maskline.pipeline.settings.sections import Settings

GIB = 1 << 30


def size(root: Path) -> int:
    """Bytes of all files below a folder; what goes meanwhile is not counted."""
    total = 0
    for path in root.rglob("*"):
        try:
            if path.is_file() and not path.is_symlink():
                total += path.stat().st_size
        except OSError:
            continue
    return total


def check_room(settings: Settings) -> None:
    """Refuses a `schedule.keep.gib` that the live version alone exceeds, before anything runs.

    Raises:
      InputError: names what is needed.
    """
    if size(settings.root) > settings.schedule.keep.gib * GIB:
        from maskline.pipeline.schedule import retention  # costs a second, which an idle tick does not have

        retention.check(settings)
