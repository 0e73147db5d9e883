"""How much of the disk a root takes."""

from pathlib import Path

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
