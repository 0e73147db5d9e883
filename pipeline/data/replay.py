"""Writes quarantined rows that are good by today's settings as a shard, so that they can be ingested."""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from maskline.components.ingest.quarantine import QuarantinedRow, read_report
from maskline.components.ingest.rows import read_row
from maskline.components.ingest.shards import read_shard
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec
from maskline.transform.names import QUARANTINE_REPORT_FILE
from maskline.transform.problems import Reason


class Replayed(NamedTuple):
    """The shard, how many rows it holds, and how many are bad still, by reason."""

    shard: Path
    rows: int
    bad: Counter[Reason]


def replay_rows(quarantine: Path, out: Path, spec: SequenceSpec) -> Replayed:
    """Writes the good rows of a quarantine, each as it was delivered; the quarantine stays as it is.

    Args:
      quarantine: the folder of a quarantine.
      out: a folder for the shard, such as that of a new span. The same quarantine gives the same file.
      spec: what a row may hold.

    Raises:
      InputError: the folder holds no quarantine, no row in it is good, or `out` is where the rows came
        from: what the settings let pass is ingested there with the rest.
    """
    if not (quarantine / QUARANTINE_REPORT_FILE).is_file():
        raise InputError(
            f"{quarantine}: this is not a quarantine folder, because it holds no {QUARANTINE_REPORT_FILE}; "
            "`maskline show` names the folder"
        )
    source = read_report(quarantine).folder
    if source and out.resolve().is_relative_to(Path(source).resolve()):
        raise _same_place(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".replay-", dir=out.parent) as beside:
        unfinished = Path(beside, "shard")  # a span's folder never holds half a shard
        rows, bad = _write(unfinished, quarantine, out, spec)
        if not rows:
            kinds = ", ".join(f"{count:,} {reason}" for reason, count in sorted(bad.items())) or "it is empty"
            raise InputError(f"{quarantine}: no row can be ingested by today's settings: {kinds}")
        out.mkdir(exist_ok=True)
        name = hashlib.sha256(str(quarantine.resolve()).encode()).hexdigest()[:8]
        shard = unfinished.rename(out / f"replayed-{name}.tfrecord")
    return Replayed(shard, rows, bad)


def _same_place(out: Path) -> InputError:
    return InputError(
        f"{out}: the rows come from there, and a run reads them there again; give another folder"
    )


def _write(shard: Path, quarantine: Path, out: Path, spec: SequenceSpec) -> tuple[int, Counter[Reason]]:
    rows, bad = 0, Counter[Reason]()
    with tf.io.TFRecordWriter(str(shard)) as writer:
        for row in quarantined_rows(quarantine):
            if out.resolve() == Path(row.file).parent.resolve():
                raise _same_place(out)
            if problem := read_row(row.data, spec).problem:
                bad[problem.reason] += 1
            else:
                writer.write(row.data)
                rows += 1
    return rows, bad


def quarantined_rows(quarantine: Path) -> Iterator[QuarantinedRow]:
    """All rows that were set aside there, in the order of its shards."""
    for file in sorted(quarantine.glob("rows-*.tfrecord.gz")):
        for record in read_shard(str(file)):
            yield QuarantinedRow.unpack(record.data)
