"""Reads TFRecord shards record by record, knowing file, position and offset. No TFX."""

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple, Protocol

import google_crc32c
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from maskline.transform.errors import InputError

# A record is: length (8 bytes, little endian), masked CRC-32C of those bytes (4), the data, masked
# CRC-32C of the data (4). https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_FORMAT = 31  # zlib's number for a gzip header and trailer, with the largest window
_CHUNK = 1 << 16  # stored bytes that are decompressed in one call
_AT_ONCE = 1 << 24  # bytes; a damaged length must not reserve memory that the file cannot fill
MAX_RECORD = 64 << 20  # bytes; a longer record, or a gzip bomb, would take the machine's memory


class Record(NamedTuple):
    """One record of a shard: its number in the file, from 0, its bytes, and the offset it begins at.

    For a gzip file the offset is one of its content.
    """

    number: int
    data: bytes
    offset: int


class CorruptShard(InputError):
    """A shard that cannot be read to its end.

    Attributes:
      reason: what is wrong with it, in words.
      offset: of its content, where the last whole record ends.
      unread_bytes: of the file as it is stored, which gave no record.
    """

    def __init__(self, path: str, reason: str, *, offset: int, unread_bytes: int) -> None:
        super().__init__(f"{path}: {reason}")
        self.reason = reason
        self.offset = offset
        self.unread_bytes = unread_bytes


class _Content(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Broken(Exception):
    """The bytes are no record: they break off, or a checksum does not fit."""

    def __init__(self, what: str, *, in_header: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.in_header = in_header


class _TooLong(Exception):
    """A record is longer than is allowed; its length has a good checksum."""


def read_shard(path: str, *, max_record: int = MAX_RECORD) -> Iterator[Record]:
    """Reads a shard, plain or gzip, whatever its name ends in.

    Args:
      path: of any file system that Beam knows.
      max_record: the longest record that is read, in bytes. It bounds the memory that a file can take,
        whether plain, sparse or a gzip bomb.

    Yields:
      its records in order.

    Raises:
      CorruptShard: the file is not TFRecord, is truncated or damaged, or holds a record that is too long;
        says how far it was read.
      InputError: the file cannot be opened.
    """
    number = offset = 0
    with _open(path) as (content, stored):
        try:
            while (data := _next(content, max_record)) is not None:
                yield Record(number, data, offset)
                number += 1
                offset += len(data) + _HEADER.size + _FOOTER.size
        except (_Broken, _TooLong, EOFError, OSError, zlib.error) as error:
            reason = _in_words(error, number, offset)
            used = offset if content is stored else _stored_bytes(stored, offset)
            unread = stored.seek(0, os.SEEK_END) - used
            raise CorruptShard(path, reason, offset=offset, unread_bytes=unread) from error


def _in_words(error: Exception, number: int, offset: int) -> str:
    if isinstance(error, _TooLong):
        return f"is damaged at byte {offset}, after {number} whole records: {error}"
    if not isinstance(error, _Broken):
        return f"its gzip stream breaks off or is damaged after {number} whole records ({error})"
    if error.in_header and number == 0:
        return "is not a TFRecord file, plain or gzip"
    if error.what == "truncated":
        return f"is truncated; {number} whole records were read, up to byte {offset}"
    return f"is damaged at byte {offset}, after {number} whole records"


@contextmanager
def _open(path: str) -> Iterator[tuple["_Content", IO[bytes]]]:
    """The content of a file, and the file as it is stored."""
    try:
        stored = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    with stored:
        start = stored.read(_HEADER.size)
        stored.seek(0)
        if start[:2] == _GZIP_MAGIC and not _is_header(start):
            yield _Inflated(stored), stored
        else:
            yield stored, stored


def begins_a_record(content: bytes) -> bool:
    """Whether content begins as a TFRecord file does: with a length and its checksum."""
    return _is_header(content[: _HEADER.size])


def _is_header(data: bytes) -> bool:
    return len(data) == _HEADER.size and _HEADER.unpack(data)[1] == _masked_crc(data[:8])


def _next(content: _Content, max_record: int) -> bytes | None:
    """The data of the next record; None at the end."""
    header = content.read(_HEADER.size)
    if not header:
        return None
    if len(header) < _HEADER.size:
        raise _Broken("truncated", in_header=True)
    length, crc = _HEADER.unpack(header)
    if crc != _masked_crc(header[:8]):
        raise _Broken("damaged", in_header=True)
    if length > max_record:
        raise _TooLong(f"a record of {length:,} bytes, where {max_record:,} are allowed")
    body = _read(content, length + _FOOTER.size)
    if _FOOTER.unpack_from(body, length)[0] != _masked_crc(data := body[:length]):
        raise _Broken("damaged")
    return data


def _read(content: _Content, size: int) -> bytes:
    """Reads exactly `size` bytes."""
    data = content.read(min(size, _AT_ONCE))
    chunks, missing = [data], size - len(data)
    while missing and (data := content.read(min(missing, _AT_ONCE))):
        chunks.append(data)
        missing -= len(data)
    if missing:
        raise _Broken("truncated")
    return b"".join(chunks) if len(chunks) > 1 else chunks[0]


class _Inflated:
    """The content of a gzip file. All that comes before a damage can be read; GzipFile drops some of it."""

    def __init__(self, stored: IO[bytes]) -> None:
        self._stored = stored
        self._inflate = zlib.decompressobj(_GZIP_FORMAT)
        self._buffer = bytearray()
        self._used = 0  # bytes of the buffer that were read
        self._begun = False  # inside a part: files may be gzipped in parts
        self._error: Exception | None = None
        self._ended = False

    def read(self, size: int) -> bytes:
        """Reads `size` bytes, fewer only at the end."""
        while len(self._buffer) - self._used < size and not self._ended:
            self._fill()
        if self._error and len(self._buffer) - self._used < size:
            raise self._error
        data = bytes(self._buffer[self._used : self._used + size])
        self._used += len(data)
        if self._used > _CHUNK:
            del self._buffer[: self._used]
            self._used = 0
        return data

    def _fill(self) -> None:
        chunk = self._inflate.unused_data.lstrip(b"\0") or self._stored.read(_CHUNK)
        if self._inflate.eof:
            self._inflate, self._begun = zlib.decompressobj(_GZIP_FORMAT), False
        if not chunk:
            self._ended = True
            self._error = EOFError("the end is missing") if self._begun else None
            return
        self._begun = True
        before = self._inflate.copy()
        try:
            self._buffer += self._inflate.decompress(chunk)
        except zlib.error as error:
            self._ended, self._error = True, error
            self._salvage(before, chunk)

    def _salvage(self, inflate: "zlib._Decompress", chunk: bytes) -> None:
        """Decompresses what comes before a damage byte by byte: zlib gives nothing of a call that fails."""
        try:
            for byte in range(len(chunk)):
                self._buffer += inflate.decompress(chunk[byte : byte + 1])
        except zlib.error:
            pass  # the same one


def _stored_bytes(stored: IO[bytes], size: int) -> int:
    """How many bytes of a gzip file the first `size` bytes of its content come from."""
    stored.seek(0)
    inflate, left, tail = zlib.decompressobj(_GZIP_FORMAT), size, b""
    while left and (tail := tail or stored.read(_CHUNK)):
        before = inflate.copy()
        try:
            left -= len(inflate.decompress(tail, left))
        except zlib.error:  # just behind what was asked for, so it comes byte by byte before it
            while left > 0:
                left -= len(before.decompress(tail[:1]))
                tail = tail[1:]
            break
        tail = inflate.unconsumed_tail
        if inflate.eof:
            tail, inflate = inflate.unused_data.lstrip(b"\0"), zlib.decompressobj(_GZIP_FORMAT)
    return stored.tell() - len(tail)


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
