"""Names what a run depends on besides its data: source and packages. Nothing of TensorFlow."""

import hashlib
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType

from maskline import components, pipeline, trainer, transform
from maskline.transform import own_code

ROOMS: Mapping[str, ModuleType] = {
    "transform": transform,
    "trainer": trainer,
    "components": components,
    "pipeline": pipeline,
}


class SourceCode:
    """The source of the rooms as it is now; each room is hashed once.

    TFX's cache knows the import path of a function, not the code behind it. The digest of the source goes
    into the cache key in its place.
    """

    def __init__(self) -> None:
        self._packages = packages()
        self._rooms: dict[str, str] = {}

    def of(self, *rooms: str) -> str:
        """SHA-256 of the files of some rooms and of the packages they run on.

        Args:
          rooms: names from `ROOMS`.

        Returns:
          the first 16 hexadecimal digits.
        """
        return hashlib.sha256(f"{self._packages}\n{self._parts(rooms)}".encode()).hexdigest()[:16]

    def with_own(self, functions: Mapping[str, str], *rooms: str) -> str:
        """The same as `of`, and the source of functions of the user's own.

        Args:
          functions: path of a function by the setting that names it; those that are empty do not count.
          rooms: names from `ROOMS`.

        Raises:
          InputError: the source of one cannot be found.
        """
        own = [f"{key} {own_code.source(path, key)}" for key, path in sorted(functions.items()) if path]
        ours = self.of(*rooms)
        return hashlib.sha256("\n".join([ours, *own]).encode()).hexdigest()[:16] if own else ours

    def rooms(self, *rooms: str) -> str:
        """The same of the rooms alone, which a checkout and an installed wheel have in common."""
        return hashlib.sha256(self._parts(rooms).encode()).hexdigest()[:16]

    def _parts(self, rooms: Sequence[str]) -> str:
        for room in rooms:
            if room not in self._rooms:
                self._rooms[room] = _digest(Path(str(ROOMS[room].__file__)).parent)
        return "\n".join(f"{room} {self._rooms[room]}" for room in rooms)


def chosen_stack() -> str:
    """Which lock this system runs: `current` where glibc is 2.39 or later, else `older` (ADR 14)."""
    _, version = platform.libc_ver()
    numbers = tuple(int(part) for part in version.split(".") if part.isdigit())
    return "current" if numbers >= (2, 39) else "older"


def packages() -> str:
    """SHA-256 of the lock; without a checkout, as in an image, of the installed versions."""
    # Through the link in maskline/ to the room itself, beside which the lock lies.
    lock = Path(str(pipeline.__file__)).resolve().parent.parent / "locks" / f"{chosen_stack()}.txt"
    if lock.is_file():
        return hashlib.sha256(lock.read_bytes()).hexdigest()
    installed = sorted({f"{d.metadata['Name']}=={d.version}" for d in metadata.distributions()})
    return hashlib.sha256("\n".join(installed).encode()).hexdigest()


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(f"{file.relative_to(folder)}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
