"""Reads the locks: each package with its version, its hashes, and who asked for it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from packaging.utils import canonicalize_name

LOCKS = Path(__file__).parents[2] / "locks"
RUN, TOOLS = ("current", "older"), ("current-dev", "older-dev")
NAMES = (*RUN, *TOOLS)
_OURS = re.compile(r"maskline \(pyproject.toml:(\w+)\)")


class Locked(NamedTuple):
    """A package of a lock.

    Attributes:
      name: as PyPI normalizes it.
      version: the only one that is installed.
      hashes: SHA-256 of each of its files.
      asked_by: the packages that need it, by name.
      group: of `pyproject.toml`, where we need it ourselves; else empty.
    """

    name: str
    version: str
    hashes: tuple[str, ...]
    asked_by: tuple[str, ...]
    group: str

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


def locked(lock: str) -> Iterator[Locked]:
    """The packages of a lock, by its name in `NAMES`."""
    for entry in re.split(r"\n(?=[a-z0-9])", (LOCKS / f"{lock}.txt").read_text())[1:]:
        name, version = re.match(r"([a-z0-9._-]+)==([^\s;]+)", entry).groups()
        notes = entry.partition("# via")[2].replace("#", "\n")
        asked_by = [line.strip() for line in notes.splitlines() if line.strip()]
        ours = _OURS.search(notes)
        yield Locked(
            canonicalize_name(name),
            version,
            tuple(re.findall("--hash=sha256:([0-9a-f]{64})", entry)),
            tuple(by for by in asked_by if "maskline" not in by and not by.startswith("-")),
            ours.group(1) if ours else "",
        )
