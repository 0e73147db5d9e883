"""Rows that travel through Beam as they are stored, many at a time."""

import gzip
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.coders import BytesCoder
from apache_beam.io.filebasedsink import FileBasedSink
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.metrics import Metrics


def rows_counter() -> Any:
    """Beam's counter of the rows that a step has read, by which a terminal shows how far a run is."""
    return Metrics.counter("maskline", "rows")


class Framed(NamedTuple):
    """TFRecords as they are stored behind one another, and how many there are."""

    rows: int
    content: bytes


class WriteFramed(beam.PTransform):
    """Writes `Framed` rows as gzip TFRecord files, named as `beam.io.WriteToTFRecord` names them.

    Beam's own writer takes each row for itself, which costs more than all else that the ingest does.

    Args:
      prefix: of the files' paths.
    """

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix

    def expand(self, rows: Any) -> Any:
        """Applied to `Framed` rows."""
        plain = CompressionTypes.UNCOMPRESSED
        sink = _Sink(self._prefix, BytesCoder(), file_name_suffix=".gz", compression_type=plain)
        return (
            rows
            | "Contents" >> beam.Map(lambda framed: Framed(*framed).content)
            | "Write" >> beam.io.Write(sink)
        )


class _Sink(FileBasedSink):
    """Compresses by itself: Beam always does so as densely as gzip can, which takes four times as long."""

    def open(self, temp_path: str) -> Any:
        """Opens a file."""
        return gzip.GzipFile(fileobj=super().open(temp_path), mode="wb", compresslevel=1, mtime=0)

    def close(self, file_handle: Any) -> None:
        """Ends a file: gzip leaves open what it writes to."""
        file = file_handle.fileobj
        file_handle.close()
        file.close()

    def write_encoded_record(self, file_handle: Any, value: bytes) -> None:
        """Adds to an open file."""
        file_handle.write(value)
