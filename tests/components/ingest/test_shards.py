"""Reading shards: whole, compressed, truncated anywhere, damaged, or something else."""

import gzip
import os
import tracemalloc
import zlib

import pytest

from maskline.components.ingest.shards import MAX_RECORD, CorruptShard, read_shard
from maskline.transform.errors import InputError
from tests.support import GOOD, example, record_header, tfrecord

RECORDS = [example(**GOOD), b"", b"x" * 300]
DATA = tfrecord(RECORDS)


def read(path):
    return [record.data for record in read_shard(str(path))]


@pytest.mark.parametrize("encode", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", ["a.tfrecords", "a.tfrecords.gz"])
def test_shards_are_read_whatever_their_name(tmp_path, encode, name):
    (tmp_path / name).write_bytes(encode(DATA))
    assert read(tmp_path / name) == RECORDS
    assert [record.number for record in read_shard(str(tmp_path / name))] == [0, 1, 2]


def test_empty_file_is_an_empty_shard(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    assert read(tmp_path / "a") == []


@pytest.mark.parametrize("text", ["not a shard at all", "short", "{'json': 1}" * 50])
@pytest.mark.parametrize("encode", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_another_format_is_named(tmp_path, text, encode):
    (tmp_path / "a").write_bytes(encode(text.encode()))
    with pytest.raises(InputError, match="a: is not a TFRecord file, plain or gzip"):
        read(tmp_path / "a")


def test_truncation_at_every_byte_says_how_far_it_was_read(tmp_path):
    ends = [len(tfrecord(RECORDS[:n])) for n in range(4)]
    for size in range(1, len(DATA)):
        (tmp_path / "a").write_bytes(DATA[:size])
        whole = sum(end <= size for end in ends) - 1
        if size in ends:
            assert read(tmp_path / "a") == RECORDS[:whole]
            continue
        expected = f"is truncated; {whole} whole records were read, up to byte {ends[whole]}"
        if size < 12:
            expected = "is not a TFRecord file"
        with pytest.raises(InputError, match=expected):
            read(tmp_path / "a")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated_gzip_is_named(tmp_path, share):
    data = gzip.compress(tfrecord([bytes(range(256)) * 9] * 50), compresslevel=1)
    (tmp_path / "a").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match=r"gzip stream breaks off.*after \d+ whole records"):
        read(tmp_path / "a")


@pytest.mark.parametrize("position", range(0, len(DATA), 7))
def test_a_flipped_bit_is_noticed(tmp_path, position):
    damaged = bytearray(DATA)
    damaged[position] ^= 4
    (tmp_path / "a").write_bytes(damaged)
    with pytest.raises(InputError, match=r"is damaged at byte|is not a TFRecord"):
        read(tmp_path / "a")


@pytest.mark.parametrize("cut", [True, False], ids=["truncated", "damaged"])
def test_every_row_before_a_damage_in_gzip_is_read(tmp_path, cut):
    # One chunk of stored bytes holds them all: zlib gives nothing of a call that fails.
    rows = [bytes([n]) * 40 for n in range(200)]
    stored = gzip.compress(tfrecord(rows))
    (tmp_path / "a").write_bytes(stored[:-8] + (b"" if cut else b"\0" * 8))
    records, found = read_shard(str(tmp_path / "a")), []
    with pytest.raises(CorruptShard, match="after 200 whole records"):
        found.extend(record.data for record in records)
    assert found == rows


def test_what_was_not_read_is_counted_as_it_is_stored(tmp_path):
    first, second = gzip.compress(DATA), gzip.compress(tfrecord(RECORDS * 9))
    (tmp_path / "a").write_bytes(first + second[:10] + b"damage" + second[16:])
    with pytest.raises(CorruptShard, match="after 3 whole records") as error:
        read(tmp_path / "a")
    assert error.value.offset == len(DATA)
    assert error.value.unread_bytes == len(second)


def test_a_record_is_read_up_to_the_bound_and_not_beyond(tmp_path):
    (tmp_path / "a").write_bytes(DATA)
    assert [record.data for record in read_shard(str(tmp_path / "a"), max_record=300)] == RECORDS
    with pytest.raises(CorruptShard) as error:
        list(read_shard(str(tmp_path / "a"), max_record=299))
    start = len(tfrecord(RECORDS[:2]))
    reason = (
        f"is damaged at byte {start}, after 2 whole records: a record of 300 bytes, where 299 are allowed"
    )
    assert str(error.value) == f"{tmp_path / 'a'}: {reason}"
    assert (error.value.offset, error.value.unread_bytes) == (start, len(DATA) - start)


def test_neither_a_sparse_file_nor_a_gzip_bomb_takes_memory(tmp_path):
    size = 2 << 30
    header = record_header(size)
    with open(tmp_path / "sparse", "wb") as file:
        file.write(DATA + header)
        os.truncate(file.fileno(), size)
    bomb = zlib.compressobj(1, wbits=31)
    zeros = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(160))
    (tmp_path / "bomb").write_bytes(gzip.compress(DATA + header) + zeros + bomb.flush())
    for name in ("sparse", "bomb"):
        tracemalloc.start()
        with pytest.raises(CorruptShard, match="after 3 whole records: a record of 2,147,483,648 bytes"):
            read(tmp_path / name)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2 * MAX_RECORD
