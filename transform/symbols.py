"""Symbols and the files that list them: which are allowed, and how messages show them. No tensors."""

import difflib
import heapq
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from maskline.transform.errors import InputError
from maskline.transform.files import read_text
from maskline.transform.shown import BLANK, shown

MAX_BYTES = 64 << 20  # of a vocabulary's file
_LOOKED_AT = 2_000  # symbols that an unknown one is compared with in full, at most
_NEAREST = 3


def read_vocabulary(file: Path, problem_of: Callable[[str], str | None] | None = None) -> list[str]:
    r"""Reads a vocabulary, one symbol per line.

    Lines end at `\n` or `\r\n` and nowhere else; a byte order mark at the start is dropped.

    Args:
      file: UTF-8 text. The last line may lack its end.
      problem_of: says why what a line holds is not allowed; by default `symbol_problem`.

    Raises:
      InputError: the file cannot be read, or a line holds no symbol that is allowed; names the line.
    """
    lines = read_text(file, limit=MAX_BYTES).removeprefix("\ufeff").split("\n")
    if lines[-1] == "":
        lines.pop()
    symbols = [line.removesuffix("\r") for line in lines]
    if bad := _first_problem(symbols, problem_of or symbol_problem):
        raise InputError(f"{file}: line {bad[0] + 1}: {bad[1]}")
    if twice := _twice(symbols):
        lines_of = f"lines {twice[0] + 1} and {twice[1] + 1}"
        raise InputError(f"{file}: {lines_of} both hold {shown(symbols[twice[0]])}")
    return symbols


def vocabulary_problem(vocabulary: Sequence[str]) -> str | None:
    """Says what is wrong with a vocabulary, or None."""
    return names_problem("symbol", vocabulary, symbol_problem)


def names_problem(kind: str, names: Sequence[str], problem_of: Callable[[str], str | None]) -> str | None:
    """Says what is wrong with a list of symbols or classes, or None.

    Args:
      kind: what they are, for the message.
      names: in the order of their ids.
      problem_of: says what is wrong with one of them.
    """
    if bad := _first_problem(names, problem_of):
        return f"{kind} {bad[0]}: {bad[1]}"
    if twice := _twice(names):
        plural = "classes" if kind == "class" else f"{kind}s"
        return f"{plural} {twice[0]} and {twice[1]} are both {shown(names[twice[0]])}"
    return None


def class_problem(name: str) -> str | None:
    """Says why a class's name is not allowed, or None. Other than a symbol, it may hold spaces within."""
    if not name:
        return "is empty; a class is needed"
    if name != name.strip():
        return f"{shown(name)} begins or ends with white space; remove it"
    return symbol_problem(name.replace(" ", "_"))


def symbol_problem(symbol: str) -> str | None:
    """Says why a symbol is not allowed, or None. A single space is; it is what the sample data pad with."""
    if not symbol:
        return "is empty; a symbol is needed"
    if symbol == " " or _can_be_seen(symbol):
        return None
    bad = next(c for c in symbol if not c.isprintable() or c == " " or c in BLANK)
    kind = "white space" if bad.isspace() else "an invisible character"
    point = f"U+{ord(bad):04X} {unicodedata.name(bad, '')}".strip()
    return f"{shown(symbol)} holds {kind}, {point}; remove it"


def not_in_vocabulary(symbol: str, vocabulary: Sequence[str]) -> str:
    """Says that a symbol is unknown, and which known ones are nearest."""
    return not_among(symbol, vocabulary, "in the vocabulary")


def not_among(name: str, known: Sequence[str], place: str) -> str:
    """Says that a name is not in a place, such as `in the vocabulary`, and which known ones are nearest."""
    near = ", ".join(map(shown, _nearest(name, known)))
    return f"{shown(name)} is not {place}" + (f"; nearest are {near}" if near else "")


def _can_be_seen(text: str) -> bool:
    return text.isprintable() and " " not in text and BLANK.isdisjoint(text)


def _first_problem(symbols: Sequence[str], problem_of: Callable[[str], str | None]) -> tuple[int, str] | None:
    """The place of the first symbol that is not allowed, and why it is not."""
    of_symbols = problem_of is symbol_problem
    # One look at all characters together: a million symbols, one by one, would take seconds.
    if all(symbols) and _can_be_seen(
        "".join(symbol for symbol in symbols if not of_symbols or symbol != " ")
    ):
        return None
    problems = ((index, problem_of(symbol)) for index, symbol in enumerate(symbols))
    return next(((index, problem) for index, problem in problems if problem), None)


def _twice(symbols: Sequence[str]) -> tuple[int, int] | None:
    """The places of the first symbol that comes twice."""
    if len(set(symbols)) == len(symbols):
        return None
    places: dict[str, int] = {}
    for index, symbol in enumerate(symbols):
        if (first := places.setdefault(symbol, index)) != index:
            return first, index
    return None


def _nearest(symbol: str, vocabulary: Sequence[str]) -> list[str]:
    """Up to three symbols that were perhaps meant: by code point where all are single characters."""
    if len(symbol) == 1 and all(len(known) == 1 for known in vocabulary):
        return heapq.nsmallest(_NEAREST, vocabulary, key=lambda known: abs(ord(known) - ord(symbol)))
    looked_at = heapq.nsmallest(_LOOKED_AT, vocabulary, key=lambda known: _unlike(symbol, known))
    return difflib.get_close_matches(symbol, looked_at, n=_NEAREST)


def _unlike(symbol: str, known: str) -> tuple[int, int]:
    """Smaller for more characters in common at the start, then for a length nearer to the symbol's."""
    common = next((i for i, (a, b) in enumerate(zip(symbol, known, strict=False)) if a != b), len(known))
    return -common, abs(len(known) - len(symbol))
