"""TFX's file access for s3:// and gs://, over fsspec, once it is registered.

Drivers, resolvers and publishers look at buckets through it. Executors do not: `bucket_executors`.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tfx.dsl.io.filesystem import Filesystem, NotFoundError, PathType
from tfx.dsl.io.filesystem_registry import DEFAULT_FILESYSTEM_REGISTRY

from maskline.pipeline.cluster import buckets

# Objects have no folders. TFX makes one, and expects it to be there until it removes it; nobody else sees
# it before a file lies in it.
_made: set[str] = set()


class Stat(NamedTuple):
    """What TensorFlow's plugin tells of a file, which TFX counts on."""

    length: int
    mtime_nsec: int
    is_directory: bool


class BucketFilesystem(Filesystem):
    """Files in buckets. A folder is where files lie below, or where this process made one."""

    SUPPORTED_SCHEMES = [f"{scheme}://" for scheme in buckets.PACKAGES]

    @staticmethod
    def open(name: PathType, mode: str = "r") -> Any:
        """Opens a file; raises NotFoundError where there is none to read."""
        with _bucket(name) as (url, files):
            return files.open(url, mode)

    @staticmethod
    def copy(src: PathType, dst: PathType, overwrite: bool = False) -> None:
        """Copies a file; raises NotFoundError where there is none, OSError where one is in the way."""
        _refuse(dst, overwrite=overwrite)
        with _bucket(src) as (url, files):
            files.info(url)
            files.cp_file(url, _text(dst))

    @staticmethod
    def exists(path: PathType) -> bool:
        """True for a file or folder. A bucket that does not answer is an error, and not false."""
        return _kind(path) is not None

    @staticmethod
    def glob(pattern: PathType) -> list[PathType]:
        """The files and folders that match."""
        with _bucket(pattern) as (url, files):
            return sorted(files.unstrip_protocol(name) for name in files.glob(url))

    @staticmethod
    def isdir(path: PathType) -> bool:
        """True for a folder."""
        return _kind(path) == "directory"

    @staticmethod
    def listdir(path: PathType) -> list[PathType]:
        """Names in a folder; raises NotFoundError where there is none."""
        with _bucket(path) as (url, files):
            if _is_made(url) and not files.exists(url):
                return []
            return sorted(name.rstrip("/").rsplit("/", 1)[-1] for name in files.ls(url, detail=False))

    @staticmethod
    def makedirs(path: PathType) -> None:
        """Makes a folder for this process."""
        _made.add(_text(path))

    @staticmethod
    def mkdir(path: PathType) -> None:
        """Makes a folder for this process; its parent need not be there."""
        _made.add(_text(path))

    @staticmethod
    def remove(path: PathType) -> None:
        """Removes a file; raises NotFoundError where there is none."""
        with _bucket(path) as (url, files):
            files.info(url)  # S3 says yes to removing what is not there
            files.rm_file(url)

    @staticmethod
    def rename(src: PathType, dst: PathType, overwrite: bool = False) -> None:
        """Copies a file or folder and removes it, file by file: killed in between, both are there."""
        _refuse(dst, overwrite=overwrite)
        with _bucket(src) as (url, files):
            top = files.info(url)["name"].rstrip("/")
            for name in files.find(url):
                files.cp_file(name, f"{_text(dst)}{name.removeprefix(top)}")
            files.rm(url, recursive=True)
            _forget(url)

    @staticmethod
    def rmtree(path: PathType) -> None:
        """Removes a folder and all below; raises NotFoundError where there is none."""
        with _bucket(path) as (url, files):
            if not _forget(url) or files.exists(url):
                files.rm(url, recursive=True)

    @staticmethod
    def stat(path: PathType) -> Stat:
        """Size and time of a file; raises NotFoundError where there is none."""
        with _bucket(path) as (url, files):
            info = files.info(url)
            if info["type"] == "directory":
                return Stat(0, 0, is_directory=True)
            return Stat(info["size"], int(files.modified(url).timestamp() * 1e9), is_directory=False)

    @staticmethod
    def walk(
        top: PathType, topdown: bool = True, onerror: Callable[..., None] | None = None
    ) -> Iterable[tuple[PathType, list[PathType], list[PathType]]]:
        """Yields folder, names of folders and names of files; nothing where there is no such folder."""
        with _bucket(top) as (url, files):
            if not files.isdir(url):
                return
            for folder, folders, names in files.walk(url, topdown=topdown, on_error=onerror or "omit"):
                yield files.unstrip_protocol(folder), list(folders), [name for name in names if name]


def register() -> None:
    """Makes TFX use it, in place of TensorFlow's plugin, for all buckets; call it before TFX looks at one."""
    DEFAULT_FILESYSTEM_REGISTRY.register(BucketFilesystem, priority=5)  # TensorFlow's has 10; lower wins


@contextmanager
def _bucket(path: PathType) -> Iterator[tuple[str, Any]]:
    url = _text(path)
    try:
        with buckets.told(url):
            yield url, buckets.file_system(url)
    except FileNotFoundError as error:
        raise NotFoundError(f"{url}: not there") from error


def _text(path: PathType) -> str:
    return os.fsdecode(path).rstrip("/")


def _kind(path: PathType) -> str | None:
    with _bucket(path) as (url, files):
        try:
            return str(files.info(url)["type"])
        except FileNotFoundError:
            return "directory" if _is_made(url) else None


def _is_made(url: str) -> bool:
    return any(f"{folder}/".startswith(f"{url}/") for folder in _made)


def _forget(url: str) -> bool:
    """Forgets a folder and those below that this process made; false where there were none."""
    made = {folder for folder in _made if f"{folder}/".startswith(f"{url}/")}
    _made.difference_update(made)
    return bool(made)


def _refuse(path: PathType, *, overwrite: bool) -> None:
    if not overwrite and _kind(path):
        raise OSError(f"{_text(path)}: is there, and overwrite is not set")
