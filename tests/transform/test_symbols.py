"""Vocabulary files and symbols: where lines end, which symbols are allowed, and how messages show them."""

import os
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec
from maskline.transform.shown import shown
from maskline.transform.symbols import (
    not_in_vocabulary,
    read_vocabulary,
    symbol_problem,
    vocabulary_problem,
)
from tests.fuzz import cases


def written(folder, content):
    file = folder / "words.txt"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


@pytest.mark.parametrize(
    "content",
    ["a\nb\nyes", "a\nb\nyes\n", "a\r\nb\r\nyes\r\n", "\ufeffa\nb\nyes\n", "a\nb\r\nyes"],
    ids=["no last end", "last end", "Windows", "byte order mark", "mixed"],
)
def test_lines_are_symbols(tmp_path, content):
    assert read_vocabulary(written(tmp_path, content)) == ["a", "b", "yes"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a\nb\nc\nb\x85ish\nyes", r"line 4: 'b\x85ish' holds white space, U+0085; remove it"),
        ("a\nb\u2028c", r"line 2: 'b\u2028c' holds white space, U+2028 LINE SEPARATOR; remove it"),
        ("a\x0bb", r"line 1: 'a\x0bb' holds white space, U+000B; remove it"),
        ("a\nx\x1cy", r"line 2: 'x\x1cy' holds white space, U+001C; remove it"),
        ("a\rb\n", r"line 1: 'a\rb' holds white space, U+000D; remove it"),
        ("a\nb ", "line 2: 'b ' holds white space, U+0020 SPACE; remove it"),
        ("a\n\t\n", r"line 2: '\t' holds white space, U+0009; remove it"),
        ("a\n\xa0", r"line 2: '\xa0' holds white space, U+00A0 NO-BREAK SPACE; remove it"),
        ("a\n\ufeffb", r"line 2: '\ufeffb' holds an invisible character, U+FEFF ZERO WIDTH NO-BREAK SPACE"),
        ("a\nb\u200b", r"line 2: 'b\u200b' holds an invisible character, U+200B ZERO WIDTH SPACE"),
        ("a\nb\u202e", r"line 2: 'b\u202e' holds an invisible character, U+202E RIGHT-TO-LEFT OVERRIDE"),
        ("a\n\u3164", r"line 2: '\u3164' holds an invisible character, U+3164 HANGUL FILLER"),
        ("a\nb\x1b[31m", r"line 2: 'b\x1b[31m' holds an invisible character, U+001B; remove it"),
        ("a\n\nb", "line 2: is empty; a symbol is needed"),
        ("a\nb\nc\nb\n", "words.txt: lines 2 and 4 both hold 'b'"),
        (b"a\n\xff\n", "words.txt: is not UTF-8 text (byte 2)"),
    ],
)
def test_line_that_holds_no_symbol_is_named(tmp_path, content, problem):
    with pytest.raises(InputError) as refused:
        read_vocabulary(written(tmp_path, content))
    assert problem in str(refused.value)
    assert str(refused.value).isprintable()


def test_what_is_not_a_file_of_bounded_size_is_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with open(tmp_path / "sparse", "wb") as sparse:
        sparse.truncate(1 << 40)
    for path, problem in [
        ("/dev/zero", "/dev/zero: is not a regular file"),
        (tmp_path / "fifo", "fifo: is not a regular file"),
        (tmp_path, "cannot be read (Is a directory)"),
        (tmp_path / "sparse", "sparse: is larger than 64 MiB"),
        (tmp_path / "none", "none: there is no such file"),
    ]:
        with pytest.raises(InputError) as refused:
            read_vocabulary(type(tmp_path)(path))
        assert problem in str(refused.value)


def test_a_check_of_many_symbols_is_linear(tmp_path):
    """One that is quadratic took 4 s for 20,000 symbols."""
    count = 1_000_000
    file = written(tmp_path, "\n".join(["<pad>", "sep", *(f"w{n}" for n in range(count))]))
    began = time.process_time()
    spec = SequenceSpec(vocabulary=read_vocabulary(file), padding="<pad>", separator="sep")
    assert (spec.size, spec.ids[f"w{count - 1}"], spec.separator_id) == (count + 2, count + 1, 1)
    assert f"'w{count - 1}'" in not_in_vocabulary(f"w{count - 1}x", spec.vocabulary)
    assert time.process_time() - began < 40


@pytest.mark.parametrize("symbol", ["a", " ", "é", "日本", "👍🏽", "e\u0301", "<pad>", "#", "'"])
def test_what_can_be_seen_is_a_symbol(symbol):
    assert symbol_problem(symbol) is None


def test_vocabulary_in_the_settings_is_held_to_the_same_rules():
    assert vocabulary_problem(["a", "b", "a"]) == "symbols 0 and 2 are both 'a'"
    with pytest.raises(ValidationError, match=r"symbol 2: 'x\\x85' holds white space, U\+0085"):
        SequenceSpec(vocabulary=(" ", ":", "x\x85"))


def test_unknown_symbol_is_shown_with_the_nearest_and_never_with_all():
    words = ["<pad>", "sep", "yes", "yess", "no", "not", *(f"word-{n}" for n in range(10_000))]
    assert not_in_vocabulary("yse", words) == "'yse' is not in the vocabulary; nearest are 'yes', 'sep'"
    assert not_in_vocabulary("Q" * 500, words) == f"'{'Q' * 59}…' is not in the vocabulary"
    assert not_in_vocabulary("?", SequenceSpec().vocabulary) == (
        "'?' is not in the vocabulary; nearest are '=', ':', '9'"
    )
    assert len(not_in_vocabulary("word-x", words)) < 100


def test_text_is_shown_on_one_line():
    assert shown("a\nb\x1b[1m\udcff") == r"'a\nb\x1b[1m\udcff'"
    assert shown("日 é") == "'日 é'"


pieces = [*"abcé日 \n\n\n\r\x85\u2028\x0b\x1c\ufeff\u200b", "\r\n"]


@cases(200)
@given(parts=st.lists(st.sampled_from(pieces), max_size=12))
def test_symbols_are_the_lines_or_one_is_refused(tmp_path_factory, parts):
    """The n-th symbol is the n-th line, cut at line feeds alone; or one of the lines is refused."""
    content = "".join(parts)
    file = written(tmp_path_factory.getbasetemp(), content)
    lines = content.removeprefix("\ufeff").split("\n")
    lines = [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]
    if lines and all(map(visible, lines)) and len(set(lines)) == len(lines):
        assert read_vocabulary(file) == lines
    elif lines:
        with pytest.raises(InputError) as refused:
            read_vocabulary(file)
        assert str(refused.value).isprintable()


def visible(symbol):
    return symbol == " " or (symbol != "" and all(unicodedata.category(c)[0] not in "CZ" for c in symbol))
