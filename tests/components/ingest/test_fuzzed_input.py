"""Whatever bytes a shard holds are ingested, set aside or refused in one line; no row is lost or doubled.

Most cases drive the reader of one shard; a handful go through the whole ingest in Beam. The cases are the
same each time; MASKLINE_FUZZ=10 makes ten times as many, other ones each time.
"""

import gzip
import hashlib
import struct
from contextlib import suppress
from unittest import mock

import apache_beam as beam
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from tfx_bsl.coders.example_coder import ExampleToNumpyDict

from maskline.components.ingest import shards
from maskline.components.ingest.beam import Ingest, ReadShard, ShardPart
from maskline.components.ingest.listing import Shard, list_shards
from maskline.components.ingest.quarantine import read_report
from maskline.components.ingest.rows import read_row
from maskline.components.ingest.shards import MAX_RECORD, CorruptShard, _whole_records, read_shard
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec
from maskline.transform.names import SPLITS
from maskline.transform.problems import Reason
from tests.components.ingest.by_row import Outcome, read_by_row
from tests.fuzz import cases
from tests.support import GOOD, _field, _masked_crc, example, tfrecord

SPEC = SequenceSpec()
NAMES = (*SPEC.features, SPEC.label)


ids = st.one_of(st.integers(1, 19), st.integers(1, 19), st.integers(-(2**63), 2**63 - 1))
int64s = st.lists(ids, max_size=16)
features = st.one_of(
    int64s.map(lambda values: ("int64_list", values)),
    int64s.map(lambda values: ("int64_list", values)),
    st.lists(st.floats(width=32), max_size=4).map(lambda values: ("float_list", values)),
    st.lists(st.binary(max_size=9), max_size=4).map(lambda values: ("bytes_list", values)),
    st.just((None, [])),
)
good_rows = st.builds(
    lambda defs, op, res: {"defs": defs, "op": op, "res": res},
    *[st.lists(st.integers(2, 19), min_size=1, max_size=9)] * 3,
)
rows = st.dictionaries(st.sampled_from(NAMES), features)


def encode(row):
    built = tf.train.Example()
    for name, (kind, values) in row.items():
        feature = built.features.feature[name]
        if kind:
            getattr(feature, kind).value.extend(values)
    return built.SerializeToString()


records = st.lists(
    st.one_of(good_rows.map(lambda row: example(**row)), rows.map(encode), st.binary(max_size=60)), max_size=6
)


def listed(path):
    found = path.stat()
    return Shard(path.name, found.st_size, found.st_mtime_ns)


def read(path, content, *, keep_readable=True):
    """The bytes of all rows as they stand in the file, and where it broke off."""
    path.write_bytes(content)
    reader = ReadShard(str(path.parent), SPEC, keep_readable=keep_readable)
    # Of every third file, blocks end within records.
    with mock.patch.object(shards, "_BLOCK", 1 << 20 if len(content) % 3 else 50):
        *out, last = list(reader.process(ShardPart(listed(path))))
    assert last.tag == "shards"
    if not keep_readable:
        assert last.value.corrupt is None
    written = Outcome({split: [] for split in SPLITS}, [], *last.value[1:4])
    for item in out:
        if item.tag == "quarantined":
            written.bad.append(item.value)
        else:
            rows = unframed(item.value.content)
            assert len(rows) == item.value.rows > 0
            written.splits[item.tag] += rows
    expected = read_by_row(str(path), SPEC)
    assert in_any_order(written) == in_any_order(expected)
    return [record.data for record in whole_records(path)], last.value.corrupt


def unframed(content):
    """The records of whole content."""
    starts, ends, missing, error = _whole_records(content, MAX_RECORD)
    assert (missing, error, tfrecord(content[a:b] for a, b in zip(starts, ends, strict=True))) == (
        0, None, content,
    )  # fmt: skip
    return [content[start:end] for start, end in zip(starts, ends, strict=True)]


def whole_records(path):
    """All records before a damage."""
    with suppress(CorruptShard):
        yield from read_shard(str(path))


def in_any_order(outcome):
    return outcome._replace(splits={split: sorted(rows) for split, rows in outcome.splits.items()})


def holds(path, content, stored=None):
    """The laws of every file: rows are what stands before the damage, byte for byte; the rest is counted."""
    stored = content if stored is None else stored
    data, corrupt = read(path, stored)
    whole = tfrecord(data)
    if corrupt is None:
        assert whole == content
        return data
    assert content[: corrupt.offset] == whole
    assert 0 <= corrupt.unread_bytes <= len(stored)
    if stored is content:
        assert corrupt.unread_bytes == len(content) - corrupt.offset
    with pytest.raises(InputError) as refused:
        read(path, stored, keep_readable=False)
    assert str(refused.value) == f"{path}: {corrupt.reason}"
    assert "\n" not in str(refused.value)
    return data


@cases(400)
@given(content=st.one_of(st.binary(max_size=200), records.map(tfrecord)), tail=st.binary(max_size=40))
def test_arbitrary_bytes(tmp_path, content, tail):
    holds(tmp_path / "a", content + tail)


@cases(300)
@given(rows=records, share=st.floats(0, 1))
def test_truncated_at_any_byte(tmp_path, rows, share):
    content = tfrecord(rows)
    size = int(len(content) * share)
    data = holds(tmp_path / "a", content[:size])
    ends = [len(tfrecord(rows[: n + 1])) for n in range(len(rows))]
    assert data == rows[: sum(end <= size for end in ends)]


@cases(300)
@given(rows=records.filter(len), place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_never_gives_another_row(tmp_path, rows, place, bit):
    content = bytearray(tfrecord(rows))
    content[int(len(content) * place)] ^= 1 << bit
    data = holds(tmp_path / "a", bytes(content))
    assert data == rows[: len(data)]
    assert len(data) < len(rows)


@cases(300)
@given(rows=records, share=st.floats(0, 1), parts=st.integers(1, 3), flip=st.booleans())
def test_gzip_truncated_or_damaged(tmp_path, rows, share, parts, flip):
    content = tfrecord(rows)
    step = len(content) // parts + 1
    stored = b"".join(
        gzip.compress(content[start : start + step]) for start in range(0, len(content) + 1, step)
    )
    place = int(len(stored) * share)
    damaged = bytearray(stored)
    if flip and place < len(stored):
        damaged[place] ^= 1
    elif not flip:
        damaged = damaged[:place]
    data, corrupt = read(tmp_path / "a", bytes(damaged))
    assert data == rows[: len(data)]
    assert corrupt is None or 0 <= corrupt.unread_bytes <= len(damaged)
    # A flip may hit what gzip does not check, such as the time; then nothing is lost.
    assert corrupt or len(data) == len(rows) or place == 0 or not flip


@cases(100)
@given(length=st.integers(0, 2**64 - 1), body=st.binary(max_size=100))
def test_a_length_that_the_file_does_not_hold(tmp_path, length, body):
    header = struct.pack("<Q", length)
    holds(tmp_path / "a", header + _masked_crc(header) + body)


@cases(20)
@given(exponent=st.integers(0, 18), rows=records)
def test_huge_rows(tmp_path, exponent, rows):
    data = holds(tmp_path / "a", tfrecord([*rows, example(**GOOD | {"defs": [3] * 2**exponent})]))
    problem = read_row(data[-1], SPEC).problem
    assert (problem and problem.reason) == (Reason.TOO_LONG if 2**exponent > 16 else None)


def expected(row):
    """What is wrong with a row, told from what it was made of."""
    lists = {}
    for name in NAMES:
        kind, values = row.get(name, (None, []))
        if kind not in (None, "int64_list"):
            return Reason.NOT_INT64
        if not values:
            return Reason.MISSING
        for value in values:
            if not 1 <= value <= 19:
                return Reason.OUTSIDE_VOCABULARY
            if value == 1 and name != "res":
                return Reason.HOLDS_SEPARATOR
        lists[name] = len(values)
    return Reason.TOO_LONG if lists["defs"] + 1 + lists["op"] > 20 else None


whole_rows = st.fixed_dictionaries(dict.fromkeys(NAMES, features), optional={"extra": features})


# All ids good, and as long as is allowed or nearly so.
full_rows = st.builds(
    lambda length, op: {
        name: ("int64_list", [2] * count)
        for name, count in {"defs": length - 1 - op, "op": op, "res": 1}.items()
    },
    st.integers(19, 22),
    st.integers(1, 17),
)  # fmt: skip


@cases(600)
@given(row=st.one_of(whole_rows, rows, full_rows))
def test_rows_are_set_aside_for_the_right_reason(row):
    problem = read_row(encode(row), SPEC).problem
    assert (problem and problem.reason) == expected(row)


@cases(400)
@given(row=good_rows, place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255), cut=st.booleans())
def test_what_is_ingested_tensorflow_reads_alike(row, place, change, cut):
    data = bytearray(example(**row))
    data[int(len(data) * place)] ^= change
    if cut:
        data = data[: int(len(data) * place)]
    if read_row(bytes(data), SPEC).problem is None:
        parsed = tf.io.parse_single_example(bytes(data), dict.fromkeys(NAMES, tf.io.VarLenFeature(tf.int64)))
        values = {name: tf.sparse.to_dense(parsed[name]).numpy().tolist() for name in NAMES}
        feature = tf.train.Example.FromString(bytes(data)).features.feature
        assert values == {name: list(feature[name].int64_list.value) for name in NAMES}


@cases(100)
@given(row=good_rows.filter(lambda row: len(row["defs"]) + 1 + len(row["op"]) <= 20))
def test_rows_are_split_as_tfx_would(tmp_path, row):
    (tmp_path / "a").write_bytes(tfrecord([example(**row)]))
    bucket = int(hashlib.sha256(example(**row)).hexdigest(), 16) % 100
    for percent, split in ((bucket, "eval"), (bucket + 1, "train")):
        part = ShardPart(listed(tmp_path / "a"))
        first, _ = ReadShard(str(tmp_path), SPEC, train_percent=percent).process(part)
        assert first.tag == split


@cases(4)
@given(shards=st.lists(records, min_size=1, max_size=3), broken=st.binary(max_size=30))
def test_the_whole_ingest_counts_every_row(tmp_path_factory, shards, broken):
    folder = tmp_path_factory.mktemp("fuzz")
    for number, shard in enumerate(shards):
        (folder / f"{number}.tfrecord").write_bytes(tfrecord(shard) + broken)
    with beam.Pipeline("FnApiRunner") as pipeline:
        _ = pipeline | Ingest(
            ReadShard(str(folder), SPEC, keep_readable=True),
            list_shards(folder, "*.tfrecord"),
            {split: str(folder / split) for split in SPLITS},
            str(folder),
        )
    report = read_report(folder)
    assert report.rows_in >= sum(map(len, shards))
    bad = sum(read_row(row, SPEC).problem is not None for shard in shards for row in shard)
    assert report.bad_rows >= bad
    assert len(report.corrupt) <= len(shards)


small = st.lists(st.integers(2, 19), max_size=3)


def packed(values):
    return _field(1, bytes(values))


def unpacked(values):
    return b"".join(bytes([8, value]) for value in values)


lists = st.lists(small.map(packed) | small.map(unpacked) | st.just(_field(9, b"?")), max_size=2).map(b"".join)
kinds = st.lists(lists.map(lambda content: _field(3, content)) | st.just(_field(2, b"")), max_size=2)
odd_features = st.one_of(small.map(lambda values: _field(3, packed(values))), kinds.map(b"".join))
odd_names = st.sampled_from([*NAMES, *NAMES, "extra"]).map(lambda name: _field(1, name.encode()))
odd_entries = st.tuples(odd_names, odd_features.map(lambda feature: _field(2, feature))).map(b"".join)
more_entries = st.lists(odd_entries.map(lambda entry: _field(1, entry)), max_size=2).map(b"".join)


def odd_row(row, first, second, apart, tail):
    """Entries twice, lists in pieces, unpacked numbers, unknown fields, pieces of one message."""
    entries = example(**row)[2:]
    data = _field(1, first + entries + (b"" if apart else second))
    return data + _field(1, second) * apart + _field(7, b"?") * tail


odd_rows = st.builds(odd_row, good_rows, more_entries, more_entries, st.booleans(), st.booleans())


@cases(500)
@given(data=odd_rows)
def test_rows_in_odd_encodings_are_read_as_the_served_graph_reads_them_or_set_aside(data):
    assert_read_alike(data)


@cases(100)
@given(data=st.lists(st.one_of(odd_rows, good_rows.map(lambda row: example(**row)), rows.map(encode))))
def test_blocks_are_dealt_out_as_row_by_row(tmp_path, data):
    assert holds(tmp_path / "a", tfrecord(data)) == data


def assert_read_alike(data):
    read = read_row(data, SPEC)
    if read.problem:
        return False
    wanted = dict.fromkeys(NAMES, tf.io.RaggedFeature(tf.int64))
    served, kept = (
        {name: parsed.numpy().tolist() for name, parsed in tf.io.parse_single_example(row, wanted).items()}
        for row in (data, read.data)
    )
    bsl = {name: values.tolist() for name, values in ExampleToNumpyDict(read.data).items()}
    assert served == kept == bsl
    return True


ODD, SEQUENCE = Reason.AMBIGUOUS, Reason.SEQUENCE_EXAMPLE
DEFS, OP, RES = (_field(1, _field(1, n.encode()) + _field(2, _field(3, packed([5])))) for n in NAMES)


def defs(*feature):
    """A row whose feature `defs` is written as these pieces."""
    return _field(1, _field(1, _field(1, b"defs") + _field(2, b"".join(feature))) + OP + RES)


@pytest.mark.parametrize(
    ("data", "reason", "text"),
    [
        (defs(_field(3, packed([2, 3]) + packed([4]))), ODD, "is a list that is written"),
        (defs(_field(3, packed([]) + packed([4]))), ODD, "is a list that is written"),
        (defs(_field(3, unpacked([2]) + packed([4]))), ODD, "is a list that is written"),
        (defs(_field(3, packed([2])), _field(3, packed([3]))), ODD, "written with 2 lists"),
        (defs(_field(2, b""), _field(3, packed([3]))), ODD, "written with 2 lists"),
        (_field(1, DEFS + DEFS + OP + RES), ODD, "feature 'defs' is written twice"),
        (_field(1, DEFS + OP) + _field(1, RES), ODD, "the record is written in 2 pieces"),
        (_field(1, DEFS + OP + RES) + b"\x3b\x3c", ODD, "the record holds a group"),
        (_field(1, DEFS + OP + RES) + _field(2, _field(1, b"")), SEQUENCE, "write its lists as"),
        (_field(2, _field(1, _field(1, b"op"))), SEQUENCE, "write its lists as"),
        (defs(_field(3, unpacked([2, 3]))), None, ""),
        (_field(1, RES + OP + DEFS), None, ""),
    ],
)  # fmt: skip
def test_odd_encodings_are_named(data, reason, text):
    problem = read_row(data, SPEC).problem
    assert (problem and problem.reason) == reason
    assert text in (problem.text if problem else "")
    assert_read_alike(data)
