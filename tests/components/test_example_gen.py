"""Ingest: rows are checked where file and record are known. The real Beam runner."""

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from components.example_gen import ReadShard, pack_config, record_problem, unpack_config
from tests.support import GOOD, example, write_shard
from transform.errors import InputError
from transform.features import SequenceSpec

SPEC = SequenceSpec()


def ingest(*paths):
    return beam.Create(list(map(str, paths))) | beam.ParDo(ReadShard(SPEC))


def test_records_pass_unchanged(tmp_path):
    paths = [
        write_shard(tmp_path / "a", [GOOD] * 3),
        write_shard(tmp_path / "b", [GOOD | {"extra": [99]}], compress=True),
    ]
    expected = [example(**GOOD)] * 3 + [example(**GOOD, extra=[99])]
    with beam.Pipeline("FnApiRunner") as pipeline:
        assert_that(pipeline | ingest(*paths), equal_to(expected))


def test_bad_row_stops_the_ingest_and_is_named(tmp_path):
    path = write_shard(tmp_path / "a", [GOOD, GOOD, GOOD | {"op": [77]}])
    pipeline = beam.Pipeline("FnApiRunner")
    _ = pipeline | ingest(path)
    with pytest.raises(InputError, match="a: record 2: feature 'op' holds id 77; allowed are"):
        pipeline.run()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\xff\xff", "is not a tf.Example"),
        (b"", "feature 'defs' is missing or empty; at least one id is needed"),
        # Feature 'defs' as a list of floats and of bytes: field 2 and field 1 of tf.Feature.
        (
            bytes.fromhex("0a0e0a0c0a04646566731204120 20a00".replace(" ", "")),
            "feature 'defs' is not a list of",
        ),
        (
            bytes.fromhex("0a0e0a0c0a0464656673120 40a020a00".replace(" ", "")),
            "feature 'defs' is not a list of",
        ),
    ],
    ids=["garbage", "empty", "floats", "bytes"],
)
def test_other_types_are_named(data, problem):
    assert problem in record_problem(data, SPEC)


def test_configuration_keeps_whole_numbers():
    config = {"sequence": {"length": 20}, "names": ["a"]}
    from tfx.utils import proto_utils

    assert unpack_config(proto_utils.proto_to_json(pack_config(config))) == config
