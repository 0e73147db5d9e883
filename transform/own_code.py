"""Finds functions of a user's own, named as `package.module:function`, and their source. No TensorFlow."""

import ast
import hashlib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from maskline.transform.errors import InputError
from maskline.transform.shown import escaped, shown

_OURS = "maskline"  # whose source every digest of a run holds anyway
_NAME = r"[A-Za-z_]\w*"
PATTERN = rf"{_NAME}(\.{_NAME})*:{_NAME}"


@lru_cache(maxsize=64)  # asked of each row
@lru_cache(maxsize=64)  # the ingest asks for each row
def is_path(text: str) -> bool:
    """Whether a text is an import path, `package.module:function`."""
    return re.fullmatch(PATTERN, text) is not None


def is_of_users(text: str) -> bool:
    """Whether a text is the import path of a function that does not belong to maskline itself."""
    return is_path(text) and re.split(r"[.:]", text)[0] != _OURS


def look_in(folder: Path) -> None:
    """Lets modules be found in a folder too, after all other places, and in processes that are started."""
    place = str(folder.absolute())
    if place not in sys.path:
        sys.path.append(place)
        known = os.environ.get("PYTHONPATH", "")
        os.environ["PYTHONPATH"] = f"{known}{os.pathsep}{place}" if known else place


def function(path: str, setting: str) -> Callable[..., Any]:
    """Imports a function.

    Args:
      path: `package.module:function`.
      setting: that names it, for messages.

    Raises:
      InputError: the module cannot be found or imported, or has no such function.
    """
    module, _, name = path.partition(":")
    _spec_of(path, setting)
    try:
        found = importlib.import_module(module)
    except Exception as error:  # whatever the user's code does when it is imported
        raise InputError(f"{setting}: {path} cannot be imported: {in_words(error)}") from None
    if not callable(given := getattr(found, name, None)):
        problem = "there is no function" if given is None else "is no function:"
        raise InputError(f"{setting}: {path}: {problem} {shown(name)} in {found.__file__ or module}")
    return given


def in_words(error: BaseException) -> str:
    """An error of the user's code on one line, with the place in their code where it arose."""
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    at, frame = "", error.__traceback__
    while frame is not None:
        file = Path(frame.tb_frame.f_code.co_filename)
        if "site-packages" not in file.parts and file.is_file() and __file__ != str(file):
            at = f" ({escaped(file.name)}:{frame.tb_lineno})"
        frame = frame.tb_next
    return f"{type(error).__name__}: {escaped(first)}{at}"


def files(path: str, setting: str) -> dict[str, str]:
    """The source that a function may depend on, without running any of it.

    Of a package, that is every Python file in it; of a module beside others, the module and those of its
    neighbours that it imports, and what these import.

    Args:
      path: as `package.module:function`.
      setting: that names it, for messages.

    Returns:
      text by file name, relative to the folder in which the module was found; sorted.

    Raises:
      InputError: the module cannot be found or read.
    """
    spec = _spec_of(path, setting)
    folder = _folder(spec)
    found, waiting = set[Path](), [spec]
    while waiting:
        for file in _files(waiting.pop()):
            if file in found:
                continue
            found.add(file)
            waiting += [near for name in _imported(file) if (near := _neighbour(name, folder))]
    try:
        return {str(file.relative_to(folder)): file.read_text(encoding="utf-8") for file in sorted(found)}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{setting}: {path} cannot be read: {error}") from None


def source(path: str, setting: str) -> str:
    """A hash of the `files` of a function.

    Returns:
      16 hexadecimal digits; empty for a function of maskline itself.

    Raises:
      InputError: as `files`.
    """
    if path.partition(":")[0].partition(".")[0] == _OURS:
        return ""
    digest = hashlib.sha256()
    for name, text in files(path, setting).items():
        digest.update(f"{name}\0{hashlib.sha256(text.encode()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def _spec_of(path: str, setting: str) -> ModuleSpec:
    top = path.partition(":")[0].partition(".")[0]
    importlib.invalidate_caches()
    spec = importlib.util.find_spec(top)
    if spec is None or not _files(spec):
        raise InputError(
            f"{setting}: {path}: there is no module {shown(top)}; put it beside the settings file (or, for "
            "--set, into the working folder), or install its package"
        )
    return spec


def _folder(spec: ModuleSpec) -> Path:
    """The folder in which a module or package was found."""
    places = spec.submodule_search_locations
    return Path(next(iter(places))).parent if places else Path(str(spec.origin)).parent


def _files(spec: ModuleSpec) -> list[Path]:
    """The Python files of a module, or of a whole package."""
    if spec.submodule_search_locations:
        places = [Path(place) for place in spec.submodule_search_locations]
        return sorted(file for place in places for file in place.rglob("*.py") if file.is_file())
    return [Path(spec.origin)] if spec.has_location and spec.origin else []


def _imported(file: Path) -> Iterator[str]:
    """The first parts of the names of what a file imports."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # importing it says so
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


def _neighbour(name: str, folder: Path) -> ModuleSpec | None:
    """The module of that name, if it lies in the folder."""
    try:
        spec = importlib.util.find_spec(name)
    except (ValueError, ImportError):  # such as `__main__`, which has none
        return None
    return spec if spec and _files(spec) and _folder(spec) == folder else None
