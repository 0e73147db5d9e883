"""CSV and JSON Lines become shards: exact rows, one line for what is wrong, the same bytes again."""

import gzip
import json
import os
import tracemalloc

import pytest
from click.testing import CliRunner
from tfx_bsl.coders.example_coder import ExampleToNumpyDict

from maskline.components.ingest.shards import read_shard
from maskline.pipeline.cli import cli
from maskline.pipeline.data.importing import Options, _survey, import_rows
from maskline.pipeline.data.symbols import Tokens, symbols_of
from maskline.pipeline.settings.load import load
from maskline.transform.errors import InputError

TEXTS = [("Book a flight!", "book"), ("is it  raining", "weather"), ("Book a TRAIN", "book")]


def write_csv(path, rows=TEXTS, header="text,intent"):
    path.write_text("\n".join([header, *(f'"{text}",{answer}' for text, answer in rows)]) + "\n")
    return path


def rows_of(folder, config):
    """The shards' rows as symbols, read by the settings that were written."""
    spec = load(config).sequence
    for shard in sorted((folder / "shards").iterdir()):
        for record in read_shard(str(shard)):
            yield {
                name: [spec.named(name, i) for i in ids]
                for name, ids in ExampleToNumpyDict(record.data).items()
            }


def test_rows_of_a_csv_file_are_symbols_of_the_written_vocabulary(tmp_path):
    file = write_csv(tmp_path / "a.csv")
    made = import_rows([file], tmp_path / "out", Options(text=("text",), label="intent", rows_per_shard=2))
    assert list(rows_of(tmp_path / "out", made.settings)) == [
        {"text": ["book", "a", "<unk>", "<unk>"], "intent": ["book"]},
        {"text": ["<unk>", "<unk>", "<unk>"], "intent": ["weather"]},
        {"text": ["book", "a", "<unk>"], "intent": ["book"]},
    ]
    assert made.vocabulary == ("<pad>", "<sep>", "<unk>", "a", "book")
    assert load(made.settings).sequence.answers == ("book", "weather")
    assert (made.shards, made.length) == (2, 4)


def test_settings_load_and_name_the_data_beside_them(tmp_path):
    made = import_rows(
        [write_csv(tmp_path / "a.csv")], tmp_path / "out", Options(text=("text",), label="intent")
    )
    config = load(made.settings)
    assert config.data.path == tmp_path / "out/shards"
    assert config.root == tmp_path / "out/maskline-root"
    assert config.sequence.length == 4
    assert config.release_gate.min_accuracy == pytest.approx(2 / 3 + 0.005, abs=1e-3)
    assert [s.begins for s in config.slices] == [("book", "weather")]
    assert len(made.settings.read_text().splitlines()) <= 16


def test_json_lines_take_lists_numbers_and_several_columns(tmp_path):
    file = tmp_path / "a.jsonl.gz"
    lines = [
        {"pages": [7, "a b", 7], "shop site": "x y", "bought": True},
        {"pages": [7], "shop site": 3, "bought": False},
    ]
    file.write_bytes(gzip.compress("\n\n".join(map(json.dumps, lines)).encode()))
    options = Options(text=("pages", "shop site"), label="bought", min_count=1)
    made = import_rows([file], tmp_path / "out", options)
    assert list(rows_of(tmp_path / "out", made.settings)) == [
        {"pages": ["7", "a_b", "7"], "shop_site": ["x", "y"], "bought": ["true"]},
        {"pages": ["7"], "shop_site": ["3"], "bought": ["false"]},
    ]
    assert made.length == 6
    assert made.example == "7 a_b 7 <sep> x y"


@pytest.mark.parametrize(
    ("tokens", "symbols"),
    [
        (Tokens.WORDS, ["don", "'", "t", "go", "¡", "é", "!"]),
        (Tokens.SPACES, ["Don't", "go", "¡É!"]),
        (Tokens.CHARACTERS, [*"Don't", "␣", *"go", "␣", *"¡É!"]),
    ],
)
def test_texts_are_cut_as_asked(tokens, symbols):
    decomposed = " Don't go\t¡E\u0301! "
    if tokens is Tokens.CHARACTERS:
        decomposed = decomposed.replace("\t", "\u2028")
    assert symbols_of(decomposed, tokens) == symbols


def test_settings_take_a_vocabulary_from_texts_with_invisible_characters(tmp_path):
    texts = [("co\u00adoperate \x80 ab\u2800c", "ye\u200bs"), ("cooperate \u00ad", "no")]
    options = Options(text=("text",), label="intent", min_count=1)
    made = import_rows([write_csv(tmp_path / "a.csv", texts)], tmp_path / "out", options)
    assert load(made.settings).sequence.vocabulary == ("<pad>", "<sep>", "<unk>", "cooperate", "abc")
    assert load(made.settings).sequence.answers == ("no", "yes")
    only = write_csv(tmp_path / "b.csv", [("\u00ad", "no")])
    with pytest.raises(InputError, match="line 2: column 'text' is empty"):
        import_rows([only], tmp_path / "other", options)


def test_the_same_files_give_the_same_bytes(tmp_path):
    file = write_csv(tmp_path / "a.csv", TEXTS * 20)
    for out in ("one", "two"):
        import_rows([file], tmp_path / out, Options(text=("text",), label="intent", rows_per_shard=7))
    one, two = (
        {p.relative_to(tmp_path / out): p.read_bytes() for p in (tmp_path / out).rglob("*") if p.is_file()}
        for out in ("one", "two")
    )
    assert one == two
    assert len(one) == 9 + 3


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        (
            "a.csv",
            b"text;intent\nhello;a\n",
            "has no column 'text'; its header names 'text;intent'; if ','",
        ),
        ("a.csv", b"text,text,intent\n", "names column 'text' 2 times"),
        ("a.csv", b"text,intent\nhello,a,b\n", "line 2: has 3 fields; the header names 2"),
        ("a.csv", b"text,intent\n\n,a\n", "line 3: column 'text' is empty"),
        ("a.csv", b"text,intent\nhello,\n", "line 2: column 'intent' is empty"),
        ("a.csv", b'text,intent\n"hello,a\nx,b\n', "line 2: is not CSV (unexpected end of data); is a quote"),
        ("a.csv", b"text,intent\nhello \xff,a\n", "line 2: column 'text' is not valid UTF-8"),
        ("a.csv", b"\xff\xfet\x00", "is UTF-16"),
        ("a.csv", b"", "has no column 'text'; its header names nothing"),
        ("a.csv", b"text,intent\n", "no row that can be used"),
        ("a.csv", b"text,intent\nx,a\ny,a\n", "holds one answer only, 'a'"),
        ("a.csv", b"text,intent\nx,<pad>\n", "line 2: column 'intent' is <pad>, which is reserved"),
        ("a.txt", b"text,intent\n", "is neither CSV nor JSON Lines by its name"),
        ("a.csv.gz", gzip.compress(b"text,intent\nx,a\n" * 99, mtime=0)[:-9], "its gzip stream is truncated"),
        ("a.jsonl", b'{"text": "x", "intent": "a"}\n{"text": "x"\n', "line 2: is not JSON ("),
        ("a.jsonl", b"[1]\n", "line 1: is not a JSON object"),
        ("a.jsonl", b'{"text": "x", "label": "a"}\n', "line 1: has no key 'intent'; it has 'text', 'label'"),
        ("a.jsonl", b'{"text": null, "intent": "a"}\n', "line 1: column 'text' is empty"),
        ("a.jsonl", b'{"text": [], "intent": "a"}\n', "line 1: column 'text' is empty"),
        ("a.jsonl", b'{"text": {"x": 1}, "intent": "a"}\n', "line 1: column 'text' holds a JSON object"),
        ("a.jsonl", b'{"text": ["<pad>"], "intent": "a"}\n', "line 1: column 'text' holds <pad>"),
        ("a.jsonl", b'{"text": "\\ud800", "intent": "a"}\n', "line 1: column 'text' is not valid UTF-8"),
        ("a.jsonl", b'{"text": NaN, "intent": "a"}\n', "line 1: is not JSON (NaN is not a JSON value)"),
        ("a.jsonl", b'{"text": "x", "intent": "a", "text": "y"}\n', "is not JSON (key 'text' stands twice)"),
        ("a.jsonl", b'{"text": "x", "intent": ["a", "b"]}\n', "line 1: column 'intent' holds 2 values"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, name, content, problem):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as refused:
        import_rows([tmp_path / name], tmp_path / "out", Options(text=("text",), label="intent"))
    assert problem in str(refused.value)
    assert str(tmp_path / name) in str(refused.value) or "column 'intent' holds one" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("text", "label", "problem"),
    [
        (("text",), "text", "is given twice"),
        (("a b", "a_b"), "intent", "are both called 'a_b'"),
    ],
)
def test_columns_need_names_of_their_own(tmp_path, text, label, problem):
    with pytest.raises(InputError, match=problem):
        import_rows([tmp_path / "a.csv"], tmp_path / "out", Options(text=text, label=label))


def test_a_pipe_or_device_is_no_table(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    (tmp_path / "b.csv").symlink_to("/dev/zero")
    for name in ("a.csv", "b.csv"):
        with pytest.raises(InputError, match=f"{name}: is not a file; give a CSV or JSON Lines file"):
            import_rows([tmp_path / name], tmp_path / "out", Options(text=("text",), label="intent"))


def test_a_label_must_occur_again_and_again(tmp_path):
    file = write_csv(tmp_path / "a.csv", [("x", f"id{i}") for i in range(30)])
    with pytest.raises(InputError, match="holds 30 different answers in 30 rows"):
        import_rows([file], tmp_path / "out", Options(text=("text",), label="intent"))


def test_skipped_rows_are_counted_by_reason(tmp_path):
    file = write_csv(tmp_path / "a.csv", [*TEXTS, ("", "book"), (" ", "book")])
    result = CliRunner().invoke(
        cli,
        ["import", str(file), "--out", str(tmp_path / "out"), "--text", "text", "--label", "intent",
         "--skip-bad"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "3 rows in 1 shard" in result.output
    assert "answers: book 2 (66.7%), weather 1 (33.3%)" in result.output
    assert "6 of 10 symbols (60.0%) are rare and became <unk>" in result.output
    assert "dropped 2 rows: column 'text' is empty" in result.output
    assert f"maskline run --config {tmp_path}/out/maskline.yaml" in result.output


def test_few_very_long_rows_do_not_decide_the_length(tmp_path):
    rows = [("x " * 20, "a"), ("x " * 30, "b")] * 1000 + [("x " * 5000, "a")]
    file = write_csv(tmp_path / "a.csv", rows)
    made = import_rows([file], tmp_path / "out", Options(text=("text",), label="intent"))
    assert made.length == 128


def test_memory_does_not_grow_with_the_rows(tmp_path):
    def peak(rows):
        file = write_csv(tmp_path / "a.csv", TEXTS * rows)
        tracemalloc.start()
        _survey([file], Options(text=("text",), label="intent"))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)  # whatever is made once
    assert peak(3000) < 1.5 * peak(300)


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    file = write_csv(tmp_path / "a.csv")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("precious")
    with pytest.raises(InputError, match="is not empty"):
        import_rows([file], tmp_path / "out", Options(text=("text",), label="intent"))
    assert (tmp_path / "out/mine").read_text() == "precious"


def test_numeric_columns_become_float_lists_of_one_length(tmp_path):
    lines = [
        {"text": "a b", "heat": 21.5, "place": [1, 2], "intent": "yes"},
        {"text": "a", "heat": "20", "place": [3, 4.5], "intent": "no"},
        {"text": "a", "heat": True, "place": [3, 4], "intent": "no"},
        {"text": "a", "heat": 1e39, "place": [3, 4], "intent": "no"},
        {"text": "a", "heat": 20, "place": [3], "intent": "no"},
    ]
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    options = Options(text=("text",), label="intent", numeric=("heat", "place"), min_count=1)
    with pytest.raises(InputError, match=r"line 3: column 'heat' holds something other than finite numbers"):
        import_rows([file], tmp_path / "out", options)
    made = import_rows([file], tmp_path / "out", options.model_copy(update={"skip_bad": True}))
    assert made.survey.bad == {
        "column 'heat' holds something other than finite numbers": 2,
        "column 'place' holds 1 numbers; the first row's 2 are needed in each": 1,
    }
    spec = load(made.settings).sequence
    assert (spec.features, spec.numeric, spec.label) == (("text",), {"heat": 1, "place": 2}, "intent")
    assert made.example == "a b\t21.5\t1.0\t2.0"
    [shard] = (tmp_path / "out/shards").iterdir()
    rows = [ExampleToNumpyDict(record.data) for record in read_shard(str(shard))]
    assert [(row["heat"].tolist(), row["place"].tolist()) for row in rows] == [
        ([21.5], [1.0, 2.0]),
        ([20.0], [3.0, 4.5]),
    ]
