"""Whatever bytes a shard holds are ingested, set aside or refused in one line; no row is lost or doubled.

Most cases drive the reader of one shard; a handful go through the whole ingest in Beam. The cases are the
same each time; MASKLINE_FUZZ=10 makes ten times as many, other ones each time.
"""

import gzip
import hashlib
import os
import struct

import apache_beam as beam
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maskline.components.ingest.beam import Ingest, ReadShard, record_problem
from maskline.components.ingest.quarantine import read_report
from maskline.transform.errors import InputError
from maskline.transform.features import Reason, SequenceSpec
from maskline.transform.names import SPLITS
from tests.support import GOOD, _masked_crc, example, tfrecord

SPEC = SequenceSpec()
NAMES = (*SPEC.features, SPEC.label)


def cases(count):
    factor = int(os.environ.get("MASKLINE_FUZZ", "0"))
    return settings(
        max_examples=count * (factor or 1),
        derandomize=not factor,
        deadline=None,
        # Each case overwrites the one file, and some are large on purpose.
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow,
                               HealthCheck.data_too_large, HealthCheck.large_base_example],
    )  # fmt: skip


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
    *[st.lists(st.integers(1, 19), min_size=1, max_size=9)] * 3,
)
rows = st.dictionaries(st.sampled_from([*NAMES, *NAMES, "extra"]), features)


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


def read(path, content, *, keep_readable=True):
    """The bytes of all rows in the order they came, the number of each outcome, and the shard's result."""
    path.write_bytes(content)
    out = list(ReadShard(SPEC, keep_readable=keep_readable).process((str(path), "")))
    assert out[-1].tag == "shards"
    data = [item.value.data if item.tag == "quarantined" else item.value for item in out[:-1]]
    assert out[-1].value.rows == len(data)
    for item in out[:-1]:
        assert item.tag in (*SPLITS, "quarantined")
    return data, out[-1].value.corrupt


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
    problem = record_problem(data[-1], SPEC)
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
        if min(values) < 1 or max(values) > 19:
            return Reason.OUTSIDE_VOCABULARY
        lists[name] = len(values)
    return Reason.TOO_LONG if lists["defs"] + 1 + lists["op"] > 20 else None


whole_rows = st.fixed_dictionaries(dict.fromkeys(NAMES, features), optional={"extra": features})


# All ids good, and as long as is allowed or nearly so.
full_rows = st.builds(
    lambda length, op: {
        name: ("int64_list", [1] * count)
        for name, count in {"defs": length - 1 - op, "op": op, "res": 1}.items()
    },
    st.integers(19, 22),
    st.integers(1, 17),
)  # fmt: skip


@cases(600)
@given(row=st.one_of(whole_rows, rows, full_rows))
def test_rows_are_set_aside_for_the_right_reason(row):
    problem = record_problem(encode(row), SPEC)
    assert (problem and problem.reason) == expected(row)


@cases(400)
@given(row=good_rows, place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255), cut=st.booleans())
def test_what_is_ingested_tensorflow_reads_alike(row, place, change, cut):
    data = bytearray(example(**row))
    data[int(len(data) * place)] ^= change
    if cut:
        data = data[: int(len(data) * place)]
    if record_problem(bytes(data), SPEC) is None:
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
        first, _ = ReadShard(SPEC, train_percent=percent).process((str(tmp_path / "a"), ""))
        assert first.tag == split


@cases(4)
@given(shards=st.lists(records, min_size=1, max_size=3), broken=st.binary(max_size=30))
def test_the_whole_ingest_counts_every_row(tmp_path_factory, shards, broken):
    folder = tmp_path_factory.mktemp("fuzz")
    for number, shard in enumerate(shards):
        (folder / f"{number}.tfrecord").write_bytes(tfrecord(shard) + broken)
    with beam.Pipeline("FnApiRunner") as pipeline:
        _ = pipeline | Ingest(
            ReadShard(SPEC, keep_readable=True),
            {"": f"{folder}/*.tfrecord"},
            {split: str(folder / split) for split in SPLITS},
            str(folder),
            {},
        )
    report = read_report(folder)
    assert report.rows_in >= sum(map(len, shards))
    bad = sum(record_problem(row, SPEC) is not None for shard in shards for row in shard)
    assert report.bad_rows >= bad
    assert len(report.corrupt) <= len(shards)
