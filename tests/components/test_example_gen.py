"""Ingest: rows are checked where file and record are known. The real Beam runner."""

import apache_beam as beam
import pytest
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts
from tfx.utils import proto_utils

from components.artifacts import QuarantineArtifact
from components.example_gen import Executor, ShardExampleGen, pack_config, unpack_config
from components.ingest import SPLITS, Ingest, ReadShard, ShardResult, _report, record_problem
from components.quarantine import QuarantinedRow, read_report
from components.shards import read_shard
from tests.support import GOOD, example, tfrecord, write_shard
from transform.errors import InputError
from transform.features import Reason, SequenceSpec

SPEC = SequenceSpec()


def ingest(folder, *, patterns=None, keep_readable=False):
    """Ingests `folder`/data; gives the report, the rows of each split and those set aside."""
    out = folder / "out"
    out.mkdir()
    with beam.Pipeline("FnApiRunner") as pipeline:
        _ = pipeline | Ingest(
            ReadShard(SPEC, keep_readable=keep_readable),
            patterns or {"": f"{folder}/data/*"},
            {split: str(out / split) for split in SPLITS},
            str(out),
            {"span": 3, "version": 1},
        )
    splits = {split: rows(out / split) for split in SPLITS}
    bad = [QuarantinedRow.unpack(row) for file in out.glob("rows-*.tfrecord.gz") for row in data(file)]
    return read_report(out), splits, bad


def rows(folder):
    return [row for file in sorted(folder.iterdir()) for row in data(file)]


def data(file):
    return [record.data for record in read_shard(str(file))]


def numbered(count):
    """Good rows, each its own; the feature that makes them so is none of ours."""
    return [GOOD | {"extra": [n]} for n in range(count)]


def test_every_row_comes_out_once_unchanged(tmp_path):
    write_shard(tmp_path / "data/a", numbered(300)[:120])
    write_shard(tmp_path / "data/b", numbered(300)[120:], compress=True)
    report, splits, bad = ingest(tmp_path)
    assert sorted(splits["train"] + splits["eval"]) == sorted(example(**row) for row in numbered(300))
    assert report.rows_in == 300
    assert report.splits == {split: len(rows) for split, rows in splits.items()}
    assert 30 < len(splits["eval"]) < 90  # a fifth, by hash
    assert bad == []
    assert (report.bad_rows, report.corrupt, report.span, report.version) == (0, (), 3, 1)


def test_bad_rows_are_set_aside_unchanged_with_reason_and_place(tmp_path):
    broken = [GOOD | {"op": [77]}, GOOD | {"res": []}, GOOD | {"defs": [3] * 30}]
    path = write_shard(tmp_path / "data/a", [*numbered(4), *broken])
    garbage = tmp_path / "data/b"
    garbage.write_bytes(tfrecord([b"\xff\xff"]))
    report, splits, bad = ingest(tmp_path)
    text = "feature 'op' holds id 77; allowed are ids 0…19 without the padding id 0"
    offset = len(tfrecord(example(**row) for row in numbered(4)))
    assert sorted(bad, key=lambda row: (row.file, row.record))[0] == QuarantinedRow(
        example(**broken[0]), Reason.OUTSIDE_VOCABULARY, text, str(path), 4, offset
    )
    assert {row.data for row in bad} == {b"\xff\xff", *(example(**row) for row in broken)}
    assert report.quarantined == {
        "missing": 1, "not a tf.Example": 1, "outside vocabulary": 1, "too long": 1,
    }  # fmt: skip
    assert {(row.file, row.record, row.kind) for row in report.examples} == {
        (str(path), 4, "outside vocabulary"),
        (str(path), 5, "missing"),
        (str(path), 6, "too long"),
        (str(garbage), 0, "not a tf.Example"),
    }
    assert report.rows_in == 8
    assert sum(map(len, splits.values())) == 4


def test_report_names_the_first_five_of_a_kind(tmp_path):
    path = write_shard(tmp_path / "data/a", [GOOD | {"op": [20 + n]} for n in range(9)])
    report, _, bad = ingest(tmp_path)
    assert len(bad) == report.quarantined["outside vocabulary"] == 9
    assert [(row.file, row.record) for row in report.examples] == [(str(path), n) for n in range(5)]


# Beam makes a regular expression of the escaped name that Python finds odd; it means what it should.
@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
def test_a_folder_whose_name_looks_like_a_pattern(tmp_path):
    path = write_shard(tmp_path / "a[1]*b" / "x", [GOOD | {"op": []}])
    component = ShardExampleGen(
        str(path.parent), pattern="*", eval_percent=20,
        custom_config={"sequence": SPEC.model_dump(mode="json"), "on_corrupt": "fail"},
    )  # fmt: skip
    properties = {
        key: value if isinstance(value, int | str) else proto_utils.proto_to_json(value)
        for key, value in component.exec_properties.items()
        if value is not None
    }
    outputs = {"examples": [standard_artifacts.Examples()], "quarantine": [QuarantineArtifact()]}
    for key, [artifact] in outputs.items():
        artifact.uri = str(tmp_path / key)
    context = BaseBeamExecutor.Context(["--runner=FnApiRunner"], unique_id="0", tmp_dir=str(tmp_path))
    Executor(context).Do({}, outputs, properties | {"span": 4, "version": 2})
    [examples], [quarantine] = outputs.values()
    report = read_report(tmp_path / "quarantine")
    assert report.quarantined == {"missing": 1}
    assert report.examples[0].file == str(path)
    assert (examples.span, examples.version, quarantine.span, report.version) == (4, 2, 4, 2)


def test_rows_of_given_splits_stay_in_them(tmp_path):
    write_shard(tmp_path / "data/train/a", numbered(9)[:6])
    write_shard(tmp_path / "data/eval/a", numbered(9)[6:])
    patterns = {split: f"{tmp_path}/data/{split}/*" for split in SPLITS}
    report, splits, _ = ingest(tmp_path, patterns=patterns)
    assert sorted(splits["eval"]) == sorted(example(**row) for row in numbered(9)[6:])
    assert report.splits == {"train": 6, "eval": 3}


def test_corrupt_shard_ends_the_ingest_or_gives_what_is_readable(tmp_path):
    whole = tfrecord(example(**row) for row in numbered(10))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a").write_bytes(whole[:-5])
    nine = len(tfrecord(example(**row) for row in numbered(9)))
    reason = f"is truncated; 9 whole records were read, up to byte {nine}"
    with pytest.raises(InputError, match=f"data/a: {reason}"):
        list(ReadShard(SPEC).process((str(tmp_path / "data/a"), "")))
    report, splits, _ = ingest(tmp_path, keep_readable=True)
    [corrupt] = report.corrupt
    assert corrupt.model_dump() == {
        "file": str(tmp_path / "data/a"), "offset": nine, "reason": reason,
        "unread_bytes": len(whole) - 5 - nine,
    }  # fmt: skip
    assert sum(map(len, splits.values())) == report.rows_in == 9


def test_counts_that_do_not_agree_are_an_error():
    with pytest.raises(RuntimeError, match=r"10 rows were read, but 6 train \+ 2 eval \+ 1 quarantined"):
        _report({}, [ShardResult(7, None), ShardResult(3, None)], [(Reason.MISSING, 1)], [], train=6, eval=2)


@pytest.mark.parametrize(
    ("data", "reason", "text"),
    [
        (b"\xff\xff", "not a tf.Example", "is not a tf.Example"),
        (b"", "missing", "feature 'defs' is missing or empty; at least one id is needed"),
        # Feature 'defs' as a list of floats and of bytes: field 2 and field 1 of tf.Feature.
        (
            bytes.fromhex("0a0e0a0c0a04646566731204120 20a00".replace(" ", "")),
            "not int64",
            "feature 'defs' is not a list of int64 ids",
        ),
        (
            bytes.fromhex("0a0e0a0c0a0464656673120 40a020a00".replace(" ", "")),
            "not int64",
            "feature 'defs' is not a list of int64 ids",
        ),
    ],
    ids=["garbage", "empty", "floats", "bytes"],
)
def test_other_types_are_named(data, reason, text):
    assert record_problem(data, SPEC) == (reason, text)


def test_configuration_keeps_whole_numbers():
    config = {"sequence": {"length": 20}, "names": ["a"]}
    assert unpack_config(proto_utils.proto_to_json(pack_config(config))) == config
