"""Reads TFRecord shards block by block, knowing file, position and offset. No TFX."""

import mmap
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import IO, NamedTuple, Protocol

import google_crc32c
import numpy as np
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from numpy.typing import NDArray

from maskline.transform.errors import InputError

# A record is: length (8 bytes, little endian), masked CRC-32C of those bytes (4), the data, masked
# CRC-32C of the data (4). https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_FORMAT = 31  # zlib's number for a gzip header and trailer, with the largest window
_CHUNK = 1 << 16  # stored bytes that are decompressed in one call
_BLOCK = 1 << 20  # bytes of content that are read in one call
PART = 1 << 28  # bytes; a longer plain file is read in parts
_AT_ONCE = 1 << 24  # bytes; a damaged length must not reserve memory that the file cannot fill
MAX_RECORD = 64 << 20  # bytes; a longer record, or a gzip bomb, would take the machine's memory


class Record(NamedTuple):
    """One record of a shard: its number in the file, from 0, its bytes, and the offset it begins at.

    For a gzip file the offset is one of its content.
    """

    number: int
    data: bytes
    offset: int


class Block(NamedTuple):
    """Whole records that stand behind one another.

    Attributes:
      number: of the first in the shard, from 0.
      offset: of the first in the shard's content.
      content: the records as they are stored, with lengths and checksums.
      starts: for each record, where its data begin in `content`.
      ends: for each record, where its data end.
    """

    number: int
    offset: int
    content: bytes
    starts: list[int]
    ends: list[int]

    def data(self, number: int) -> bytes:
        """The data of one of the records."""
        return self.content[self.starts[number] : self.ends[number]]

    def frame(self, number: int) -> bytes:
        """One of the records as it is stored."""
        return self.content[self.starts[number] - _HEADER.size : self.ends[number] + _FOOTER.size]

    def offset_of(self, number: int) -> int:
        """Where one of the records begins in the shard's content."""
        return self.offset + self.starts[number] - _HEADER.size


class Part(NamedTuple):
    """A stretch of a shard's content: where it begins, the number of its first record, and where it ends.

    `end` is 0 where the part reaches to the end of the shard.
    """

    offset: int = 0
    number: int = 0
    end: int = 0


WHOLE = Part()


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
    """Reads a shard, plain or gzip, whatever its name ends in, record by record; see `read_blocks`."""
    for block in read_blocks(path, max_record=max_record):
        for number in range(len(block.starts)):
            yield Record(block.number + number, block.data(number), block.offset_of(number))


def read_blocks(path: str, part: Part = WHOLE, *, max_record: int = MAX_RECORD) -> Iterator[Block]:
    """Reads a shard, plain or gzip, whatever its name ends in, about a megabyte at a time.

    Args:
      path: of any file system that Beam knows.
      part: what to read of a plain file, as `parts` gives it.
      max_record: the longest record that is read, in bytes. It bounds the memory that a file can take,
        whether plain, sparse or a gzip bomb.

    Yields:
      its records in order.

    Raises:
      CorruptShard: the file is not TFRecord, is truncated or damaged, or holds a record that is too long;
        says how far it was read. All records before that were given.
      InputError: the file cannot be opened.
    """
    offset, number, end = part
    with _open(path) as (content, stored):
        if offset:
            stored.seek(offset)
        held, missing = b"", 0
        error: Exception | None = None
        while True:
            size = min(max(missing, _BLOCK), _AT_ONCE)
            try:
                more = content.read(min(size, end - offset - len(held)) if end else size)
            except (EOFError, OSError, zlib.error) as found:
                more, error = b"", found
            if not more and not error:
                if not held:
                    return
                error = _Broken("truncated", in_header=len(held) < _HEADER.size)
            held += more
            if not error:
                starts, ends, missing, error = _whole_records(held, max_record)
                if starts:
                    used = ends[-1] + _FOOTER.size
                    yield Block(number, offset, held[:used], starts, ends)
                    number, offset, held = number + len(starts), offset + used, held[used:]
            if error:
                reason = _in_words(error, number, offset)
                used = offset if content is stored else _stored_bytes(stored, offset)
                unread = stored.seek(0, os.SEEK_END) - used
                raise CorruptShard(path, reason, offset=offset, unread_bytes=unread) from error


def parts(path: str, size: int, *, longest: int = PART) -> Iterator[Part]:
    """Divides a large plain shard, so that several processes can read it; any other is one part.

    Only the lengths of the records are read, which takes a small part of the time of reading them. At a
    damage the last part begins before it: reading that part finds it.

    Args:
      path: of the shard.
      size: of the file, in bytes.
      longest: about how long a part may become, in bytes.
    """
    offset = number = place = count = 0
    if size > longest:
        with _open(path) as (content, stored):
            is_plain = content is stored
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            while is_plain and place + _HEADER.size <= size:
                length, crc = _HEADER.unpack_from(mapped, place)
                if crc != _masked_crc(mapped[place : place + 8]):
                    break
                if place - offset >= longest:
                    yield Part(offset, number, place)
                    offset, number = place, count
                place += _HEADER.size + length + _FOOTER.size
                count += 1
    yield Part(offset, number)


def framed(rows: Sequence[bytes]) -> list[bytes]:
    """Records as they are stored, with lengths and checksums."""
    sums = _masked_crcs(rows).astype("<u4").tobytes()
    places = range(0, len(sums), _FOOTER.size)
    return [
        _header(len(row)) + row + sums[place : place + _FOOTER.size]
        for row, place in zip(rows, places, strict=True)
    ]


@lru_cache(maxsize=1 << 12)
def _header(length: int) -> bytes:
    written = length.to_bytes(8, "little")
    return _HEADER.pack(length, _masked_crc(written))


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


def _whole_records(content: bytes, max_record: int) -> tuple[list[int], list[int], int, Exception | None]:
    """Where the whole records of some content begin and end, up to the first that is not.

    Returns:
      starts; ends; how many bytes are missing of the record behind them; what is wrong with that, or None.
    """
    starts, ends, missing, error = _headed_records(content, max_record)
    places = np.array(ends, np.int64)[:, None] + np.arange(_FOOTER.size)
    stored = np.frombuffer(content, np.uint8)[places].view("<u4")[:, 0]
    found = _masked_crcs([content[start:end] for start, end in zip(starts, ends, strict=True)])
    damaged = np.flatnonzero(stored != found)
    if len(damaged):
        first = int(damaged[0])
        return starts[:first], ends[:first], 0, _Broken("damaged")
    return starts, ends, missing, error


def _headed_records(content: bytes, max_record: int) -> tuple[list[int], list[int], int, Exception | None]:
    """As `_whole_records`, but without a look at the data."""
    starts: list[int] = []
    ends: list[int] = []
    lengths: dict[bytes, int] = {}  # by header: most records are as long as one before them
    place, size = 0, len(content)
    while place + _HEADER.size <= size:
        header = content[place : place + _HEADER.size]
        length = lengths.get(header, -1)
        if length < 0:
            length, crc = _HEADER.unpack(header)
            if crc != _masked_crc(header[:8]):
                return starts, ends, 0, _Broken("damaged", in_header=True)
            if length > max_record:
                problem = f"a record of {length:,} bytes, where {max_record:,} are allowed"
                return starts, ends, 0, _TooLong(problem)
            lengths[header] = length
        start = place + _HEADER.size
        end = start + length
        if end + _FOOTER.size > size:
            return starts, ends, end + _FOOTER.size - size, None
        starts.append(start)
        ends.append(end)
        place = end + _FOOTER.size
    return starts, ends, 0, None


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
        """Reads `size` bytes, fewer only at the end or before a damage."""
        while len(self._buffer) - self._used < size and not self._ended:
            self._fill()
        data = bytes(self._buffer[self._used : self._used + size])
        if self._error and not data:
            raise self._error
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
    return int(_masked_crcs([data])[0])


def _masked_crcs(rows: Sequence[bytes]) -> NDArray[np.uint32]:
    """The checksum of each row, as TensorFlow's `crc32c::Mask` has it: [rows] uint32."""
    crc = np.fromiter(map(google_crc32c.value, rows), np.uint32, len(rows))
    return (crc >> np.uint32(15) | crc << np.uint32(17)) + np.uint32(0xA282EAD8)
