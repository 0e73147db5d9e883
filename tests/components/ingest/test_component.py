"""Ingest: rows are checked where file and record are known. The real Beam runner."""

import os
import re
from functools import partial
from itertools import chain
from typing import Any

import apache_beam as beam
import pytest
import tensorflow as tf
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts

from maskline.components.artifacts import QuarantineArtifact
from maskline.components.ingest import beam as beam_module
from maskline.components.ingest.beam import Ingest, PartResult, ReadShard, ShardPart, _report
from maskline.components.ingest.component import (
    Driver,
    Executor,
    IngestSettings,
    ShardExampleGen,
)
from maskline.components.ingest.listing import Listing, Shard, list_shards
from maskline.components.ingest.quarantine import QuarantinedRow, read_report
from maskline.components.ingest.rows import read_row
from maskline.components.ingest.shards import CorruptShard, Part, parts, read_blocks, read_shard
from maskline.pipeline.dag import create_pipeline
from maskline.pipeline.local.inputs import find_data
from maskline.pipeline.settings.load import load
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec
from maskline.transform.names import SPLITS
from maskline.transform.problems import Reason
from maskline.transform.task import TaskSpec
from tests.components.ingest.by_row import read_by_row
from tests.support import GOOD, _field, example, tfrecord, write_shard

SPEC = SequenceSpec()


def ingest(folder, *, pattern="*", presplit=False, keep_readable=False, spec=SPEC):
    """Ingests `folder`/data; gives the report, the rows of each split and those set aside."""
    out = folder / "out"
    out.mkdir()
    listing = list_shards(folder / "data", pattern, presplit=presplit, span=3, version=1)
    with beam.Pipeline("FnApiRunner") as pipeline:
        _ = pipeline | Ingest(
            ReadShard(listing.folder, spec, keep_readable=keep_readable),
            listing,
            {split: str(out / split) for split in SPLITS},
            str(out),
        )
    splits = {split: rows(out / split) for split in SPLITS}
    bad = [QuarantinedRow.unpack(row) for file in out.glob("rows-*.tfrecord.gz") for row in data(file)]
    return read_report(out), splits, bad


def rows(folder):
    return [row for file in sorted(folder.iterdir()) for row in data(file)]


def data(file):
    return [record.data for record in read_shard(str(file))]


def numbered(count):
    """Good rows, each its own."""
    return [GOOD | {"res": [1 + n % 19, 1 + n // 19]} for n in range(count)]


def test_every_row_comes_out_once_unchanged(tmp_path):
    write_shard(tmp_path / "data/a", numbered(300)[:120])
    write_shard(tmp_path / "data/b", numbered(300)[120:], compress=True)
    report, splits, bad = ingest(tmp_path)
    assert sorted(splits["train"] + splits["eval"]) == sorted(example(**row) for row in numbered(300))
    assert report.rows_in == 300
    assert report.splits == {split: len(rows) for split, rows in splits.items() if rows}
    assert 30 < len(splits["eval"]) < 90  # a fifth, by hash
    assert bad == []
    assert (report.bad_rows, report.corrupt, report.span, report.version) == (0, (), 3, 1)
    assert report.folder == str(tmp_path / "data")
    assert [(shard.name, shard.size, shard.rows) for shard in report.shards] == [
        (name, (tmp_path / "data" / name).stat().st_size, rows) for name, rows in (("a", 120), ("b", 180))
    ]


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


def test_rows_are_made_to_fit_and_counted(tmp_path):
    spec = SequenceSpec(unknown="|", too_long="keep_start")
    strange = [GOOD | {"op": [77, 3]}, GOOD | {"defs": [-4, 3, 99] * 7}, GOOD | {"op": [77, 1]}]
    label = GOOD | {"res": [77]}
    write_shard(tmp_path / "data/a", [*numbered(40), *strange, label])
    report, splits, bad = ingest(tmp_path, spec=spec)
    unknown = spec.ids["|"]
    fitted = [*numbered(40), GOOD | {"op": [unknown, 3]}]
    fitted.append(GOOD | {"defs": ([unknown, 3, unknown] * 7)[:16]})  # beside three others and a separator
    written = [tf.train.Example.FromString(row) for row in splits["train"] + splits["eval"]]
    assert sorted(map(str, written)) == sorted(str(tf.train.Example.FromString(example(**r))) for r in fitted)
    assert (report.unknown, report.cut) == ({"defs": 14, "op": 1}, 1)
    assert report.quarantined == {"holds the separator": 1, "outside vocabulary": 1}
    assert {row.data for row in bad} == {example(**strange[2]), example(**label)}


WORDS = {
    "features": ("a", "b"),
    "label": "c",
    "length": 6,
    "task": TaskSpec(kind="class", classes=("n", "y")),
}
TEXTS: dict[str, dict[str, Any]] = {
    "computed": {"text": {"split": "words", "size": 9, "case": "fold"}, "too_long": "keep_start"},
    "given": {
        "text": {"split": "words", "case": "fold"},
        "vocabulary": (" ", ":", "red", "?"),
        "unknown": "?",
    },
    "refused": {"text": {"split": "characters"}, "vocabulary": (" ", ":", "r", "␣")},
}


@pytest.mark.parametrize(
    ("kind", "row", "expected"),
    [
        ("computed", {"a": ["Red  GREEN"], "b": ["x"]}, {"a": ["red", "green"], "b": ["x"]}),
        ("computed", {"a": ["Red", "GREEN"], "b": ["x"]}, {"a": ["red", "green"], "b": ["x"]}),
        ("computed", {"a": ["b a b a b"], "b": ["C"]}, {"a": ["b", "a", "b", "a"], "b": ["c"]}),
        ("computed", {"a": ["a <SEP> b"], "b": ["x"]}, "holds the separator"),
        ("computed", {"a": ["<pad>"], "b": ["x"]}, "outside vocabulary"),
        ("computed", {"a": [" \n"], "b": ["x"]}, "missing"),
        ("computed", {"b": ["x"]}, "missing"),
        ("computed", {"a": [3], "b": ["x"]}, "not UTF-8 text"),
        ("given", {"a": ["RED blue"], "b": ["red"]}, {"a": ["red", "?"], "b": ["red"]}),
        ("given", {"a": ["red red red red red"], "b": ["red"]}, "too long"),
        ("refused", {"a": [" r r "], "b": ["r"]}, {"a": ["r", "␣", "r"], "b": ["r"]}),
        ("refused", {"a": ["R"], "b": ["r"]}, "outside vocabulary"),
    ],
)
def test_texts_become_symbols(kind, row, expected):
    spec = SequenceSpec(**WORDS, **TEXTS[kind])
    read = read_row(example(**row, c=["y"]), spec)
    if isinstance(expected, str):
        assert read.problem
        assert read.problem.reason == expected
        assert read.data == example(**row, c=["y"])
        return
    assert read.problem is None
    assert tf.train.Example.FromString(read.data) == tf.train.Example.FromString(example(**expected, c=[1]))
    assert read.unknown == ((("a", 1),) if kind == "given" else ())
    assert read.cut == (len(row["a"][0]) > 10 or " a b" in row["a"][0])
    assert read_row(read.data, spec).data == read.data  # what is read alike may be read again


ANSWERS: dict[str, Any] = {
    "text": {"split": "words", "case": "fold"},
    "vocabulary": ("<pad>", ":", "red", "fish", "?"),
    "padding": "<pad>",
    "unknown": "?",
}


@pytest.mark.parametrize(
    ("kind", "label", "expected"),
    [
        ("whole", ["Red  FISH"], [2, 3]),
        ("whole", ["Red", "fish"], [2, 3]),
        ("whole", [3, 2], [3, 2]),
        ("first", ["fish red red red"], [3, 2, 2, 2]),
        ("whole", ["fish red red red"], "wrong number of labels"),
        ("whole", ["blue"], "outside vocabulary"),
        ("whole", ["<pad>"], "outside vocabulary"),
        ("whole", [" "], "missing"),
        ("whole", [2.5], "not int64"),
    ],
)
def test_texts_of_labels_become_ids(kind, label, expected):
    task = TaskSpec(kind=kind, length=3) if kind == "whole" else TaskSpec()
    spec = SequenceSpec(**WORDS | {"task": task}, **ANSWERS)
    row = {"a": ["Red"], "b": ["sea"]}
    read = read_row(example(**row, c=label), spec)
    if isinstance(expected, str):
        assert read.problem
        assert read.problem.reason == expected
        return
    assert read.problem is None
    written = example(a=["red"], b=["?"], c=expected)
    assert tf.train.Example.FromString(read.data) == tf.train.Example.FromString(written)


def test_text_that_is_no_utf8_is_set_aside():
    spec = SequenceSpec(**WORDS, **TEXTS["computed"])
    data = example(a=["red"], b=["x"], c=["y"]).replace(b"red", b"r\xff\xff")
    assert read_row(data, spec).problem == ("not UTF-8 text", "feature 'a' is not UTF-8 text (byte 1)")


def test_report_names_the_first_five_of_a_kind(tmp_path):
    path = write_shard(tmp_path / "data/a", [GOOD | {"op": [20 + n]} for n in range(9)])
    report, _, bad = ingest(tmp_path)
    assert len(bad) == report.quarantined["outside vocabulary"] == 9
    assert [(row.file, row.record) for row in report.examples] == [(str(path), n) for n in range(5)]


def test_features_that_the_settings_do_not_name_are_dropped_and_counted(tmp_path):
    """Their kinds differ from shard to shard, which StatisticsGen could not read."""
    ids = [(4 + n % 16, 4 + n // 16) for n in range(60)]
    write_shard(tmp_path / "data/a", [GOOD | {"res": [*row], "id": [9], "examples": [1]} for row in ids[:30]])
    as_bytes = _field(1, _field(1, b"id") + _field(2, _field(1, _field(1, b"abc"))))
    second = [_field(1, example(**GOOD | {"res": [*row]})[2:] + as_bytes) for row in ids[30:]]
    (tmp_path / "data/b").write_bytes(tfrecord(second))
    report, splits, bad = ingest(tmp_path)
    assert report.dropped == {"examples": {"int64": 30}, "id": {"int64": 30, "bytes": 30}}
    assert bad == []
    written = [tf.train.Example.FromString(row) for row in splits["train"] + splits["eval"]]
    expected = [tf.train.Example.FromString(example(**GOOD | {"res": [*row]})) for row in ids]
    assert sorted(map(str, written)) == sorted(map(str, expected))


def test_a_whole_tree_with_odd_names_is_read_once(tmp_path):
    names = ("a.tfrecord", "x/b\\c.tfrecord", "x/y/[1].tfrecord", "x/y/*.tfrecord", "x y/{c}.tfrecord")
    for number, name in enumerate(names):
        write_shard(tmp_path / "data" / name, numbered(60)[number * 10 :][:10])
    (tmp_path / "data/day").symlink_to(write_shard(tmp_path / "far/d.tfrecord", numbered(60)[50:]).parent)
    write_shard(tmp_path / "data/x/.a.tfrecord", numbered(5))
    report, splits, _ = ingest(tmp_path, pattern="**/*.tfrecord")
    assert sorted(splits["train"] + splits["eval"]) == sorted(example(**row) for row in numbered(60))
    assert {shard.name: shard.rows for shard in report.shards} == dict.fromkeys(
        [*names, "day/d.tfrecord"], 10
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda path: path.write_bytes(path.read_bytes() * 2), "was written to after it was listed ("),
        (lambda path: os.utime(path, ns=(1, 1)), "was written to after it was listed ("),
        (
            lambda path: path.unlink(),
            "was listed and cannot be read now (No such file or directory)",
        ),
    ],
    ids=["longer", "written", "gone"],
)
def test_a_shard_that_changes_after_it_was_listed_ends_the_ingest(tmp_path, change, problem):
    path = write_shard(tmp_path / "a", numbered(3))
    [shard] = list_shards(tmp_path, "*").shards
    change(path)
    with pytest.raises(InputError, match=re.escape(f"{path}: {problem}")):
        list(ReadShard(str(tmp_path), SPEC).process(ShardPart(shard)))


def test_a_shard_that_changes_while_it_is_read_ends_the_ingest(tmp_path):
    path = write_shard(tmp_path / "a", numbered(3))
    [shard] = list_shards(tmp_path, "*").shards
    reading = ReadShard(str(tmp_path), SPEC).process(ShardPart(shard))
    next(reading)
    os.utime(path, ns=(1, 1))
    with pytest.raises(InputError, match="was written to after it was listed"):
        list(reading)


def execute(folder, data, settings, **update):
    """Runs driver and executor; gives the artifacts `examples` and `quarantine`."""
    component = ShardExampleGen(str(data), settings)
    properties = Driver(None).resolve_exec_properties(component.exec_properties, None, None)
    outputs = {"examples": [standard_artifacts.Examples()], "quarantine": [QuarantineArtifact()]}
    for key, [artifact] in outputs.items():
        artifact.uri = str(folder / key)
    listing = Listing.model_validate_json(properties["listing"]).model_copy(update=update)
    context = BaseBeamExecutor.Context(["--runner=FnApiRunner"], unique_id="0", tmp_dir=str(folder))
    Executor(context).Do({}, outputs, properties | {"listing": listing.model_dump_json()})
    return (artifact for [artifact] in outputs.values())


def test_a_folder_whose_name_looks_like_a_pattern(tmp_path):
    path = write_shard(tmp_path / "a[1]*b" / "x", [GOOD | {"op": []}])
    settings = IngestSettings(sequence=SPEC, pattern="*")
    examples, quarantine = execute(tmp_path, path.parent, settings, span=4, version=2)
    report = read_report(tmp_path / "quarantine")
    assert report.quarantined == {"missing": 1}
    assert report.examples[0].file == str(path)
    assert (examples.span, examples.version, quarantine.span, report.version) == (4, 2, 4, 2)
    assert examples.get_string_custom_property("sequence_digest") == SPEC.digest


def found(path, *, wanted="latest", presplit=False, listing=None):
    """What the driver makes of the place and the span that a run is given."""
    settings = IngestSettings(
        sequence=SPEC, pattern="*.tfrecords", eval_percent=None if presplit else 20, unchanged_for=0
    )
    component = ShardExampleGen(str(path), settings, span=wanted, listing=listing)
    return Driver(None).resolve_exec_properties(component.exec_properties, None, None)


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
    assert (properties["span"], properties["version"]) == (0, 0)
    assert [shard.name for shard in Listing.model_validate_json(properties["listing"]).shards] == [
        "a.tfrecords"
    ]


def test_a_file_that_is_no_shard_changes_nothing_to_the_cache(spans):
    before = found(spans)
    (spans.parent.parent / "span-3/v1/.b.tfrecords.part").touch()
    assert found(spans) == before


def test_a_version_that_comes_between_the_run_and_its_driver_is_not_ingested(spans):
    """The run resolves the span; what the driver then finds on the disk is not looked at."""
    config = load(
        data=spans, overrides=["data.unchanged_for=0", "data.pattern='*.tfrecords'"], root=spans.parent.parent
    )
    [delivery], _ = find_data(config.data)
    write_shard(spans.parent.parent / "span-3/v2/a.tfrecords", [GOOD])
    write_shard(spans.parent.parent / "span-3/v1/late.tfrecords", [GOOD])
    pipeline = create_pipeline(
        config.model_copy(update={"data": delivery.data}), schema_file="s.pbtxt", listing=delivery.listing
    )
    [component] = [node for node in pipeline.components if node.id == "ExampleGen"]
    properties = Driver(None).resolve_exec_properties(component.exec_properties, None, None)
    assert (properties["span"], properties["version"]) == (3, 1)
    assert properties["input_base"] == str(spans.parent.parent / "span-3/v1")
    assert Listing.model_validate_json(properties["listing"]) == delivery.listing
    assert found(spans)["version"] == 2


@pytest.mark.parametrize(
    ("place", "wanted", "problem"),
    [
        ("span-{SPAN}/v{VERSION}", "4", "v{VERSION}: span 4 is not there; complete spans: 1, 2, 3"),
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
    with pytest.raises(InputError, match=r"eval: no shard matches '\*.tfrecords' \(data.pattern\)"):
        found(tmp_path, presplit=True)


def test_rows_of_given_splits_stay_in_them(tmp_path):
    write_shard(tmp_path / "data/train/a", numbered(9)[:6])
    write_shard(tmp_path / "data/eval/a", numbered(9)[6:])
    report, splits, _ = ingest(tmp_path, presplit=True)
    assert sorted(splits["eval"]) == sorted(example(**row) for row in numbered(9)[6:])
    assert report.splits == {"train": 6, "eval": 3}


def test_a_given_test_split_is_taken_where_there_is_one(tmp_path):
    for split, part in (("train", numbered(9)[:4]), ("eval", numbered(9)[4:6]), ("test", numbered(9)[6:])):
        write_shard(tmp_path / "data" / split / "a", part)
    report, splits, _ = ingest(tmp_path, presplit=True)
    assert sorted(splits["test"]) == sorted(example(**row) for row in numbered(9)[6:])
    assert report.splits == {"train": 4, "eval": 2, "test": 3}


@pytest.mark.parametrize(("least", "both"), [(30, False), (500, True)])
def test_a_test_split_that_is_too_small_joins_eval(tmp_path, least, both):
    write_shard(tmp_path / "data" / "a", numbered(350))
    settings = IngestSettings(sequence=SPEC, pattern="*", min_test_rows=least)
    examples, _ = execute(tmp_path, tmp_path / "data", settings)
    assert examples.split_names == '["train", "eval", "test"]'
    splits = {split: rows(tmp_path / f"examples/Split-{split}") for split in SPLITS}
    report = read_report(tmp_path / "quarantine")
    assert report.splits == {split: len(some) for split, some in splits.items() if some}
    everything = [row for some in splits.values() for row in some]
    assert sorted(everything) == sorted(example(**row) for row in numbered(350))
    assert (len(splits["test"]) == 0) == both
    if not both:
        assert len(splits["test"]) > len(splits["eval"]) > 0


def test_no_row_of_train_becomes_a_test_row_when_the_share_changes(tmp_path):
    write_shard(tmp_path / "a", numbered(350))
    [shard] = list_shards(tmp_path, "*").shards

    def splits(percent, share):
        reader = ReadShard(str(tmp_path), SPEC, train_percent=percent, test_share=share)
        found = {split: set() for split in SPLITS}
        for number, row in enumerate(reader.process(ShardPart(shard))):
            if row.tag in found:
                file = tmp_path / f"{percent}-{share}-{number}"
                file.write_bytes(row.value.content)
                found[row.tag].update(data(file))
        return found

    before, now, fewer = splits(80, 0), splits(80, 0.75), splits(90, 0.99)
    assert before["train"] == now["train"] < fewer["train"]
    assert now["test"] | now["eval"] == before["eval"] > now["test"]
    assert not before["train"] & (now["test"] | fewer["test"])


def test_corrupt_shard_ends_the_ingest_or_gives_what_is_readable(tmp_path):
    whole = tfrecord(example(**row) for row in numbered(10))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a").write_bytes(whole[:-5])
    nine = len(tfrecord(example(**row) for row in numbered(9)))
    reason = f"is truncated; 9 whole records were read, up to byte {nine}"
    [shard] = list_shards(tmp_path / "data", "*").shards
    with pytest.raises(InputError, match=f"data/a: {reason}"):
        list(ReadShard(str(tmp_path / "data"), SPEC).process(ShardPart(shard)))
    report, splits, _ = ingest(tmp_path, keep_readable=True)
    [corrupt] = report.corrupt
    assert corrupt.model_dump() == {
        "file": str(tmp_path / "data/a"), "offset": nine, "reason": reason,
        "unread_bytes": len(whole) - 5 - nine,
    }  # fmt: skip
    assert sum(map(len, splits.values())) == report.rows_in == 9


def test_a_large_shard_is_read_in_parts_with_the_same_numbers_and_offsets(tmp_path, monkeypatch):
    given = numbered(200)
    for number in range(0, 200, 7):
        given[number] = GOOD | {"op": [77]}
    path = write_shard(tmp_path / "data/a", given)
    write_shard(tmp_path / "data/b", numbered(50), compress=True)
    monkeypatch.setattr(beam_module, "parts", partial(parts, longest=1000))
    found = list(parts(str(path), path.stat().st_size, longest=1000))
    assert len(found) == len({(part.offset, part.number) for part in found}) > 5
    report, splits, bad = ingest(tmp_path)
    expected = read_by_row(str(path), SPEC)
    assert sorted(bad, key=lambda row: row.record) == expected.bad
    assert len(expected.bad) == report.bad_rows == 29
    in_b = [example(**row) for row in numbered(50)]
    assert sorted(chain(*splits.values())) == sorted(chain(*expected.splits.values(), in_b))
    assert [(shard.name, shard.rows) for shard in report.shards] == [("a", 200), ("b", 50)]


@pytest.mark.parametrize("place", [0.1, 0.5, 0.99])
def test_damage_in_a_shard_of_several_parts_is_found(tmp_path, place):
    path = write_shard(tmp_path / "a", numbered(200))
    damaged = bytearray(path.read_bytes())
    damaged[int(len(damaged) * place)] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(CorruptShard) as whole:
        list(read_shard(str(path)))
    found = []
    for part in parts(str(path), len(damaged), longest=1000):
        try:
            list(read_blocks(str(path), part))
        except CorruptShard as error:
            found.append(str(error))
    assert found == [str(whole.value)]


A, B = Shard("a", 1, 1), Shard("b", 1, 1)
LISTING = Listing(folder="/data", shards=(A, B))


def test_counts_that_do_not_agree_are_an_error():
    results = [PartResult(A, 7, None), PartResult(B, 3, None)]
    with pytest.raises(RuntimeError, match=r"10 rows were read, but 6 train \+ 2 eval \+ 1 quarantined"):
        _report(LISTING, results, [(Reason.MISSING, 1)], [], train=6, eval=2, test=0)


@pytest.mark.parametrize("results", [[A], [A, B, B], [A, Shard("c", 1, 1)]])
def test_a_shard_that_was_not_read_once_is_an_error(results):
    with pytest.raises(RuntimeError, match="shards were not read exactly once: /data/b"):
        _report(LISTING, [PartResult(shard, 0, None) for shard in results], [], [], train=0, eval=0, test=0)


@pytest.mark.parametrize(
    "read",
    [[Part(0, 0, 90)], [Part(90, 9)], [Part(0, 0, 90), Part(90, 8)], [Part(0, 0, 80), Part(90, 9)]],
    ids=["end is missing", "begin is missing", "rows are missing", "hole"],
)
def test_a_shard_whose_parts_do_not_fit_together_is_an_error(read):
    results = [PartResult(A, 9, None, {}, part) for part in read]
    with pytest.raises(RuntimeError, match="1 shards were not read exactly once: /data/a"):
        _report(Listing(folder="/data", shards=(A,)), results, [], [], train=9 * len(read), eval=0, test=0)


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
    assert read_row(data, SPEC).problem == (reason, text)


def test_data_in_a_bucket_are_refused_before_anything_is_looked_for():
    with pytest.raises(InputError, match=r"^gs://b/x: shards are read from a volume; mount the bucket as"):
        found("gs://b/x")
