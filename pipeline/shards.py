"""Looks at the shards from outside, before anything heavy is loaded."""

import hashlib
from pathlib import Path

from pipeline.config import DataConfig
from transform.errors import InputError


def find(data: DataConfig) -> list[Path]:
    """The shards that a run reads.

    Raises:
      InputError: no such directory, or no shard in it.
    """
    folder = data.path
    if not folder.exists():
        raise InputError(f"{folder}: no such data directory; `maskline data --out DIR` makes samples")
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a directory; give the directory that holds the shards")
    shards = sorted(path for path in folder.glob(data.pattern) if path.is_file())
    if not shards:
        others = sorted(path.name for path in folder.iterdir())
        holds = f"it holds {len(others)} others, such as {others[0]}" if others else "it is empty"
        raise InputError(f"{folder}: no shard matches '{data.pattern}' (data.pattern); {holds}")
    return shards


def version(shards: list[Path]) -> str:
    """Changes when a shard is added, removed or written: a digest of names, sizes and times."""
    digest = hashlib.sha256()
    for path in shards:
        stat = path.stat()
        digest.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
