"""Answers one file: reads it, asks the model, writes answers and quarantine. What a worker does."""

import os
import uuid
from collections import Counter
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from maskline.components.ingest.quarantine import EXAMPLES_EACH, CorruptFile, NamedRow
from maskline.components.ingest.shards import CorruptShard
from maskline.pipeline.predict.asking import ask_rows, rows_at_once
from maskline.pipeline.predict.files import FileKind, Source
from maskline.pipeline.predict.rows import Fields, read_input
from maskline.pipeline.predict.served import EXAMPLES, TEXT, Signature
from maskline.pipeline.predict.writers import Format, QuarantineWriter, output_schema, table, writer
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec
from maskline.transform.problems import Reason

PROGRESS = "progress"  # a folder with a file for each part: how many rows it has so far
QUARANTINE = "quarantine"


class Request(BaseModel):
    """What is asked of every file.

    Attributes:
      folder: of the files.
      out: where parts are written.
      parts: how many files there are.
      model: folder of the version that is asked.
      version: its number.
      identity: of its model.
      spec: its language.
      format: of the answers.
      logits: write them, too.
      fields: what is read of a row.
      keep_readable: of a damaged file, answer the rows before the damage.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    out: Path
    parts: int
    model: Path
    version: int
    identity: str
    spec: SequenceSpec
    format: Format = Format.JSON_LINES
    logits: bool = False
    fields: Fields = Fields()
    keep_readable: bool = False

    def answers_of(self, number: int) -> str:
        """Name of the file with the answers to a file, by its number."""
        return f"answers-{number:05d}-of-{self.parts:05d}.{self.format}"

    def bad_of(self, number: int) -> str:
        """Name of the file with its bad rows."""
        return f"{QUARANTINE}/rows-{number:05d}-of-{self.parts:05d}.tfrecord.gz"


class AnsweredPart(BaseModel):
    """What became of one file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Source
    answered: int
    quarantined: dict[Reason, int]
    named: list[NamedRow]
    corrupt: CorruptFile | None


def answer(source: Source, request: Request, signature: Signature) -> AnsweredPart:
    """Answers the rows of one file; what is written appears whole, and twice is as once.

    Args:
      source: the file.
      request: what is asked.
      signature: of the model, the one for this kind of file.

    Raises:
      InputError: the file cannot be read to its end, and that is not allowed.
    """
    name, path = source.shard.name, request.folder / source.shard.name
    columns = output_schema(keyed=bool(request.fields.key), logits=request.logits)
    places = [request.out / named(source.number) for named in (request.answers_of, request.bad_of)]
    answers_file, bad_file = map(_hidden, places)
    good, bad = writer(request.format, answers_file, columns), QuarantineWriter(bad_file)
    answered, counts, named, corrupt = 0, Counter[Reason](), list[NamedRow](), None
    try:
        for read_batch in read_input(
            path, source.kind, request.spec, request.fields, rows_at_once(request.spec)
        ):
            batch, answers = ask_rows(signature, read_batch, str(path))
            if answers is not None:
                rows = table(name, batch.records, batch.keys, answers, request.version, request.identity)
                good.write(rows)
                answered += rows.num_rows
            bad.write(batch.bad)
            for row in batch.bad:
                counts[row.reason] += 1
                if counts[row.reason] <= EXAMPLES_EACH:
                    named.append(NamedRow(kind=row.reason, file=row.file, record=row.record, reason=row.text))
            _tell(request.out / PROGRESS / f"{source.number}", answered + counts.total())
    except InputError as error:
        if not request.keep_readable:
            # Beam makes a copy of what is raised, from its text alone.
            raise InputError(str(error)) from error
        corrupt = _corrupt(path, error)
    finally:
        good.close()
        has_bad = bad.close()
    for hidden, place, there in zip((answers_file, bad_file), places, (True, has_bad), strict=True):
        if there:
            hidden.replace(place)
    return AnsweredPart(
        source=source, answered=answered, quarantined=dict(counts), named=named, corrupt=corrupt
    )


def signature_for(kind: FileKind, request: Request) -> Signature:
    """The model's signature for a kind of file, loaded once in a process."""
    name = EXAMPLES if kind is FileKind.EXAMPLES else TEXT
    return _loaded(request.model, name, request.logits, request.spec.task.abstain_below)


@lru_cache(2)
def _loaded(model: Path, name: str, logits: bool, abstain_below: float) -> Signature:
    return Signature(model, name, logits=logits, abstain_below=abstain_below)


def _hidden(place: Path) -> Path:
    """A name of this attempt's own: an engine may try a file again while the first attempt still writes."""
    return place.with_name(f".{place.name}.{uuid.uuid4().hex}")


def _tell(file: Path, rows: int) -> None:
    """Writes how many rows there are, for who watches."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o666)
    try:
        os.pwrite(descriptor, b"%d" % rows, 0)
    finally:
        os.close(descriptor)


def _corrupt(path: Path, error: InputError) -> CorruptFile:
    reason = str(error).removeprefix(f"{path}: ")
    if isinstance(error, CorruptShard):
        return CorruptFile(
            file=str(path), offset=error.offset, unread_bytes=error.unread_bytes, reason=error.reason
        )
    return CorruptFile(file=str(path), offset=0, unread_bytes=0, reason=reason)
