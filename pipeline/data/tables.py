"""Reads rows of CSV and JSON Lines files, one at a time. Knows nothing of symbols or shards."""

import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from maskline.transform.errors import InputError

_DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_JSON_LINES = (".jsonl", ".ndjson", ".json")
_GZIP_MAGIC = b"\x1f\x8b"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class TableRow(NamedTuple):
    """One row: its line in the file, from 1, and the asked columns; or a `problem` in words, and none."""

    line: int
    values: dict[str, Any]
    problem: str = ""


def read_table(file: Path, columns: Sequence[str], *, delimiter: str = "") -> Iterator[TableRow]:
    """Reads the rows of a file, plain or gzip. Its name's ending says what it is: `.csv`, `.tsv`, `.jsonl`.

    Bytes that are not UTF-8 come as lone surrogates, for the caller to refuse.

    Args:
      file: CSV with a header, or JSON Lines: an object a line. Empty lines are passed over.
      columns: the names that are needed of each row.
      delimiter: between the fields of a CSV file; by default a comma, and a tab in `.tsv`.

    Yields:
      a row at a time; CSV values are strings, JSON values what they are.

    Raises:
      InputError: the file cannot be read, is of another kind, or its header lacks a column.
    """
    ending = Path(file.name.removesuffix(".gz")).suffix.lower()
    if ending not in (*_DELIMITERS, *_JSON_LINES):
        raise InputError(f"{file}: is neither CSV nor JSON Lines by its name; name it .csv, .tsv or .jsonl")
    try:
        with _open(file) as text:
            if ending in _JSON_LINES:
                yield from _json_rows(text, columns)
            else:
                yield from _csv_rows(file, text, columns, delimiter or _DELIMITERS[ending])
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{file}: its gzip stream is truncated or damaged ({error}); copy it again"
        ) from None
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None


@contextmanager
def _open(file: Path) -> Iterator[IO[str]]:
    if file.exists() and not file.is_file():  # a pipe would wait for a writer, a device never end
        raise InputError(f"{file}: is not a file; give a CSV or JSON Lines file")
    with open(file, "rb") as stored:
        magic = stored.read(2)
    if magic in _UTF_16:
        raise InputError(f"{file}: is UTF-16; save it as UTF-8")
    opened = gzip.open if magic == _GZIP_MAGIC else open
    # `utf-8-sig` drops the mark that Excel writes; csv needs line ends as they are.
    with opened(file, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        yield text


def _csv_rows(file: Path, text: IO[str], columns: Sequence[str], delimiter: str) -> Iterator[TableRow]:
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise InputError(f"{file}: line 1: is not CSV ({error})") from None
    places = _places(file, header, columns, delimiter)
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield TableRow(line, {}, f"is not CSV ({error}); is a quote not closed?")
            continue
        if fields and len(fields) != len(header):
            yield TableRow(line, {}, f"has {len(fields)} fields; the header names {len(header)}")
        elif fields:
            yield TableRow(line, {column: fields[place] for column, place in places.items()})


def _places(file: Path, header: list[str], columns: Sequence[str], delimiter: str) -> dict[str, int]:
    for column in columns:
        if (count := header.count(column)) != 1:
            names = ", ".join(map(repr, header)) or "nothing"
            hint = (
                "" if len(header) > 1 else f"; if {delimiter!r} is not between the fields, give --delimiter"
            )
            problem = f"has no column {column!r}" if not count else f"names column {column!r} {count} times"
            raise InputError(f"{file}: {problem}; its header names {names}{hint}")
    return {column: header.index(column) for column in columns}


def _json_rows(text: IO[str], columns: Sequence[str]) -> Iterator[TableRow]:
    for line, content in enumerate(text, start=1):
        if not content.strip():
            continue
        try:
            values = json.loads(content, parse_constant=_refuse, object_pairs_hook=_each_once)
        except (ValueError, RecursionError) as error:
            yield TableRow(line, {}, f"is not JSON ({error})")
            continue
        if not isinstance(values, dict):
            yield TableRow(line, {}, "is not a JSON object; JSON Lines has one object a line: {…}")
        elif missing := [column for column in columns if column not in values]:
            names = ", ".join(map(repr, values)) or "nothing"
            yield TableRow(line, {}, f"has no key {missing[0]!r}; it has {names}")
        else:
            yield TableRow(line, {column: values[column] for column in columns})


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of these keys; Python would take the last of equal keys, other readers the first."""
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise ValueError(f"key {key!r} stands twice")
        values[key] = value
    return values


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON value")
