"""Transformed rows come back as they were written, and damage is found."""

from contextlib import closing

import numpy as np
import pytest

from maskline.transform import stored

COLUMNS = stored.columns_of({"x": ("i", 3), "y": ("i", 1), "numeric": ("f", 2)})
RNG = np.random.default_rng(0)
BLOCKS = [
    {
        "x": RNG.integers(0, 70_000, (rows, 3)),
        "y": RNG.integers(0, 9, rows),
        "numeric": RNG.normal(size=(rows, 2)).astype(np.float32),
    }
    for rows in (4, 1, 30)
]


def write(path, blocks=BLOCKS):
    with closing(stored.RowsWriter(open(path, "wb"), COLUMNS)) as writer:
        for block in blocks:
            writer.write(block)
    return str(path)


def rows_of(file):
    return [row for block in stored.blocks(file) for row in np.hstack([*block.values()]).tolist()]


def test_rows_come_back_block_by_block(tmp_path):
    found = list(stored.blocks(write(tmp_path / "rows")))
    assert len(found) == len(BLOCKS)
    for block, written in zip(found, BLOCKS, strict=True):
        assert sorted(block) == ["numeric", "x", "y"]
        np.testing.assert_array_equal(block["x"], written["x"])
        np.testing.assert_array_equal(block["y"], written["y"][:, None])
        np.testing.assert_array_equal(block["numeric"], written["numeric"])
        assert (block["x"].dtype.name, block["numeric"].dtype.name) == ("int32", "float32")


def test_rows_are_read_where_tensorflow_reads(tmp_path):
    file = write(tmp_path / "rows")
    [first, *_] = stored.blocks(f"file://{file}")
    np.testing.assert_array_equal(first["x"], BLOCKS[0]["x"])


def test_no_rows_are_a_file_too(tmp_path):
    assert list(stored.blocks(write(tmp_path / "rows", []))) == []


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_what_is_cut_off_is_refused(tmp_path, kept):
    file = write(tmp_path / "rows")
    content = (tmp_path / "rows").read_bytes()
    (tmp_path / "rows").write_bytes(content[:kept])
    with pytest.raises(OSError, match=f"{file}: damaged: "):
        list(stored.blocks(file))


def test_no_changed_byte_gives_other_rows(tmp_path):
    file = write(tmp_path / "rows")
    rows = rows_of(file)
    content, refused = (tmp_path / "rows").read_bytes(), 0
    for place in range(0, len(content), 5):
        (tmp_path / "rows").write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        try:
            assert rows_of(file) == rows
        except OSError as error:
            refused += str(error).startswith(f"{file}: damaged: ")
    assert refused > len(content) // 20
