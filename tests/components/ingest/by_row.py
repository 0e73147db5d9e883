"""The reader that took each row as a Python object: slow, and what the reader in blocks must equal."""

import hashlib
import os
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple, Protocol

import google_crc32c
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from maskline.components.ingest.quarantine import CorruptFile, QuarantinedRow
from maskline.components.ingest.rows import read_row
from maskline.components.ingest.shards import MAX_RECORD, CorruptShard, Record
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec
from maskline.transform.names import SPLITS

# A record is: length (8 bytes, little endian), masked CRC-32C of those bytes (4), the data, masked
# CRC-32C of the data (4). https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_FORMAT = 31  # zlib's number for a gzip header and trailer, with the largest window
_CHUNK = 1 << 16  # stored bytes that are decompressed in one call
_AT_ONCE = 1 << 24  # bytes; a damaged length must not reserve memory that the file cannot fill


class _Content(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Outcome(NamedTuple):
    """What became of a shard: rows of each split and those set aside, in order, and the other counts."""

    splits: dict[str, list[bytes]]
    bad: list[QuarantinedRow]
    rows: int
    corrupt: CorruptFile | None
    dropped: Counter[tuple[str, str]]


def read_by_row(path: str, spec: SequenceSpec, *, train_percent: int = 80) -> Outcome:
    """Reads a shard, and keeps what stands before a damage."""
    found = Outcome({split: [] for split in SPLITS}, [], 0, None, Counter())
    try:
        for number, data, offset in read_shard(path):
            found = found._replace(rows=found.rows + 1)
            row = read_row(data, spec)
            if row.problem:
                found.bad.append(QuarantinedRow(data, *row.problem, path, number, offset))
            else:
                bucket = int.from_bytes(hashlib.sha256(data).digest(), "big") % 100
                found.splits[SPLITS[bucket >= train_percent]].append(row.data)
            found.dropped.update(row.unnamed)
    except CorruptShard as error:
        corrupt = CorruptFile(
            file=path, offset=error.offset, unread_bytes=error.unread_bytes, reason=error.reason
        )
        return found._replace(corrupt=corrupt)
    return found


class _Broken(Exception):
    """The bytes are no record: they break off, or a checksum does not fit."""

    def __init__(self, what: str, *, in_header: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.in_header = in_header


class _TooLong(Exception):
    """A record is longer than is allowed; its length has a good checksum."""


def read_shard(path: str, *, max_record: int = MAX_RECORD) -> Iterator[Record]:
    """Yields the records of a shard; raises as the reader in blocks does."""
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
