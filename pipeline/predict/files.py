"""The files that hold what a model is asked: which they are, and of which kind. No TFX, no TensorFlow."""

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict

from maskline.components.ingest.listing import Listing, Shard, list_shards
from maskline.transform.errors import InputError

_JSON_LINES = (".jsonl", ".ndjson", ".json")
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_FORMAT = 31  # zlib's number for a gzip header and trailer
_LOOKED_AT = 1 << 16  # bytes that decide whether a file is text
_CONTROL = re.compile(rb"[\1-\10\16-\32]")  # characters that programs write, and people hardly ever
_WILD = re.compile(r"[*?[]")


class FileKind(StrEnum):
    """What a file holds."""

    EXAMPLES = "tf.Examples"
    TEXT = "text lines"
    JSON_LINES = "JSON Lines"


class Source(BaseModel):
    """One file of a list, its place in the list, and its kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    shard: Shard
    kind: FileKind


def find(data: Path) -> Listing:
    """Lists the files of a folder, those that match a pattern, or a single file.

    Args:
      data: what is there under this name is taken as it is, also where the name looks like a pattern.

    Raises:
      InputError: there is none, or one of them is no regular file.
    """
    if data.is_file():
        found = data.stat()
        shard = Shard(data.name, found.st_size, found.st_mtime_ns)
        return Listing(folder=str(data.parent.absolute()), shards=(shard,))
    if data.exists() or not _WILD.search(str(data)):
        return list_shards(data, "*", given_as="--data")
    parts = data.parts
    first = next(place for place, part in enumerate(parts) if _WILD.search(part))
    return list_shards(Path(*parts[:first]), "/".join(parts[first:]), given_as="--data")


def sources(listing: Listing) -> list[Source]:
    """The files of a list with their kinds.

    Raises:
      InputError: one of them is neither TFRecord nor text.
    """
    paths = zip(listing.shards, listing.paths, strict=True)
    return [
        Source(number=number, shard=shard, kind=kind_of(path)) for number, (shard, path) in enumerate(paths)
    ]


def kind_of(path: Path) -> FileKind:
    """What a file holds: TFRecord by its first record's checksum, JSON Lines by its name, else text.

    Raises:
      InputError: it is neither TFRecord nor text in UTF-8, or cannot be read.
    """
    from maskline.components.ingest.shards import begins_a_record  # Beam comes with it

    try:
        with open(path, "rb") as stored:
            start = stored.read(_LOOKED_AT)
        if start[:2] == _GZIP_MAGIC and not begins_a_record(start):
            start = zlib.decompressobj(_GZIP_FORMAT).decompress(start, _LOOKED_AT)
    except (OSError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if begins_a_record(start):
        return FileKind.EXAMPLES
    if b"\0" in start or (_CONTROL.search(start) and not _is_unicode(start)):
        raise InputError(f"{path}: is neither TFRecord nor text in UTF-8; give shards, text or JSON Lines")
    is_json = Path(path.name.lower().removesuffix(".gz")).suffix in _JSON_LINES
    return FileKind.JSON_LINES if is_json else FileKind.TEXT


def _is_unicode(start: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)  # a character may be cut in two at the end
    except UnicodeDecodeError:
        return False
    return True


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The content of a file, plain or gzip.

    Raises:
      InputError: it cannot be read, or its gzip stream is damaged.
    """
    try:
        with open(path, "rb") as stored:
            packed = stored.peek(2)[:2] == _GZIP_MAGIC
            if packed:
                with gzip.open(stored) as content:
                    yield io.BufferedReader(content)
            else:
                yield stored
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{path}: its gzip stream breaks off or is damaged ({error}); copy it again"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
