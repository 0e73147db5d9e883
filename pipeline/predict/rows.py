"""Reads files into batches of rows to ask a model about, and sets aside those that it would refuse."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from maskline.components.ingest.quarantine import QuarantinedRow
from maskline.pipeline.predict.checks import TextCheck
from maskline.pipeline.predict.files import FileKind, opened
from maskline.transform import numeric
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec
from maskline.transform.problems import Reason, RowProblem

MAX_LINE = 1 << 20  # bytes; a longer line is no row, and would take the machine's memory
_MARK = b"\xef\xbb\xbf"  # that Windows puts before UTF-8
_TOO_LONG = MAX_LINE - len(_MARK)

Key = str | int | None


class Fields(NamedTuple):
    """What is read of a row: the field with the text (JSON Lines), and that with the user's key, if any."""

    text: str = "text"
    key: str = ""


class Line(NamedTuple):
    """As `ingest.shards.Record`: number in the file, from 0, bytes, and the offset that they begin at."""

    number: int
    data: bytes
    offset: int


class RowBatch(NamedTuple):
    """Some rows of one file.

    Attributes:
      records: the number of each good row in the file, from 0.
      values: what the model's signature takes of each.
      keys: the user's key of each; empty where none was asked for.
      bad: the rows that were set aside.
    """

    records: list[int]
    values: list[bytes]
    keys: list[Key]
    bad: list[QuarantinedRow]

    def add(self, record: Any, found: "Found | RowProblem", file: str, *, keyed: bool = False) -> None:
        """Adds a row that was checked."""
        if isinstance(found, RowProblem):
            self.bad.append(QuarantinedRow(record.data, *found, file, record.number, record.offset))
            return
        self.records.append(record.number)
        self.values.append(found.value)
        if keyed:
            self.keys.append(found.key)


class Found(NamedTuple):
    """A row that can be asked about: what the signature takes, and the user's key."""

    value: bytes
    key: Key = None


def read_input(
    path: Path, kind: FileKind, spec: SequenceSpec, fields: Fields, rows: int
) -> Iterator[RowBatch]:
    """Reads a file.

    Args:
      path: of the file.
      kind: of its content.
      spec: the model's language.
      fields: what is read of each row.
      rows: in a batch, at most.

    Yields:
      its rows, in order.

    Raises:
      InputError: the file cannot be read to its end. All rows before that were given.
    """
    if kind is FileKind.EXAMPLES:
        # Beam and TensorFlow's protobufs, which take seconds to import.
        from maskline.components.ingest.shards import read_shard
        from maskline.pipeline.predict import examples

        check = partial(examples.check, spec=spec, key=fields.key)
        yield from _batches(str(path), read_shard(str(path)), check, rows, keyed=bool(fields.key))
        return
    text = TextCheck(spec)
    check = partial(_check_object, text=text, fields=fields) if kind is FileKind.JSON_LINES else partial(
        check_line, text=text
    )  # fmt: skip
    yield from _batches(str(path), _lines(path), check, rows, keyed=bool(fields.key))


def _batches(
    file: str,
    content: Iterator[Any],
    check: Callable[[bytes], Found | RowProblem],
    rows: int,
    *,
    keyed: bool,
) -> Iterator[RowBatch]:
    """Checks row by row; an error that the content raises comes after the rows before it."""
    while True:
        batch, error = RowBatch([], [], [], []), None
        try:
            for record in islice(content, rows):
                batch.add(record, check(record.data), file, keyed=keyed)
        except InputError as raised:
            error = raised
        if batch.records or batch.bad:
            yield batch
        elif not error:
            return
        if error:
            raise error


def check_line(line: bytes, text: TextCheck) -> Found | RowProblem:
    """A line is a text."""
    if len(line) >= _TOO_LONG:
        return RowProblem(Reason.TOO_LONG, f"is a line of over {_TOO_LONG:,} bytes")
    try:
        problem = text(line.decode())
    except UnicodeDecodeError as error:
        return RowProblem(Reason.NOT_TEXT, f"is not UTF-8 ({error.reason} at byte {error.start})")
    return problem or Found(line)


def _check_object(line: bytes, text: TextCheck, fields: Fields) -> Found | RowProblem:
    """A line is a JSON object, one of whose fields is a text."""
    if len(line) >= _TOO_LONG:
        return RowProblem(Reason.TOO_LONG, f"is a line of over {_TOO_LONG:,} bytes")
    try:
        values = json.loads(line.decode())
    except UnicodeDecodeError as error:
        return RowProblem(Reason.NOT_TEXT, f"is not UTF-8 ({error.reason} at byte {error.start})")
    except (ValueError, RecursionError) as error:
        return RowProblem(Reason.NOT_JSON, f"is not JSON ({error})")
    if not isinstance(values, dict):
        return RowProblem(Reason.NOT_JSON, "is not a JSON object; JSON Lines has one object a line: {…}")
    given = values.get(fields.text)
    if not isinstance(given, str):
        there = "no" if fields.text not in values else "no text in its"
        return RowProblem(Reason.MISSING, f"has {there} field '{fields.text}'")
    numbers = _numbers(values, text.numeric)
    if isinstance(numbers, RowProblem):
        return numbers
    given = numeric.with_numbers(given, numbers)
    try:
        data = given.encode()
    except UnicodeEncodeError:
        return RowProblem(Reason.NOT_TEXT, f"field '{fields.text}' holds half of a surrogate pair")
    if problem := text(given):
        return problem
    if not fields.key:
        return Found(data)
    return keyed(data, values.get(fields.key), fields.key)


def _numbers(values: Mapping[str, Any], names: Iterable[str]) -> list[float] | RowProblem:
    """The numbers of the fields that a model reads beside the text, in their order."""
    found: list[float] = []
    for name in names:
        given = values.get(name)
        for number in given if isinstance(given, list) else [given]:
            if isinstance(number, bool) or not isinstance(number, int | float):
                there = "no" if name not in values else "something other than numbers in its"
                return RowProblem(Reason.MISSING, f"has {there} field '{name}'")
            try:
                found.append(float(number))
            except OverflowError:
                return RowProblem(Reason.NOT_A_NUMBER, f"field '{name}' holds a number that no float32 holds")
    return found


def keyed(value: bytes, key: Any, name: str) -> Found | RowProblem:
    """A row with its key, which has to be a text or an integer of 64 bits."""
    if isinstance(key, str) and _is_unicode(key):
        return Found(value, key)
    if isinstance(key, int) and not isinstance(key, bool) and -(2**63) <= key < 2**63:
        return Found(value, key)
    return RowProblem(Reason.MISSING, f"has no text or integer in its field '{name}', which is the key")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _lines(path: Path) -> Iterator[Line]:
    """The lines of a text as records, without their ends. A line that is too long is cut."""
    with opened(path) as content:
        number = offset = 0
        while line := content.readline(MAX_LINE):
            start, cut = offset, line
            offset += len(line)
            while not line.endswith(b"\n") and (line := content.readline(MAX_LINE)):
                offset += len(line)
            data = cut.removesuffix(b"\n").removesuffix(b"\r")
            yield Line(number, data.removeprefix(_MARK) if not number else data, start)
            number += 1
