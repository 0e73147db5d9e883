"""Reads TFRecord shards record by record, knowing file, position and offset. No TFX."""

import gzip
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple

import google_crc32c
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from transform.errors import InputError

# A record is: length (8 bytes, little endian), masked CRC-32C of those bytes (4), the data, masked
# CRC-32C of the data (4). https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_File = IO[bytes] | gzip.GzipFile
_GZIP_MAGIC = b"\x1f\x8b"


class Record(NamedTuple):
    """One record of a shard: its number in the file, from 0, and its bytes."""

    number: int
    data: bytes


def read_shard(path: str) -> Iterator[Record]:
    """Reads a shard, plain or gzip, whatever its name ends in.

    Args:
      path: of any file system that Beam knows.

    Yields:
      its records in order.

    Raises:
      InputError: the file is not TFRecord, is truncated or is damaged; says how far it was read.
    """
    with _open(path) as file:
        offset = index = 0
        while header := _read(file, _HEADER.size, path, offset, index):
            length, crc = _HEADER.unpack(header)
            if crc != _masked_crc(header[:8]):
                if index == 0:
                    raise InputError(f"{path}: is not a TFRecord file, plain or gzip")
                raise InputError(f"{path}: is damaged at byte {offset}, after {index} whole records")
            body = _read(file, length + _FOOTER.size, path, offset, index, inside=True)
            data = body[:length]
            if _FOOTER.unpack(body[length:])[0] != _masked_crc(data):
                raise InputError(f"{path}: is damaged at byte {offset}, after {index} whole records")
            yield Record(index, data)
            index += 1
            offset += len(header) + len(body)


@contextmanager
def _open(path: str) -> Iterator[_File]:
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        start = file.read(_HEADER.size)
        file.seek(0)
        if start[:2] == _GZIP_MAGIC and not _is_header(start):
            with gzip.open(file) as plain:
                yield plain
        else:
            yield file


def _is_header(data: bytes) -> bool:
    return len(data) == _HEADER.size and _HEADER.unpack(data)[1] == _masked_crc(data[:8])


def _read(file: _File, size: int, path: str, offset: int, index: int, *, inside: bool = False) -> bytes:
    """Reads exactly `size` bytes; nothing at all is allowed between two records."""
    chunks, missing = [], size
    try:
        # A damaged length must not reserve memory that the file cannot fill.
        while missing and (chunk := file.read(min(missing, 1 << 24))):
            chunks.append(chunk)
            missing -= len(chunk)
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(
            f"{path}: its gzip stream breaks off or is damaged after {index} whole records ({error})"
        ) from error
    if missing and (chunks or inside):
        if index == 0 and not inside:
            raise InputError(f"{path}: is not a TFRecord file, plain or gzip")
        raise InputError(f"{path}: is truncated; {index} whole records were read, up to byte {offset}")
    return b"".join(chunks)


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
