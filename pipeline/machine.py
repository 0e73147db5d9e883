"""Puts into words what the machine refused, whichever library raised it. Neither TFX nor TensorFlow."""

import re
from collections.abc import Iterator
from pathlib import Path

_NO_SPACE = "no space left"
# What libraries write where they do not pass on the system's error number; TFX wraps it in its own, Beam in
# text, ml-metadata in SQL. The first that fits is reported.
_REFUSED = {
    _NO_SPACE: r"No space left on device|[Dd]isk quota exceeded|database or disk is full",
    "a file may grow no further": r"File too large",
    "the file system is read-only": r"Read-only file system|attempt to write a readonly database",
    "permission is missing": r"Permission denied|Operation not permitted|PERMISSION_DENIED",
    "too many open files": r"Too many open files",
    "out of memory": r"Cannot allocate memory|bad_alloc|OOM when allocating|failed to allocate|out of memory",
    "the disk cannot be read or written": r"Input/output error|disk I/O error",
    "the metadata store is held by another process": r"database is locked",
}
_TO_DO = {
    _NO_SPACE: "make room, then run again",
    "a file may grow no further": "raise `ulimit -f`, then run again",
    "the file system is read-only": "give another --root, or mount it for writing",
    "permission is missing": "give write access, then run again",
    "too many open files": "raise `ulimit -n`, then run again",
    "out of memory": "give more memory, or make the model, the batch or beam.args smaller",
    "the disk cannot be read or written": "look at the system's log",
    "the metadata store is held by another process": "wait for it, then run again",
}
_PATH = re.compile(r"(?<![\w/])/[^\s:;,'\"\]\[]+")


def in_words(error: BaseException, *, root: Path | None = None, megabytes: int = 0) -> str | None:
    """What the machine refused, where, and what to do, in one line; None where it is not to blame.

    Args:
      error: as it was caught; what caused it is looked at too.
      root: what is told to be full where the error does not say.
      megabytes: the disk space that a run takes, where that is known.
    """
    for link in _chain(error):
        text = "out of memory" if isinstance(link, MemoryError) else str(link)
        for line in text.splitlines():
            for refused, pattern in _REFUSED.items():
                if found := re.search(pattern, line):
                    where, needed = _place(link, line, found.start()), ""
                    if refused == _NO_SPACE:
                        where = where or str(root or "")
                        needed = f": {megabytes} MB needed" if megabytes else ""
                    return f"{refused}{f' on {where}' if where else ''}{needed}; {_TO_DO[refused]}"
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _place(error: BaseException, line: str, position: int) -> str:
    """The file that was refused: as the system says, or the path nearest to the reason in the line."""
    if isinstance(error, OSError) and error.filename is not None:
        return str(error.filename2 or error.filename)
    paths = list(_PATH.finditer(line))
    return min(paths, key=lambda path: abs(path.start() - position)).group() if paths else ""
