"""Reading rows to ask a model about. No TensorFlow."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskline.pipeline.predict import files, rows
from maskline.pipeline.predict.checks import TextCheck
from maskline.pipeline.predict.files import FileKind
from maskline.pipeline.predict.rows import Fields
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec, text_problem
from tests.fuzz import cases
from tests.support import GOOD, write_shard

SPACED = SequenceSpec(
    features=("a", "b", "c"), label="y", vocabulary=("<pad>", "|", "red", "rot", "é"), separator="|",
    padding="<pad>", length=8,
)  # fmt: skip
SPECS = {"characters": SequenceSpec(), "spaced": SPACED}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@cases(150)
@given(data=st.data())
def test_the_quick_check_says_what_the_thorough_one_says(spec, data):
    pieces = [*spec.vocabulary, " ", "\t", "\r", "\n", "\x1c", "\u2003", "?", "redrot", "\ud800"]
    text = "".join(data.draw(st.lists(st.sampled_from(pieces), max_size=24)))
    assert TextCheck(spec)(text) == text_problem(text, spec)


@pytest.mark.parametrize(
    ("spec", "text"), [(SequenceSpec(), "x" * 19 + ":x"), (SPACED, "red red | red red | red red red")]
)
def test_the_quick_check_lets_no_long_row_through(spec, text):
    problem = TextCheck(spec)(text)
    assert problem is not None
    assert problem.reason == "too long"
    assert TextCheck(spec)(text[spec.splits_on_spaces * 3 + 1 :]) is None


def read(path, spec=SequenceSpec(), fields=Fields(), size=3):  # noqa: B008, both are constants
    return list(rows.read_input(path, files.kind_of(path), spec, fields, size))


def test_lines_keep_their_numbers_and_bad_ones_stay_out_of_the_batch(tmp_path):
    path = tmp_path / "rows.txt"
    path.write_bytes(b"\xef\xbb\xbfx=1:x\r\nx=Q:x\n\nx=\xff:x\nx=2:x\nx=3:x")
    first, second = read(path)
    assert (first.records, first.values) == ([0], [b"x=1:x"])
    assert (second.records, second.values) == ([4, 5], [b"x=2:x", b"x=3:x"])
    bad = [*first.bad, *second.bad]
    assert [(row.record, row.data) for row in bad] == [(1, b"x=Q:x"), (2, b""), (3, b"x=\xff:x")]
    assert [row.offset for row in bad] == [10, 16, 17]  # behind the mark, `x=1:x` and its line's end
    assert [row.reason for row in bad] == ["outside vocabulary", "wrong number of segments", "not UTF-8 text"]


def test_a_line_that_is_too_long_is_cut_and_set_aside(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "MAX_LINE", 16)
    monkeypatch.setattr(rows, "_TOO_LONG", 13)
    path = tmp_path / "rows.txt"
    path.write_bytes(b"x=1:x\n" + b"x" * 100 + b"\nx=2:x\n")
    [batch] = read(path, size=9)
    assert batch.records == [0, 2]
    assert [(row.record, row.data, row.reason) for row in batch.bad] == [(1, b"x" * 16, "too long")]


def test_json_lines_with_keys(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    lines = [
        {"id": 7, "q": "x=1:x"}, {"id": "b", "q": "x=2:x"}, {"q": "x=3:x"}, {"id": 1}, {"id": 1, "q": 5},
        ["x=1:x"], {"id": True, "q": "x=1:x"}, {"id": 2**63, "q": "x=1:x"}, {"id": "\ud800", "q": "x=1:x"},
    ]  # fmt: skip
    text = "\n".join(map(json.dumps, lines)) + '\n{"id": 1\n{"id": 1, "q": "\\ud800"}\n'
    path.write_bytes(gzip.compress(text.encode()))
    [batch] = read(path, fields=Fields("q", "id"), size=99)
    assert (batch.records, batch.keys, batch.values) == ([0, 1], [7, "b"], [b"x=1:x", b"x=2:x"])
    problems = {row.record: f"{row.reason}: {row.text}" for row in batch.bad}
    key = "missing: has no text or integer in its field 'id', which is the key"
    assert [problems[n] for n in (2, 6, 7, 8)] == [key] * 4
    assert problems[3] == "missing: has no field 'q'"
    assert problems[4] == "missing: has no text in its field 'q'"
    assert problems[5].startswith("not a JSON object: is not a JSON object")
    assert problems[9].startswith("not a JSON object: is not JSON (")
    assert problems[10].startswith("not UTF-8 text: field 'q' holds half of a surrogate pair")


def test_rows_before_a_damage_are_given(tmp_path):
    path = tmp_path / "rows.txt.gz"
    whole = gzip.compress(b"".join(b"x=%d:x\n" % number for number in range(20_000)))
    path.write_bytes(whole[: len(whole) // 2])
    found = []
    batches = rows.read_input(path, FileKind.TEXT, SequenceSpec(), Fields(), 100)
    with pytest.raises(InputError, match=r"rows.txt.gz: its gzip stream breaks off"):
        found.extend(number for batch in batches for number in batch.records)
    assert found == list(range(len(found)))
    assert 5_000 < len(found) < 15_000


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a", b"", FileKind.TEXT),
        ("a", b"x=1:x\n", FileKind.TEXT),
        ("a", b"x=\xff:x\n", FileKind.TEXT),  # one bad row does not spoil the others
        ("a", b"x=\x1c\2:x\n", FileKind.TEXT),
        ("a.json.gz", gzip.compress(b"{}\n", mtime=0), FileKind.JSON_LINES),
        ("a.NDJSON", b"{}\n", FileKind.JSON_LINES),
        ("a", "é".encode() * 40_000 + b"x", FileKind.TEXT),
        ("a", b"x" + "é".encode() * 40_000, FileKind.TEXT),  # the first look ends within a character
    ],
)  # fmt: skip
def test_kinds_of_text(tmp_path, name, content, kind):
    (tmp_path / name).write_bytes(content)
    assert files.kind_of(tmp_path / name) is kind


@pytest.mark.parametrize("compress", [False, True])
def test_shards_are_known_by_their_content(tmp_path, compress):
    path = write_shard(tmp_path / "a.txt", [GOOD], compress=compress)
    assert files.kind_of(path) is FileKind.EXAMPLES


@pytest.mark.parametrize(
    "content", [b"\x7fELF\0\0", b"PK\3\4\xff", "x=1:x".encode("utf-16"), b"a" * 60_000 + b"\xff\2"]
)
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "a.bin").write_bytes(content)
    with pytest.raises(InputError, match=r"a.bin: is neither TFRecord nor text in UTF-8"):
        files.kind_of(tmp_path / "a.bin")


def test_a_folder_a_file_and_a_pattern(tmp_path):
    for name in ("a.txt", "b.txt", "sub/c.txt", "_SUCCESS", "d[1].txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)  # other sizes, so none is taken for another

    def names(data):
        return [shard.name for shard in files.find(data).shards]

    assert names(tmp_path / "a.txt") == ["a.txt"]
    assert names(tmp_path / "d[1].txt") == ["d[1].txt"]
    assert names(tmp_path / "?.txt") == ["a.txt", "b.txt"]
    assert names(tmp_path / "**/c*") == ["sub/c.txt"]
    assert names(tmp_path / "sub") == ["c.txt"]
    for data, problem in (
        (tmp_path, r"sub: is a folder with a shard's name; move it, or let --data reach its files"),
        (tmp_path / "*.csv", r"no shard matches '\*.csv' \(--data\)"),
        (tmp_path / "nothing", "no such data directory"),
    ):
        with pytest.raises(InputError, match=problem):
            files.find(data)
