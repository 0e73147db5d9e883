"""What tests share: another program's shard writer, and the command line as a user calls it."""

import gzip
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from maskline.components.pusher.serving import LOCK_FILE
from maskline.transform import stored
from maskline.transform.names import AUDIT_FILE
from tests.warm import Warm

REPOSITORY = Path(__file__).parent.parent
# Small and quick, where a test asks whether the pipeline works and not how well the model does.
ANY_MODEL = (
    "release_gate.min_accuracy=0.05", "release_gate.min_gain=-1",
    "release_gate.loss_margin=1000", "release_gate.answer_margin=1",
)  # fmt: skip
QUICK = ("--set", "training.epochs=1", *(part for bar in ANY_MODEL for part in ("--set", bar)))

# They look at the metadata store anew in every run; all other nodes can come from the cache.
RESOLVERS = {"PreviousSpan", "Accepted", "LiveModel"}


def example(**features: Sequence[int] | Sequence[float] | Sequence[str]) -> bytes:
    """A tf.Example of lists of int64, floats or texts, encoded by hand from protobuf's wire format."""
    entries = b""
    for name, values in features.items():
        texts = [value.encode() for value in values if isinstance(value, str)]
        packed = b"".join(_varint(value % 2**64) for value in values if isinstance(value, int))
        feature = _field(3, _field(1, packed))
        if floats := [value for value in values if isinstance(value, float)]:
            feature = _field(2, _field(1, struct.pack(f"<{len(floats)}f", *floats)))
        if texts:
            feature = _field(1, b"".join(_field(1, text) for text in texts))
        entries += _field(1, _field(1, name.encode()) + _field(2, feature))
    return _field(1, entries)


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def tfrecord(records: Iterable[bytes]) -> bytes:
    """Records framed as TFRecord, written from the format's description and not with TensorFlow."""
    out = b""
    for record in records:
        out += record_header(len(record)) + record + _masked_crc(record)
    return out


def record_header(size: int) -> bytes:
    """What stands before a record of `size` bytes."""
    length = struct.pack("<Q", size)
    return length + _masked_crc(length)


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def write_shard(
    path: Path,
    records: Iterable[Mapping[str, Sequence[int] | Sequence[float] | Sequence[str]]],
    *,
    compress: bool = False,
) -> Path:
    """Writes tf.Examples as one shard."""
    data = tfrecord(example(**record) for record in records)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if compress else data)
    return path


# Seconds that a process may take. Only a hang takes so long; a busy machine is ten times slower.
PATIENCE = 1800

GOOD = {"defs": [3, 5, 11], "op": [3, 7, 4], "res": [12, 13]}


_warm = Warm()


def maskline(
    *arguments: Any, cwd: Path = REPOSITORY, timeout: int = PATIENCE, fresh: bool = False
) -> subprocess.CompletedProcess[str]:
    """Runs the command line to its end, on the code that lies in `cwd`.

    In a fork of a process that has loaded TFX; or, `fresh`, in one that begins with nothing, as a user's.
    """
    another_checkout = cwd != REPOSITORY and Path(cwd, "pipeline").exists()
    if arguments[0] in ("run", "show", "data") and not fresh and not another_checkout:
        return _warm.run(list(map(str, arguments)), cwd=Path(cwd), env=environment(), timeout=timeout)
    return subprocess.run(
        command(*arguments), cwd=cwd, capture_output=True, text=True, timeout=timeout, env=environment()
    )


def command(*arguments: Any) -> list[str]:
    return [sys.executable, "-m", "maskline.pipeline.cli", *map(str, arguments)]


def environment() -> dict[str, str]:
    # A user has no pytest around, and its variables change what a command sees. Settings that name code of a
    # user's add its folder to PYTHONPATH; another test that loaded some in this process must not be heard of.
    return {k: v for k, v in os.environ.items() if not k.startswith("PYTEST") and k != "PYTHONPATH"}


def show(root: Path, cwd: Path = REPOSITORY) -> dict[str, Any]:
    """What `maskline show --json` says of the last run."""
    return json.loads(maskline("show", "--root", root, "--json", cwd=cwd).stdout)


def states(run: Mapping[str, Any]) -> dict[str, str]:
    return {component["name"]: component["state"] for component in run["components"]}


def versions(root: Path) -> list[str]:
    """All that lies in the serving directory but its log and lock: half a version would show too."""
    folder = root / "serving" / "maskline"
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    return sorted(names - {AUDIT_FILE, LOCK_FILE})


def transformed(files: Iterable[Path]) -> list[tuple[float, ...]]:
    """The rows that Transform wrote, sorted: Beam writes them in any order. Columns are by name."""
    blocks = [block for file in files for block in stored.blocks(str(file))]
    assert blocks
    tables = [np.hstack([block[name] for name in sorted(block)]) for block in blocks]
    return sorted(tuple(row) for row in np.concatenate(tables).tolist())
