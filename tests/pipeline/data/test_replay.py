"""Rows go from quarantine back to a shard, unchanged, once they are good."""

import pytest

from maskline.components.ingest.quarantine import IngestReport, QuarantinedRow
from maskline.components.ingest.shards import read_shard
from maskline.pipeline.data.replay import replay_rows
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec
from maskline.transform.problems import Reason
from tests.support import GOOD, example, tfrecord

SPEC = SequenceSpec()
LARGER = SequenceSpec(vocabulary=(*SPEC.vocabulary, "/"))
MENDED, STILL_BAD = example(**(GOOD | {"op": [3, 20, 4]})), example(**(GOOD | {"res": []}))


@pytest.fixture
def quarantine(tmp_path):
    folder = tmp_path / "root/artifacts/ExampleGen/quarantine/1"
    folder.mkdir(parents=True)
    report = IngestReport(rows_in=2, splits={"train": 0, "eval": 0}, folder=str(tmp_path / "span-1"))
    (folder / "report.json").write_text(report.model_dump_json())
    source = str(tmp_path / "span-1/a.tfrecord")
    rows = [
        QuarantinedRow(MENDED, Reason.OUTSIDE_VOCABULARY, "", source, 3, 300),
        QuarantinedRow(STILL_BAD, Reason.MISSING, "", source, 7, 700),
    ]
    (folder / "rows-0.tfrecord.gz").write_bytes(tfrecord(row.pack() for row in rows))
    return folder


def test_good_rows_come_back_unchanged_and_the_others_are_counted(tmp_path, quarantine):
    out = tmp_path / "span-2"
    done = replay_rows(quarantine, out, LARGER)
    assert (done.rows, done.bad) == (1, {Reason.MISSING: 1})
    assert [record.data for record in read_shard(str(done.shard))] == [MENDED]
    assert replay_rows(quarantine, out, LARGER).shard == done.shard
    assert list(out.iterdir()) == [done.shard]


@pytest.mark.parametrize(
    ("folder", "out", "problem"),
    [
        (
            "root/artifacts/ExampleGen/quarantine/1",
            "span-2",
            "no row can be ingested by today's settings: 1 ",
        ),
        ("root", "span-2", "root: this is not a quarantine folder, because it holds no report.json"),
        ("root/artifacts/ExampleGen/quarantine/1", "span-1", "span-1: the rows come from there"),
        ("root/artifacts/ExampleGen/quarantine/1", "span-1/replayed", "replayed: the rows come from there"),
    ],
)
def test_what_gives_no_shard_is_refused_and_leaves_nothing(tmp_path, quarantine, folder, out, problem):
    with pytest.raises(InputError, match=problem):
        replay_rows(tmp_path / folder, tmp_path / out, SPEC)
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
