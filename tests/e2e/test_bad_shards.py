"""Data that cannot be trained on: one clear line, exit 2, nothing pushed, no traceback on the screen."""

import gzip
from pathlib import Path

import pytest

from tests.support import GOOD, example, maskline, tfrecord, versions, write_shard

pytestmark = pytest.mark.slow

TEN = tfrecord([example(**GOOD)] * 10)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"name,value\n1,2\n", "bad.tfrecords: is not a TFRecord file, plain or gzip"),
        (TEN[:-5], "bad.tfrecords: is truncated; 9 whole records were read, up to byte "),
        (gzip.compress(TEN)[:-20], "bad.tfrecords: its gzip stream breaks off or is damaged after "),
    ],
    ids=["not TFRecord", "truncated", "truncated gzip"],
)
def test_bad_shard_is_named(tmp_path, data, problem):
    write_shard(tmp_path / "data/good.tfrecords", [GOOD] * 20)
    (tmp_path / "data/bad.tfrecords").write_bytes(data)
    # These rows are no exercises, by which maskline.yaml splits.
    done = maskline(
        "run", "--data", tmp_path / "data", "--root", tmp_path / "root", "--set", "data.split_by="
    )
    assert done.returncode == 2, done.stdout + done.stderr
    [line] = done.stderr.splitlines()
    assert line.startswith(f"maskline: {tmp_path}/data/bad.tfrecords: ")
    assert problem in line
    assert "Traceback" not in done.stdout
    assert versions(tmp_path / "root") == []
    log = done.stdout.split("log: ")[1].splitlines()[0]
    assert "Traceback" in Path(log).read_text()
