"""The sample data: what is drawn, and that it can be drawn again."""

import re

import numpy as np
import pytest
import tensorflow as tf

from maskline.components.ingest.shards import read_shard
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec
from maskline.transform.samples import exercises, write_shards

PATTERN = re.compile(r"([xy])=(-?\d+),([xy])=(-?\d+):([xy])([-+*])([xy]):(-?\d+)")


def records(folder):
    return [record.data for path in sorted(folder.iterdir()) for record in read_shard(str(path))]


def test_results_follow_the_order_in_the_operation():
    rng = np.random.default_rng(7)
    operations = set()
    for exercise in exercises(500, max_value=30, rng=rng):
        first, a, second, b, left, sign, right, result = PATTERN.fullmatch(":".join(exercise)).groups()
        values = {first: int(a), second: int(b)}
        expected = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}[sign](values[left], values[right])
        assert int(result) == expected
        assert all(-29 <= value <= 29 for value in values.values())
        operations.add((first, left, sign))
    assert len(operations) == 12  # both orders of both parts, with each of three operations


def test_same_seed_same_records(tmp_path):
    options = {"shards": 2, "records": 20, "max_value": 100}
    write_shards(tmp_path / "a", seed=1, **options)
    write_shards(tmp_path / "b", seed=1, **options)
    write_shards(tmp_path / "c", seed=2, **options)
    assert records(tmp_path / "a") == records(tmp_path / "b") != records(tmp_path / "c")
    assert [p.name for p in sorted((tmp_path / "a").iterdir())] == [
        "shard_0000.tfrecords",
        "shard_0001.tfrecords",
    ]


def test_shards_hold_ids_of_the_vocabulary(tmp_path):
    write_shards(tmp_path / "a", shards=1, records=5, max_value=100, seed=0)
    spec = SequenceSpec()
    for data in records(tmp_path / "a"):
        features = tf.train.Example.FromString(data).features.feature
        text = ":".join(
            "".join(spec.vocabulary[i] for i in features[name].int64_list.value)
            for name in ("defs", "op", "res")
        )
        assert PATTERN.fullmatch(text)


def test_existing_data_are_not_overwritten(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match="not empty"):
        write_shards(tmp_path, shards=1, records=1, max_value=10, seed=0)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
