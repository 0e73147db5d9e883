"""Transformed rows on disk: Arrow files, whose columns are read as they lie."""

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

SUFFIX = ".arrow"
# Of the numbers of a block, of its place, and of whether it is the last: Arrow has none.
_CHECKSUM = b"crc32"
_KINDS = {"i": pa.int32(), "f": pa.float32()}
Columns = Mapping[str, NDArray[Any]]


def columns_of(shapes: Mapping[str, tuple[str, int]]) -> pa.Schema:
    """The columns of a file.

    Args:
      shapes: for each column, `i` where it holds integers and `f` where it holds floats, and how many a row
        has. They are stored as int32 and as float32.
    """
    return pa.schema(
        [(name, pa.list_(_KINDS[kind], width)) for name, (kind, width) in sorted(shapes.items())]
    )


class RowsWriter:
    """Writes rows to an open file, a block at a time. Close it, which closes the file.

    Args:
      file: a binary file.
      columns: see `columns_of`.
    """

    def __init__(self, file: Any, columns: pa.Schema) -> None:
        self._file, self._columns = file, columns
        self._writer = pa.ipc.new_file(file, columns, options=pa.ipc.IpcWriteOptions(compression="lz4"))
        self._written = 0
        self._next = pa.RecordBatch.from_pylist([], columns)  # a file without rows has a block without rows

    def write(self, rows: Columns) -> None:
        """Adds rows: for each column an array [rows, width], or [rows] where the width is 1."""
        arrays = [
            pa.FixedSizeListArray.from_arrays(
                pa.array(rows[column.name].ravel(), column.type.value_type), column.type.list_size
            )
            for column in self._columns
        ]
        if len(self._next):
            self._put(last=False)
        self._next = pa.RecordBatch.from_arrays(arrays, schema=self._columns)

    def close(self) -> None:
        """Writes the last block, and closes the file."""
        self._put(last=True)
        self._writer.close()
        self._file.close()

    def _put(self, *, last: bool) -> None:
        checksum = _checksum(self._next, self._written, last=last)
        self._writer.write_batch(self._next, custom_metadata={_CHECKSUM: checksum})
        self._written += 1


def blocks(file: str) -> Iterator[dict[str, NDArray[Any]]]:
    """Reads a file, a block of rows at a time.

    Args:
      file: its path, on any file system that TensorFlow reads if it has a scheme.

    Yields:
      for each column an array [rows, width] of int32 or float32, which is not to be written to.

    Raises:
      OSError: the file is damaged.
    """
    try:
        with _opened(file) as source, pa.ipc.open_file(source) as reader:
            last = reader.num_record_batches - 1
            for number in range(max(last, 0) + 1):
                block, metadata = reader.get_batch_with_custom_metadata(number)
                block.validate()
                if metadata[_CHECKSUM] != _checksum(block, number, last=number == last):
                    raise pa.ArrowInvalid(f"block {number} has another checksum")
                if len(block):
                    yield {
                        column.name: _numbers(block[column.name]).reshape(-1, column.type.list_size)
                        for column in block.schema
                    }
    except (pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise OSError(f"{file}: damaged: {error}") from None


def _opened(file: str) -> Any:
    if "://" not in file:
        return pa.memory_map(file)
    import tensorflow as tf  # reads other file systems, whole

    return pa.BufferReader(tf.io.gfile.GFile(file, "rb").read())


def _numbers(column: pa.Array) -> NDArray[Any]:
    if not isinstance(column, pa.FixedSizeListArray):
        raise pa.ArrowInvalid("a column holds no lists of one length")
    numbers: NDArray[Any] = column.flatten().to_numpy()
    return numbers


def _checksum(block: pa.RecordBatch, number: int, *, last: bool) -> bytes:
    found = zlib.crc32(f"{number} {last} {len(block)} {block.schema}".encode())
    for column in block.columns:
        found = zlib.crc32(_numbers(column).data, found)
    return b"%08x" % found
