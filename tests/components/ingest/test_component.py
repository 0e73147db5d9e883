"""Ingest: rows are checked where file and record are known. The real Beam runner."""

import apache_beam as beam
import pytest
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts
from tfx.utils import proto_utils

from maskline.components.artifacts import QuarantineArtifact
from maskline.components.ingest.beam import Ingest, ReadShard, ShardResult, _report, record_problem
from maskline.components.ingest.component import (
    WANTED_SPAN,
    Driver,
    Executor,
    ShardExampleGen,
    pack_config,
    unpack_config,
)
from maskline.components.ingest.quarantine import QuarantinedRow, read_report
from maskline.components.ingest.shards import read_shard
from maskline.transform.errors import InputError
from maskline.transform.features import Reason, SequenceSpec
from maskline.transform.names import SPLITS
from tests.support import GOOD, example, tfrecord, write_shard

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


def found(path, *, wanted="latest", presplit=False):
    """What the driver makes of the place and the span that a run is given."""
    component = ShardExampleGen(
        str(path), pattern="*.tfrecords", eval_percent=None if presplit else 20, span=wanted,
        complete={"success_marker": "", "unchanged_for": 0}, custom_config={},
    )  # fmt: skip
    properties = {
        key: value if isinstance(value, int | str) else proto_utils.proto_to_json(value)
        for key, value in component.exec_properties.items()
        if value is not None
    }
    return Driver(None).resolve_exec_properties(properties, None, None)


@pytest.fixture
def spans(tmp_path):
    """Spans 1 to 3, of the second two versions; gives their pattern."""
    for folder in ("1/v1", "2/v1", "2/v2", "3/v1"):
        write_shard(tmp_path / f"span-{folder}/a.tfrecords", [GOOD])
    return tmp_path / "span-{SPAN}/v{VERSION}"


@pytest.mark.parametrize(("wanted", "span", "version"), [("latest", 3, 1), ("2", 2, 2), (1, 1, 1)])
def test_span_is_looked_for_when_the_node_runs(spans, wanted, span, version):
    properties = found(spans, wanted=wanted)
    assert (properties["span"], properties["version"]) == (span, version)
    assert properties["input_base"] == str(spans.parent.parent / f"span-{span}/v{version}")


def test_span_by_number_is_the_same_to_the_cache_as_the_latest(spans):
    assert found(spans, wanted="3") == found(spans)
    assert found(spans, wanted="2") != found(spans)


def test_plain_directory_is_its_own_only_span(spans):
    properties = found(spans.parent.parent / "span-1/v1")
    assert (properties["span"], properties["version"]) == (0, None)
    assert properties["input_fingerprint"].startswith("split:all,num_files:1,")


@pytest.mark.parametrize(
    ("place", "wanted", "problem"),
    [
        ("span-{SPAN}/v{VERSION}", "4", "v{VERSION}: span 4 is not there; complete are 1, 2, 3"),
        ("span-{SPAN}/v{VERSION}", "last", "data.span: 'last' is not a span; give a number, or latest"),
        ("span-{SPAN}/{SPAN}", "latest", "span-{SPAN}/{SPAN}: a placeholder stands twice"),
        ("span-1/v1", "4", "span 4 was asked for; that needs a path with {SPAN} or {YYYY}-{MM}-{DD}"),
        ("nowhere", "latest", "nowhere: no such data directory"),
        ("span-1", "latest", "span-1: no shard matches '*.tfrecords' (data.pattern)"),
    ],
)
def test_what_is_not_there_is_named(spans, place, wanted, problem):
    with pytest.raises(InputError) as refused:
        found(f"{spans.parent.parent}/{place}", wanted=wanted)
    assert problem in str(refused.value)


def test_each_half_of_given_splits_must_hold_shards(tmp_path):
    write_shard(tmp_path / "train/a.tfrecords", [GOOD])
    (tmp_path / "eval").mkdir()
    with pytest.raises(InputError, match=r"no shard matches 'eval/\*.tfrecords' \(data.pattern\)"):
        found(tmp_path, presplit=True)


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


def test_data_in_a_bucket_are_refused_before_anything_is_looked_for():
    with pytest.raises(InputError, match=r"^gs://b/x: shards are read from a volume; mount the bucket as"):
        Driver(None).resolve_exec_properties({"input_base": "gs://b/x", WANTED_SPAN: "latest"}, None, None)
