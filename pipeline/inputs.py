"""Looks at what a run is given, shards and schema, before anything heavy is loaded."""

import hashlib
from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.config import DataConfig
from transform.errors import InputError
from transform.features import SequenceSpec, make_schema, schema_problem


def find_shards(data: DataConfig) -> list[Path]:
    """The shards that a run reads.

    Raises:
      InputError: no such directory, or no shard in it.
    """
    folder = data.path
    if not folder.exists():
        raise InputError(f"{folder}: no such data directory; `maskline data --out DIR` makes samples")
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a directory; give the directory that holds the shards")
    shards = sorted(path for path in folder.glob(data.pattern) if path.is_file())
    if not shards:
        others = sorted(path.name for path in folder.iterdir())
        holds = f"it holds {len(others)} others, such as {others[0]}" if others else "it is empty"
        raise InputError(f"{folder}: no shard matches '{data.pattern}' (data.pattern); {holds}")
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
            "mend it, or leave data.schema out and it follows from sequence"
        )
    return text
