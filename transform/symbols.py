"""Symbols and the files that list them: which are allowed, and how messages show them. No tensors."""

import difflib
import heapq
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from maskline.transform.errors import InputError
from maskline.transform.files import read_text
from maskline.transform.shown import BLANK, shown

MAX_BYTES = 64 << 20  # of a vocabulary's file
_LOOKED_AT = 2_000  # symbols that an unknown one is compared with in full, at most
_NEAREST = 3


def read_vocabulary(file: Path) -> list[str]:
    r"""Reads a vocabulary, one symbol per line.

    Lines end at `\n` or `\r\n` and nowhere else; a byte order mark at the start is dropped.

    Args:
      file: UTF-8 text. The last line may lack its end.

    Raises:
      InputError: the file cannot be read, or a line holds no symbol that is allowed; names the line.
    """
    lines = read_text(file, limit=MAX_BYTES).removeprefix("\ufeff").split("\n")
    if lines[-1] == "":
        lines.pop()
    symbols = [line.removesuffix("\r") for line in lines]
    if bad := _first_problem(symbols):
        raise InputError(f"{file}: line {bad[0] + 1}: {bad[1]}")
    if twice := _twice(symbols):
        lines_of = f"lines {twice[0] + 1} and {twice[1] + 1}"
        raise InputError(f"{file}: {lines_of} both hold {shown(symbols[twice[0]])}")
    return symbols


def vocabulary_problem(vocabulary: Sequence[str]) -> str | None:
    """Says what is wrong with a vocabulary, or None."""
    if bad := _first_problem(vocabulary):
        return f"symbol {bad[0]}: {bad[1]}"
    if twice := _twice(vocabulary):
        return f"symbols {twice[0]} and {twice[1]} are both {shown(vocabulary[twice[0]])}"
    return None


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
    near = ", ".join(map(shown, _nearest(symbol, vocabulary)))
    return f"{shown(symbol)} is not in the vocabulary" + (f"; nearest are {near}" if near else "")


def _can_be_seen(text: str) -> bool:
    return text.isprintable() and " " not in text and BLANK.isdisjoint(text)


def _first_problem(symbols: Sequence[str]) -> tuple[int, str] | None:
    """The place of the first symbol that is not allowed, and why it is not."""
    # One look at all characters together: a million symbols, one by one, would take seconds.
    if all(symbols) and _can_be_seen("".join(symbol for symbol in symbols if symbol != " ")):
        return None
    problems = ((index, symbol_problem(symbol)) for index, symbol in enumerate(symbols))
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
