"""Writes answers as JSON Lines, TFRecord or Parquet. The same answers give the same bytes."""

import gzip
import json
import struct
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from maskline.components.ingest.quarantine import QuarantinedRow
from maskline.pipeline.predict.encoder import examples
from maskline.pipeline.predict.rows import Key
from maskline.pipeline.predict.served import Answers

_VALUES = 1 << 22  # of a group of rows in Parquet, which is held in memory
_GROUP = 1 << 16  # rows of such a group, at most


class Format(StrEnum):
    """How answers are written."""

    JSON_LINES = "jsonl"
    TFRECORD = "tfrecord"
    PARQUET = "parquet"


def output_schema(*, keyed: bool, logits: bool) -> pa.Schema:
    """The columns of an answer: `key` and `logits` only where they were asked for."""
    columns = [("file", pa.string()), ("record", pa.int64())]
    columns += [("key", pa.string())] if keyed else []
    columns += [("answer", pa.string()), ("probability", pa.float32())]
    columns += [("logits", pa.list_(pa.float32()))] if logits else []
    return pa.schema([*columns, ("version", pa.int64()), ("identity", pa.string())])


def table(
    file: str, records: Sequence[int], keys: Sequence[Key], answers: Answers, version: int, identity: str
) -> pa.RecordBatch:
    """The answers to some rows of a file, with their keys.

    Args:
      file: its name.
      records: their numbers in it.
      keys: the user's keys, or empty for none. In a file texts and integers may mix, so all become texts.
      answers: to them.
      version: number of the model's version.
      identity: of the model.

    Returns:
      a batch of `schema`.
    """
    rows, logits = len(records), answers.logits
    columns: list[Any] = [[file] * rows, records]
    columns += [list(map(str, keys))] if keys else []
    columns += [answers.symbols, answers.probabilities]
    if logits is not None:
        starts = pa.array(np.arange(rows + 1, dtype=np.int32) * logits.shape[1])
        columns.append(pa.ListArray.from_arrays(starts, pa.array(logits.ravel(), pa.float32())))
    columns += [np.full(rows, version), [identity] * rows]
    return pa.RecordBatch.from_arrays(
        [
            c if isinstance(c, pa.Array) else pa.array(c, field.type)
            for c, field in zip(
                columns, output_schema(keyed=bool(keys), logits=logits is not None), strict=True
            )
        ],
        schema=output_schema(keyed=bool(keys), logits=logits is not None),
    )


class Writer(Protocol):
    """Writes answers to one file."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds the answers of one batch, as `table` makes it."""

    def close(self) -> None:
        """Ends the file."""


def writer(kind: Format, path: Path, columns: pa.Schema) -> Writer:
    """A writer of a new file."""
    if kind is Format.PARQUET:
        return _Parquet(path, columns)
    return _JsonLines(path) if kind is Format.JSON_LINES else _TFRecord(path)


class _JsonLines:
    def __init__(self, path: Path) -> None:
        self._file = open(path, "wb")  # noqa: SIM115, closed below

    def write(self, batch: pa.RecordBatch) -> None:
        parts: list[pa.Array | str] = []
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            parts += [f'{", " if parts else "{"}"{name}": ', _as_json(column)]
        lines = pc.binary_join_element_wise(*parts, "}\n", "")
        self._file.write("".join(lines.to_pylist()).encode())

    def close(self) -> None:
        self._file.close()


def _as_json(column: pa.Array) -> pa.Array:
    """The values of a column as JSON writes them; null stands for NaN and infinity."""
    if pa.types.is_string(column.type):
        coded = column.dictionary_encode()
        return pa.array(map(json.dumps, coded.dictionary.to_pylist()), pa.string()).take(coded.indices)
    if pa.types.is_list(column.type):
        lists = pa.ListArray.from_arrays(column.offsets, _as_json(column.values))
        return pc.binary_join_element_wise("[", pc.binary_join(lists, ", "), "]", "")
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))
    return pc.coalesce(column.cast(pa.string()), "null")


class _TFRecord:
    def __init__(self, path: Path) -> None:
        self._file = open(path, "wb")  # noqa: SIM115, closed below

    def write(self, batch: pa.RecordBatch) -> None:
        write_records(self._file, examples(batch))

    def close(self) -> None:
        self._file.close()


class _Parquet:
    """Batches are gathered: each group of rows costs a reader a piece of the file's footer."""

    def __init__(self, path: Path, columns: pa.Schema) -> None:
        self._file = pq.ParquetWriter(path, columns)
        self._held: list[pa.RecordBatch] = []
        self._rows = self._values = 0

    def write(self, batch: pa.RecordBatch) -> None:
        self._held.append(batch)
        self._rows += batch.num_rows
        self._values += sum(len(c.values) for c in batch.columns if pa.types.is_list(c.type))
        if self._rows >= _GROUP or self._values >= _VALUES:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        if self._held:
            self._file.write_table(pa.Table.from_batches(self._held), row_group_size=_GROUP)
            self._held, self._rows, self._values = [], 0, 0


class QuarantineWriter:
    """Writes bad rows as the ingest does; see `components.ingest.quarantine`. No file where there are none.

    Args:
      path: of the new file, which is gzipped.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open = ExitStack()
        self._file: Any = None

    def write(self, rows: Sequence[QuarantinedRow]) -> None:
        """Adds rows."""
        if not rows:
            return
        if self._file is None:
            stored = self._open.enter_context(open(self._path, "wb"))  # noqa: SIM115, the stack closes it
            # Neither time nor name, so that the same rows give the same bytes.
            self._file = self._open.enter_context(gzip.GzipFile("", "wb", fileobj=stored, mtime=0))
        columns: dict[str, pa.Array] = {"row": pa.array([row.data for row in rows], pa.binary())}
        for name in ("reason", "text", "file"):
            columns[name] = pa.array([str(getattr(row, name)) for row in rows], pa.string())
        for name in ("record", "offset"):
            columns[name] = pa.array([getattr(row, name) for row in rows], pa.int64())
        write_records(self._file, examples(pa.RecordBatch.from_pydict(columns)))

    def close(self) -> bool:
        """Ends the file; says whether there is one."""
        self._open.close()
        return self._file is not None


def write_records(file: Any, records: Iterable[bytes]) -> None:
    """Writes TFRecord: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details."""
    for data in records:
        length = struct.pack("<Q", len(data))
        file.write(length + _checksum(length) + data + _checksum(data))


def _checksum(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
