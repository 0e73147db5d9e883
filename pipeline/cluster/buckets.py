"""Buckets, s3:// and gs://: reached, listed, downloaded, uploaded. What TFX makes of them is `bucket_files`.

Imports no TFX and no TensorFlow: a pod asks whether its bucket is there before it loads either.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from maskline.pipeline.errors import RunError
from maskline.transform.errors import InputError

PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}
# Lies in what is an empty folder elsewhere: TFX takes an artifact that is not there for one that is lost.
EMPTY = ".empty"
_BUCKET = re.compile(rf"({'|'.join(PACKAGES)})://")
# What is under way at a time is bounded by files, parts of a file and their size: 64 MiB here.
_FILES, _PARTS, _PART_BYTES = 2, 4, 8 * 2**20
# s3fs tries five times, and each time the client below it does.
_S3 = {"max_concurrency": _PARTS, "config_kwargs": {"connect_timeout": 10}}


def is_bucket(url: str) -> bool:
    """True for a URL in a bucket, false for a path."""
    return bool(_BUCKET.match(url))


def named_in(text: str) -> list[str]:
    """The URLs in buckets that are strings of a JSON text."""
    return sorted({match[0].strip('"') for match in re.finditer(rf'"{_BUCKET.pattern}[^"]+"', text)})


def file_system(url: str) -> Any:
    """Fsspec's file system for a URL.

    Raises:
      InputError: its package is not installed.
    """
    scheme = url.partition("://")[0]
    # gcsfs would ask for each bucket's kind, over another protocol and with a right of its own.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    try:
        import fsspec

        # Other pods write too: a listing that was kept would not show it.
        return fsspec.filesystem(scheme, use_listings_cache=False, **(_S3 if scheme == "s3" else {}))
    except ImportError:
        raise InputError(
            f"{scheme}:// needs the package {PACKAGES[scheme]}, which the image lacks; "
            "build it with locks/current.txt"
        ) from None


def check(url: str) -> None:
    """Asks whether a bucket is there and lets itself be listed.

    Raises:
      InputError: it is not, or does not, or its package is not installed; says which and what to do.
    """
    try:
        with told(url):
            # A listing of what is never there is short, and tells an empty bucket from none at all.
            file_system(url).find(f"{url.rstrip('/')}/.maskline-asks")
    except FileNotFoundError:
        bucket = "/".join(url.split("/")[:3])
        raise InputError(f"{bucket}: no such bucket; create it, or fix cluster.pipeline_root") from None
    except RunError as error:
        raise InputError(str(error)) from None


def download(url: str, target: Path) -> bool:
    """Copies a file, or all below a folder, to this machine.

    Args:
      url: where it lies.
      target: becomes the same.

    Returns:
      false where there is neither.

    Raises:
      RunError: the bucket refuses or does not answer.
    """
    files = file_system(url)
    with told(url):
        top = files._strip_protocol(url)
        found = files.find(url)
        if f"{top}/{EMPTY}" in found:
            target.mkdir(parents=True, exist_ok=True)
        # Consoles mark a folder with an empty file of the folder's name.
        wanted = [name for name in found if not name.endswith(("/", f"/{EMPTY}"))]
        below = [name.removeprefix(top).strip("/") for name in wanted]
        files.get(wanted, [str(target / name) for name in below], batch_size=_FILES)
    return bool(found)


def upload(source: Path, url: str) -> None:
    """Copies a file, or a folder and all files below, into a bucket.

    Args:
      source: on this machine.
      url: where it shall lie.

    Raises:
      RunError: the bucket refuses or does not answer; some of it may be there.
    """
    found = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]
    targets = [f"{url}/{path.relative_to(source)}" if path != source else url for path in found]
    files = file_system(url)
    with told(url):
        if not found:
            files.pipe_file(f"{url}/{EMPTY}", b"")
        files.put(list(map(str, found)), targets, batch_size=_FILES, chunksize=_PART_BYTES)


@contextmanager
def told(url: str) -> Iterator[None]:
    """Says in one line what a bucket refused; that a file is not there stays FileNotFoundError.

    Raises:
      RunError: anything else that the libraries below raise, each with types of its own.
    """
    try:
        yield
    except (FileNotFoundError, InputError, RunError):
        raise
    except PermissionError as error:
        raise RunError(
            f"{url}: access is denied ({_line(error)}); the keys in cluster.secrets, or the pod's service "
            "account, must be allowed to list, read, write and delete there"
        ) from error
    except Exception as error:
        raise RunError(
            f"{url}: could not be read or written ({type(error).__name__}: {_line(error)}); "
            "check the bucket's address, the network and the credentials in cluster.secrets"
        ) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
