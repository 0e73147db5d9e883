"""Lists the shards of a delivery, once: whatever reads, caches or shows them uses this list. No TFX.

`pathlib`, Beam and TFX each read a pattern such as `**/*.tfrecord` in their own way, so that one of them
counted rows that another did not ingest. Here a pattern is matched name by name: `*`, `?` and `[…]` match
within a name, `**` stands for any number of folders, links to folders are followed, and every other
character, a backslash too, stands for itself.
"""

import errno
import fnmatch
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict

from maskline.transform.errors import InputError
from maskline.transform.names import EVAL, TEST, TRAIN
from maskline.transform.shown import shown

_Identity: TypeAlias = tuple[int, int]  # of a file: device and inode
_ASKED = (TRAIN, EVAL)  # folders of data that are split already


class Shard(NamedTuple):
    """One file of a delivery.

    Attributes:
      name: its path below the delivery's folder.
      size: in bytes.
      modified: when it was written, in nanoseconds since 1970-01-01.
      split: the split that all its rows belong to; where it is empty, a hash of each row decides.
    """

    name: str
    size: int
    modified: int
    split: str = ""


class Listing(BaseModel):
    """The shards of one delivery.

    Attributes:
      folder: an absolute path.
      shards: sorted by name.
      hidden: how many names were passed over because they begin with a dot or an underscore.
      span: its number; 0 for a plain directory.
      version: of the span; 0 where versions are not used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str
    shards: tuple[Shard, ...]
    hidden: int = 0
    span: int = 0
    version: int = 0

    @property
    def digest(self) -> str:
        """Changes when a shard is added, removed, moved or written."""
        return hashlib.sha256(self.model_dump_json(exclude={"hidden"}).encode()).hexdigest()[:16]

    @property
    def paths(self) -> list[Path]:
        """Where the shards are, in order."""
        return [Path(self.folder, shard.name) for shard in self.shards]


def list_shards(
    folder: Path | str,
    pattern: str,
    *,
    presplit: bool = False,
    span: int = 0,
    version: int = 0,
    given_as: str = "data.pattern",
) -> Listing:
    """Lists the shards in a folder; where the data are split already, in its `train/`, `eval/` and `test/`.

    Args:
      folder: of one delivery.
      pattern: relative to it (`data.pattern`).
      presplit: the folder holds `train/`, `eval/` and, if the user has one, `test/`.
      span: kept in the list, as is `version`.
      version: of the span.
      given_as: where the pattern was given, for messages.

    Raises:
      InputError: there is no such directory or no shard in it; the pattern leaves the folder; what matches
        is not a regular file, or is reached by two names; a name cannot be printed.
    """
    base = Path(folder).absolute()
    walk = _Walk(pattern, given_as)
    splits = ("",) if not presplit else (*_ASKED, TEST) if (base / TEST).exists() else _ASKED
    shards = [shard for split in splits for shard in walk.shards(base, split)]
    return Listing(
        folder=str(base), shards=tuple(sorted(shards)), hidden=walk.hidden, span=span, version=version
    )


class _Walk:
    """Goes through folders with one pattern. Remembers which files it met, and how many it passed over.

    Attributes:
      hidden: names that would have been looked at but for the dot or the underscore that they begin with.
    """

    def __init__(self, pattern: str, given_as: str) -> None:
        self._text, self._given_as = pattern, given_as
        self._names = _names(pattern, given_as)
        self._parts = [None if name == "**" else re.compile(fnmatch.translate(name)) for name in self._names]
        self._last = len(self._parts) - 1
        self._seen: dict[_Identity, Path] = {}
        self.hidden = 0

    def shards(self, base: Path, split: str) -> list[Shard]:
        """The shards in one folder of a delivery, at least one."""
        folder = base / split
        above = tuple(_identity(_stat(parent)) for parent in folder.resolve().parents)
        found = list(self._below(folder, f"{split}/" if split else "", {0}, above))
        if not found:
            raise InputError(self._nothing_in(folder))
        return [shard._replace(split=split) for shard in found]

    def _below(
        self, folder: Path, above: str, places: set[int], entered: tuple[_Identity, ...]
    ) -> Iterator[Shard]:
        """The shards below a folder.

        Args:
          folder: where to look.
          above: what stands before the names in it.
          places: the parts of the pattern that a name in it may match.
          entered: the folders above.
        """
        identity = _identity(_stat(folder))
        if identity in entered:
            raise InputError(f"{_shown(folder)}: is a link that leads back to a folder above it; remove it")
        # `**` also stands for no folder at all.
        places = places | {place + 1 for place in places if self._parts[place] is None}
        for path in entries_of(folder):
            matched = {p for p in places if (part := self._parts[p]) is None or part.fullmatch(path.name)}
            inside = {p if self._parts[p] is None else p + 1 for p in matched if p < self._last}
            if path.name[0] in "._":
                self.hidden += self._last in matched or (bool(inside) and path.is_dir())
            elif matched:
                yield from self._entry(path, above, self._last in matched, inside, (*entered, identity))

    def _entry(
        self, path: Path, above: str, wanted: bool, inside: set[int], entered: tuple[_Identity, ...]
    ) -> Iterator[Shard]:
        """What one name gives: a shard, those below a folder, or nothing.

        Args:
          path: what is there.
          above: what stands before its name.
          wanted: the whole pattern matches, so that a shard is meant.
          inside: if it is a folder, the parts of the pattern that the names in it may match.
          entered: the folders above.
        """
        found = _stat(path)
        if stat.S_ISDIR(found.st_mode):
            if wanted and not any(self._takes_all(place) for place in inside):
                raise InputError(
                    f"{_shown(path)}: is a folder with a shard's name; move it, or let {self._given_as} "
                    f"reach its files, as '{self._text}/*' does"
                )
            if inside:
                yield from self._below(path, f"{above}{path.name}/", inside, entered)
        elif wanted:
            if not stat.S_ISREG(found.st_mode):
                raise InputError(f"{_shown(path)}: is {_kind(found.st_mode)} and not a file; remove it")
            if not (name := above + path.name).isprintable():
                raise InputError(f"{_shown(path.parent)}: {name!a} is not a printable name; rename the file")
            twin = self._seen.setdefault(_identity(found), path)
            if twin is not path:
                raise InputError(
                    f"{_shown(path)}: is the same file as {_shown(twin)}, so its rows would count twice; "
                    "remove one"
                )
            yield Shard(name, found.st_size, found.st_mtime_ns)

    def _takes_all(self, place: int) -> bool:
        """Whether the pattern goes on with `**/*`, which reaches everything below a folder."""
        return self._names[place:] == ["**", "*"]

    def _nothing_in(self, folder: Path) -> str:
        others = [path.name for path in entries_of(folder)]
        more = f" and {len(others) - 1:,} more" if others[1:] else ""
        holds = f"it holds {others[0]!a:.60}{more}" if others else "it is empty"
        if set(_ASKED).issubset(others):
            holds = "it holds train and eval; data.presplit=true takes them"
        if self.hidden:
            holds += f"; {hidden_note(self.hidden)}"
        return f"{_shown(folder)}: no shard matches '{self._text}' ({self._given_as}); {holds}"


def hidden_note(count: int) -> str:
    """One line on the names that are no shards."""
    return f"{count:,} names that begin with '.' or '_' are not shards"


def pattern_problem(pattern: str) -> str | None:
    """Says why a pattern can reach no file below a folder, or None."""
    names = PurePosixPath(pattern).parts
    if pattern.startswith("/"):
        return f"{shown(pattern)} is absolute; give it relative to data.path"
    if ".." in names or pattern.endswith("/") or not names:
        return f"{shown(pattern)} names no files below data.path; give one such as '*.tfrecord'"
    return None


def _names(pattern: str, given_as: str) -> list[str]:
    """The parts of a pattern between slashes, without what says nothing."""
    if problem := pattern_problem(pattern):
        raise InputError(f"{given_as}: {problem}")
    names = list(PurePosixPath(pattern).parts)
    if names[-1] == "**":
        names.append("*")
    return [name for place, name in enumerate(names) if name != "**" or names[place + 1] != "**"]


def entries_of(folder: Path) -> list[Path]:
    """What a folder holds, in order.

    Raises:
      InputError: it is not a folder, or cannot be read.
    """
    try:
        return sorted(folder.iterdir())
    except NotADirectoryError:
        raise InputError(
            f"{_shown(folder)}: is not a directory; give the directory that holds the shards"
        ) from None
    except OSError as error:
        raise InputError(f"{_shown(folder)}: cannot be read ({error.strerror})") from None


def _stat(path: Path) -> os.stat_result:
    """What a path leads to."""
    try:
        return path.stat()
    except OSError as error:
        raise InputError(f"{_shown(path)}: {_why_not(path, error)}") from None


def _why_not(path: Path, error: OSError) -> str:
    missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
    if path.is_symlink() and error.errno == errno.ELOOP:
        return "is a link that leads to itself; remove it"
    if path.is_symlink() and missing:
        return f"is a link to {os.readlink(path)!r}, which is not there; fetch the data, or remove the link"
    if missing:
        return "no such data directory; `maskline data --out DIR` makes samples"
    return f"cannot be read ({error.strerror})"


def _identity(found: os.stat_result) -> _Identity:
    return found.st_dev, found.st_ino


def _kind(mode: int) -> str:
    kinds = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def _shown(path: Path) -> str:
    """A path for a message of one line."""
    return str(path) if str(path).isprintable() else ascii(str(path))
