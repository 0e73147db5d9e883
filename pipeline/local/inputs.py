"""Looks at what a run is given, shards and schema, before anything heavy is loaded."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from maskline.components.ingest import spans
from maskline.pipeline.config import DataConfig
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec, make_schema, schema_problem
from maskline.transform.names import SPLITS


class Delivery(NamedTuple):
    """One span of data, or all of a plain directory.

    Attributes:
      name: what a person calls it; empty for a plain directory.
      data: the settings, with `span` set to just this one.
      version: changes where the shards do.
      shards: the files that are read.
    """

    name: str
    data: DataConfig
    version: str
    shards: tuple[Path, ...]


def find_data(data: DataConfig) -> tuple[list[Delivery], list[str]]:
    """Finds what a run reads.

    Returns:
      the window of spans, the newest last, and notes on what was left out. A plain directory is a
      window of one.

    Raises:
      InputError: nothing is there, the span that was asked for is not there or not complete, or the
        window is not full and that is not allowed.
    """
    if not spans.is_pattern(data.path):
        return [_delivery("", data.path, data)], []
    found = spans.find(data.path, **data.complete)
    newest = spans.select(data.path, found, data.span)
    chosen = spans.window(found, newest, size=data.window)
    if len(chosen) < data.window and not data.allow_fewer:
        there = ", ".join(spans.name(data.path, span.number) for span in chosen)
        raise InputError(
            f"{data.path}: data.window asks for {data.window} spans, complete are {len(chosen)} ({there}); "
            "wait for more, or set data.allow_fewer=true"
        )
    notes = [f"{stray}: is beside the spans but is not a span; ignored" for stray in found.strays]
    notes += [f"{span.folder}: is not complete and left out: {why}" for span, why in found.waiting.items()]
    return [_delivery_of(span, data) for span in chosen], notes


def _delivery_of(span: spans.Span, data: DataConfig) -> Delivery:
    name = spans.name(data.path, span.number) + (f" version {span.version}" if span.version else "")
    return _delivery(name, span.folder, data.model_copy(update={"span": span.number}))


def _delivery(name: str, folder: Path, data: DataConfig) -> Delivery:
    shards = find_shards(folder, data)
    return Delivery(name, data, shards_version(shards), tuple(shards))


def find_shards(folder: Path, data: DataConfig) -> list[Path]:
    """The shards in a folder; in its `train/` and `eval/` where the data are split already.

    Raises:
      InputError: no such directory, or no shard in it.
    """
    if data.presplit:
        halves = data.model_copy(update={"presplit": False})
        return [shard for split in SPLITS for shard in find_shards(folder / split, halves)]
    if not folder.exists():
        raise InputError(f"{folder}: no such data directory; `maskline data --out DIR` makes samples")
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a directory; give the directory that holds the shards")
    shards = sorted(path for path in folder.glob(data.pattern) if path.is_file())
    if not shards:
        others = sorted(path.name for path in folder.iterdir())
        holds = f"it holds {len(others)} others, such as {others[0]}" if others else "it is empty"
        if set(SPLITS).issubset(others):
            holds = "it holds train and eval; data.presplit=true takes them"
        raise InputError(f"{folder}: no shard matches '{data.pattern}' (data.pattern); {holds}")
    for shard in shards:
        if not shard.name.isprintable():  # Beam takes no other names than UTF-8
            raise InputError(f"{folder}: {shard.name!a} is not a printable name; rename the file")
    return shards


def shards_version(shards: list[Path]) -> str:
    """Changes when a shard is added, removed or written: a digest of names, sizes and times."""
    digest = hashlib.sha256()
    for path in shards:
        stat = path.stat()
        digest.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def read_schema(file: Path | None, spec: SequenceSpec) -> str:
    """The curated schema as text, or without a file the one that `spec` implies.

    Raises:
      InputError: the file cannot be read, is not a schema, or disagrees with the spec.
    """
    if file is None:
        return text_format.MessageToString(make_schema(spec))
    try:
        text = file.read_text(encoding="utf-8")
        schema = text_format.Parse(text, schema_pb2.Schema())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"data.schema: {file} cannot be read ({error})") from None
    except text_format.ParseError as error:
        raise InputError(f"data.schema: {file} is not a schema ({error})") from None
    if problem := schema_problem(schema, spec):
        raise InputError(
            f"data.schema: {file} and sequence disagree: {problem}; "
            "fix it, or leave out data.schema, and it follows from sequence"
        )
    return text
