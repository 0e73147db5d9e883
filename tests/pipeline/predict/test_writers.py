"""What is written of answers: the same values in each format, and the same bytes each time. No TensorFlow."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from tfx_bsl.coders.example_coder import ExampleToNumpyDict

from maskline.components.ingest.quarantine import QuarantinedRow
from maskline.components.ingest.shards import read_shard
from maskline.pipeline.predict.asking import ask_rows, rows_at_once
from maskline.pipeline.predict.library import Refused
from maskline.pipeline.predict.rows import RowBatch
from maskline.pipeline.predict.served import Answers
from maskline.pipeline.predict.writers import Format, QuarantineWriter, output_schema, table, writer
from maskline.transform.features import SequenceSpec
from maskline.transform.problems import Reason

LOGITS = np.array([[1.5, -2], [0.1, np.nan], [3, 1e-9]], np.float32)
ANSWERS = Answers(['"', "é", "1"], np.array([0.5, 0.25, 1], np.float32), LOGITS)
ROWS = [
    {"file": 'a"\n.txt', "record": r, "key": k, "answer": a, "probability": p, "logits": x, "version": 3,
     "identity": "f00"}
    for r, k, a, p, x in zip(
        (0, 4, 2**40), ("k", "-7", "ü"), ANSWERS.symbols, (0.5, 0.25, 1.0), LOGITS.tolist(), strict=True
    )
]  # fmt: skip


def written(kind, path, *, batches=1):
    answered = table('a"\n.txt', [0, 4, 2**40], ["k", -7, "ü"], ANSWERS, 3, "f00")
    file = writer(kind, path, output_schema(keyed=True, logits=True))
    for _ in range(batches):
        file.write(answered)
    file.close()
    return path


def of_jsonl(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def of_parquet(path):
    return pq.read_table(path).to_pylist()


def of_tfrecord(path):
    found = []
    for record in read_shard(str(path)):
        values = {name: value.tolist() for name, value in ExampleToNumpyDict(record.data).items()}
        row = {n: v if n == "logits" else v[0] for n, v in values.items()}
        found.append({n: v.decode() if isinstance(v, bytes) else v for n, v in row.items()})
    return found


READERS = {Format.JSON_LINES: of_jsonl, Format.TFRECORD: of_tfrecord, Format.PARQUET: of_parquet}


@pytest.mark.parametrize("kind", Format)
def test_every_format_holds_the_same(tmp_path, kind):
    found = READERS[kind](written(kind, tmp_path / "a", batches=2))
    assert [list(row) for row in found][:1] == [list(ROWS[0])] or kind is Format.TFRECORD
    for row, expected in zip(found, ROWS * 2, strict=True):
        assert {n: v for n, v in row.items() if n != "logits"} == {
            n: v for n, v in expected.items() if n != "logits"
        }
        # JSON knows no NaN.
        logits = [np.nan if v is None else v for v in row["logits"]]
        np.testing.assert_array_equal(np.array(logits, np.float32), np.array(expected["logits"], np.float32))


@pytest.mark.parametrize("kind", Format)
def test_the_same_answers_give_the_same_bytes(tmp_path, kind):
    first, second = written(kind, tmp_path / "a"), written(kind, tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("kind", Format)
def test_a_file_without_answers_can_be_read(tmp_path, kind):
    assert READERS[kind](written(kind, tmp_path / "a", batches=0)) == []


def test_bad_rows_are_written_as_the_ingest_writes_them(tmp_path):
    rows = [
        QuarantinedRow(b"x\xff", Reason.NOT_TEXT, "is not UTF-8", "/d/ä.txt", 5, 2**33),
        QuarantinedRow(b"", Reason.SEGMENTS, "has 1", "/d/ä.txt", 6, 2**33 + 3),
    ]
    for name in ("a", "b"):
        file = QuarantineWriter(tmp_path / name)
        file.write([])
        file.write(rows[:1])
        file.write(rows[1:])
        assert file.close()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes()[4:8] == bytes(4)  # no time: a later run would write another one
    found = [ExampleToNumpyDict(record.data) for record in read_shard(str(tmp_path / "a"))]
    assert [QuarantinedRow(*(value_of(row[n]) for n in NAMES)) for row in found] == [
        QuarantinedRow(*(v.encode() if isinstance(v, str) else v for v in row)) for row in rows
    ]


NAMES = ("row", "reason", "text", "file", "record", "offset")


def value_of(values):
    [value] = values.tolist()
    return value


def test_no_bad_rows_no_quarantine(tmp_path):
    file = QuarantineWriter(tmp_path / "a")
    file.write([])
    assert not file.close()
    assert list(tmp_path.iterdir()) == []


class Picky:
    """A model that refuses some rows, and with them each batch that they are in."""

    def __init__(self, *refused):
        self.refused, self.asked = set(refused), 0

    def ask(self, values):
        self.asked += 1
        if bad := self.refused.intersection(values):
            raise Refused(f"not {min(bad).decode()}")
        numbers = np.array([int(value) for value in values], np.float32)
        return Answers([value.decode() for value in values], numbers, numbers[:, None])


@pytest.mark.parametrize("refused", [(), (b"3",), (b"0", b"7"), tuple(b"%d" % n for n in range(8))])
def test_a_row_that_the_model_refuses_spoils_no_other(refused):
    model = Picky(*refused)
    batch = RowBatch(list(range(10, 18)), [b"%d" % n for n in range(8)], [f"k{n}" for n in range(8)], [])
    left, answers = ask_rows(model, batch, "f")
    good = [n for n in range(8) if b"%d" % n not in refused]
    assert left.records == [10 + n for n in good]
    assert left.keys == [f"k{n}" for n in good]
    assert [(row.record, row.reason, row.text) for row in left.bad] == [
        (10 + int(value), "refused by the model", f"not {value.decode()}") for value in sorted(refused)
    ]
    if good:
        assert answers.symbols == [str(n) for n in good]
        assert answers.logits[:, 0].tolist() == answers.probabilities.tolist() == good
    else:
        assert answers is None
    assert model.asked == 1 or refused


def test_long_rows_are_asked_about_in_small_batches():
    assert rows_at_once(SequenceSpec()) == 512
    assert rows_at_once(SequenceSpec(length=4096)) == 8
    assert rows_at_once(SequenceSpec(length=100_000)) == 1
