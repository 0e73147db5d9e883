"""Rows that were set aside: what is kept of each, and the report that counts them. No TFX.

A quarantine's folder holds shards `rows-*.tfrecord.gz`, whose records are tf.Examples with `row` (the
record's own bytes, unchanged), `reason`, `text`, `file` (bytes each), `record`, `offset` and `format`
(int64 each), and the report, `report.json`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from maskline.transform.names import QUARANTINE_REPORT_FILE
from maskline.transform.problems import Reason
from maskline.transform.versioned import FORMAT, Versioned

EXAMPLES_EACH = 5  # rows of each kind that the report names


class QuarantinedRow(NamedTuple):
    """A bad row: its bytes, what is wrong with it, and where it stood (see `shards.Record`)."""

    data: bytes
    reason: Reason
    text: str
    file: str
    record: int
    offset: int

    def pack(self) -> bytes:
        """The row as one record of a quarantine's shards."""
        import tensorflow as tf  # costs seconds, and who reads reports needs it not

        example = tf.train.Example()
        feature = example.features.feature
        feature[FORMAT].int64_list.value.append(1)
        feature["row"].bytes_list.value.append(self.data)
        feature["reason"].bytes_list.value.append(self.reason.encode())
        feature["text"].bytes_list.value.append(self.text.encode())
        feature["file"].bytes_list.value.append(self.file.encode())
        feature["record"].int64_list.value.append(self.record)
        feature["offset"].int64_list.value.append(self.offset)
        return example.SerializeToString(deterministic=True)

    @classmethod
    def unpack(cls, record: bytes) -> "QuarantinedRow":
        """The row that `pack` packed."""
        import tensorflow as tf

        feature = tf.train.Example.FromString(record).features.feature
        reason, text, file = (
            feature[name].bytes_list.value[0].decode() for name in ("reason", "text", "file")
        )
        record_number, offset = (feature[name].int64_list.value[0] for name in ("record", "offset"))
        return cls(feature["row"].bytes_list.value[0], Reason(reason), text, file, record_number, offset)


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CorruptFile(_Form):
    """A shard that broke off: rows before `offset` of its content were read, `unread_bytes` were not."""

    file: str
    offset: int
    unread_bytes: int
    reason: str


class NamedRow(_Form):
    """One quarantined row: its kind, and the reason in words with the offending value."""

    kind: Reason
    file: str
    record: int
    reason: str


class IngestedShard(_Form):
    """One file of the list that was ingested, as `listing.Shard`, and how many rows it gave, good and bad."""

    name: str
    size: int
    modified: int
    split: str = ""
    rows: int


class IngestReport(Versioned, _Form):
    """What became of the rows of one ingest: `rows_in` = all of `splits` + all of `quarantined`.

    `shards` below `folder` are what was read. `dropped` counts the rows that held a feature which the
    settings do not name, by its name and kind; `unknown` the ids outside the vocabulary that became the
    unknown symbol, by feature, and `cut` the rows that were too long and lost ids, both in the rows of
    `splits`. `groups` counts different keys of rows where `data.split_by` is set, up to some number.
    """

    rows_in: int
    splits: Mapping[str, int]
    folder: str = ""
    shards: tuple[IngestedShard, ...] = ()
    dropped: Mapping[str, Mapping[str, int]] = {}
    unknown: Mapping[str, int] = {}
    cut: int = 0
    quarantined: Mapping[Reason, int] = {}
    corrupt: tuple[CorruptFile, ...] = ()
    examples: tuple[NamedRow, ...] = ()
    span: int = 0
    version: int = 0
    groups: int = 0

    @property
    def bad_rows(self) -> int:
        """How many rows were set aside."""
        return sum(self.quarantined.values())

    def check(self) -> None:
        """Makes sure that no row was lost and none came twice.

        Raises:
          RuntimeError: the counts do not agree.
        """
        if self.rows_in != sum(self.splits.values()) + self.bad_rows:
            counted = " + ".join(f"{count} {name}" for name, count in self.splits.items())
            raise RuntimeError(
                f"{self.rows_in} rows were read, but {counted} + {self.bad_rows} quarantined were written"
            )


def read_report(folder: Path) -> IngestReport:
    """Reads the report in a quarantine's folder."""
    return IngestReport.model_validate_json((folder / QUARANTINE_REPORT_FILE).read_text(encoding="utf-8"))
