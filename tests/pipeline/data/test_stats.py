"""`maskline data stats`: exact counts on rows written by hand."""

import io
import subprocess
import sys

import pytest
from rich.console import Console

from maskline.pipeline.data.report import show
from maskline.pipeline.data.stats import measure_shards, shards_at
from maskline.pipeline.settings.sections import DataSettings
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec
from maskline.transform.task import TaskSpec
from tests.support import REPOSITORY, example, maskline, tfrecord, write_shard

SPEC = SequenceSpec(features=("a", "b"), label="c", length=8, vocabulary=("_", "|", "x", "y"),
                    separator="|", padding="_")  # fmt: skip

DATA = DataSettings()


def row(length, **change):
    """A row of `length` ids after joining."""
    return {"a": [2] * (length - 2), "b": [3], "c": [2]} | change


def measured(tmp_path, *rows):
    return measure_shards(shards_at(write_shard(tmp_path / "a.tfrecord", rows), DATA), SPEC)


def test_lengths_are_those_of_the_joined_rows(tmp_path):
    stats = measured(tmp_path, row(4), row(4), row(7), row(20))
    assert stats.lengths == {4: 2, 7: 1, 20: 1}
    assert (stats.features["a"].lengths, stats.features["c"].lengths) == ({2: 2, 5: 1, 18: 1}, {1: 4})
    assert (stats.rows, [(shard.name, rows) for shard, rows in stats.shards.items()]) == (
        4,
        [("a.tfrecord", 4)],
    )


def test_vocabulary_is_counted_by_feature(tmp_path):
    stats = measured(tmp_path, row(4), row(5, b=[3, 9]))
    assert (stats.features["a"].ids, stats.features["b"].ids) == ({2: 5}, {3: 2, 9: 1})


@pytest.mark.parametrize("lacking", [{"b": []}, {"b": None}])
def test_row_that_lacks_a_feature_has_no_joined_length(tmp_path, lacking):
    bad = {name: ids for name, ids in (row(4) | lacking).items() if ids is not None}
    stats = measured(tmp_path, row(4), bad)
    assert (stats.rows, stats.lengths, stats.features["b"].missing) == (2, {4: 1}, 1)


def test_record_that_is_no_example_is_counted(tmp_path):
    (tmp_path / "a.tfrecord").write_bytes(tfrecord([example(**row(4)), b"\xff" * 5]))
    stats = measure_shards(shards_at(tmp_path, DATA), SPEC)
    assert (stats.rows, stats.unreadable, stats.lengths) == (2, 1, {4: 1})


def test_smallest_length_that_fits(tmp_path):
    stats = measured(tmp_path, *[row(5)] * 990, *[row(6)] * 9, row(8))
    assert [stats.fits(share) for share in (0.5, 0.99, 0.991, 0.999, 0.9991, 1.0)] == [5, 5, 6, 6, 8, 8]


def test_padding_is_that_of_the_rows_that_fit(tmp_path):
    stats = measured(tmp_path, row(4), row(6), row(20))
    assert stats.padding(8) == pytest.approx(6 / 16)
    assert stats.padding(4) == 0
    assert stats.padding(2) == 0  # none fits


def test_preset_to_begin_with_follows_from_classes_symbols_and_lengths(tmp_path):
    assert measured(tmp_path, row(7), row(8)).preset == (
        "default",
        "2 symbols and rows of about the same length",
    )
    assert measured(tmp_path, row(20), *[row(4)] * 9).preset == (
        "length-free",
        "2 symbols and rows of which 72% would be padding",
    )
    words = tuple(f"w{number}" for number in range(100))
    rows = [{"a": [first, first + 1], "b": [0]} for first in range(2, 102, 2)]
    for symbols, kind, preset in (
        (100, "class", "text"),
        (99, "class", "default"),
        (100, "first", "default"),
    ):
        task = TaskSpec(kind=kind, classes=("no", "yes") if kind == "class" else ())
        spec = SPEC.model_copy(
            update={"features": ("a",), "label": "b", "vocabulary": ("_", "|", *words), "task": task}
        )
        some = [r | {"a": r["a"][:1]} if symbols == 99 and r is rows[-1] else r for r in rows]
        stats = measure_shards(shards_at(write_shard(tmp_path / f"{symbols}.tfrecord", some), DATA), spec)
        assert stats.preset[0] == preset, (symbols, kind)
    console = Console(record=True, width=200, file=io.StringIO())
    show(stats, "here", console)
    assert "\nmodel.preset to begin with: default, for 100 symbols and rows of about" in console.export_text()


def test_shards_are_a_file_a_directory_or_a_split(tmp_path):
    shard = write_shard(tmp_path / "in/a.tfrecord", [row(4)])
    split = write_shard(tmp_path / "Split-train/data_tfrecord-00000-of-00001.gz", [row(4)], compress=True)
    assert shards_at(shard, DATA) == shards_at(tmp_path / "in", DATA)
    assert shards_at(shard, DATA).paths == [shard]
    assert shards_at(tmp_path / "Split-train", DATA).paths == [split]
    assert measure_shards(shards_at(split, DATA), SPEC).rows == 1
    with pytest.raises(InputError, match=r"nowhere: no such data directory; .*; give a shard, or a dir"):
        shards_at(tmp_path / "nowhere", DATA)


def test_command_shows_histogram_vocabulary_and_advice(tmp_path):
    rows = [{"defs": [3] * 5, "op": [4, 7, 3], "res": [12]}] * 99 + [
        {"defs": [99] * 9, "op": [4], "res": [12]}
    ]
    write_shard(tmp_path / "a.tfrecord", rows)
    done = maskline("data", "stats", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    out = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert out[0] == f"{tmp_path}: 100 rows in 1 shards"
    assert f"a.tfrecord {(tmp_path / 'a.tfrecord').stat().st_size:,} 100" in out
    assert "defs 100 0 5 5.0 9 1 of 19 9" in out
    assert f"9 99 99.0% {'█' * 40}" in out
    assert "11 1 1.0% ▏" in out
    assert "3 x 98.21% 33.22%" in out
    assert "99 outside the vocabulary 1.79%" in out
    assert "sequence.length 20: 54.9% of the ids are padding; 0 rows are longer" in out
    assert "99% of the rows fit in 9: 0.0% padding" in out
    assert "99.9% of the rows fit in 11: 18.0% padding" in out


def test_damaged_shard_is_one_line(tmp_path):
    (tmp_path / "a.tfrecord").write_bytes(tfrecord([example(**row(4))] * 3)[:-5])
    done = maskline("data", "stats", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"maskline: {tmp_path}/a.tfrecord: is truncated; 2 whole records")
    assert len(done.stderr.splitlines()) == 1


def test_nothing_of_tensorflow_is_loaded():
    code = "import sys, maskline.pipeline.data.report; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY).stdout
    assert "rich" in out.split()
    assert not set(out.split()) & {"tensorflow", "tfx", "keras"}


def test_classes_are_counted_by_name_and_by_id(tmp_path):
    """Id 0 is a class, though it is the padding among the symbols."""
    spec = SPEC.model_copy(update={"task": TaskSpec(kind="class", classes=("ham", "spam"))})
    rows = [row(4, c=["spam"]), row(4, c=[1]), row(4, c=[0]), row(4, c=["eggs"])]
    stats = measure_shards(shards_at(write_shard(tmp_path / "a.tfrecord", rows), DATA), spec)
    assert stats.features["c"].ids == {1: 2, 0: 1}
    assert stats.features["c"].missing == 1
    console = Console(width=120, record=True, file=io.StringIO())
    show(stats, "here", console)
    printed = [line.split() for line in console.export_text().splitlines()]
    assert ["c", "3", "1", "1", "1.0", "1", "2", "of", "2", "0"] in printed
    assert ["0", "ham", "33.33%"] in printed
    assert ["1", "spam", "66.67%"] in printed
