"""Paths as users write them: `~` is home, `..` is gone, and what cannot be a path is refused."""

from pathlib import Path

_LONGEST = 3000  # of 4,096 characters that the system takes; the rest is for what lies below
# Beam, TensorFlow and TFX read these as patterns, in paths that they only write too.
_PATTERN_CHARACTERS = "*?[]\\"


def normal(text: str, folder: Path) -> Path:
    """The absolute path that a text means.

    Args:
      text: as written; `~` and `~user` are home directories.
      folder: what a relative path is relative to.

    Raises:
      ValueError: says why it is no path.
    """
    if not text.strip():
        raise ValueError("it is empty; a path is needed")
    if not text.isprintable():
        raise ValueError("it holds a control character")
    if len(text) > _LONGEST or any(len(part.encode()) > 255 for part in text.split("/")):
        raise ValueError("it is too long for a path")
    try:
        path = (folder / Path(text).expanduser()).absolute()
    except RuntimeError:
        raise ValueError("there is no such home directory") from None
    # A link before `..` leads elsewhere than the text says; only the file system knows.
    return path.resolve() if ".." in path.parts else path


def root_problem(root: Path) -> str | None:
    """Says why runs cannot work under a root, or None."""
    found = [character for character in _PATTERN_CHARACTERS if character in str(root)]
    if found:
        return f"{root}: {' '.join(found)} would be read as a pattern; choose a path without it"
    if root.exists() and not root.is_dir():
        return f"{root}: is not a directory"
    return None
