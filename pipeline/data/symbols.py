"""Turns the values of a table into symbols of a vocabulary. Pure; no files."""

import math
import re
import unicodedata
from enum import StrEnum
from typing import Any

from maskline.transform.shown import BLANK

PADDING, SEPARATOR, UNKNOWN = "<pad>", "<sep>", "<unk>"
_LARGEST = 3.4028235e38  # of float32
_RESERVED = (PADDING, SEPARATOR)
_WORD = re.compile(r"\w+|[^\w\s]")
# A symbol of several characters is read between spaces, so a space needs a visible stand-in.
VISIBLE_SPACE = "␣"


class Tokens(StrEnum):
    """How a text is cut into symbols.

    `words`: lower-case words and single punctuation marks. `spaces`: whatever stands between spaces, as
    it is. `characters`: each character, a white space as `␣`. A list's items are symbols as they are.
    """

    WORDS = "words"
    SPACES = "spaces"
    CHARACTERS = "characters"


def symbols_of(value: Any, tokens: Tokens) -> list[str]:
    """The symbols of one value.

    Args:
      value: a text, a number, true or false, or a list of these.
      tokens: how texts are cut.

    Returns:
      at least one symbol; no symbol holds white space.

    Raises:
      ValueError: says in words what is wrong with the value.
    """
    items = [_one(item) for item in value] if isinstance(value, list) else _cut(value, tokens)
    if not items:
        raise ValueError("is empty")
    for item in items:
        if item in _RESERVED:
            raise ValueError(f"holds {item}, which is reserved; name the symbol otherwise")
    return items


def label_of(value: Any) -> str:
    """The one symbol of a label; white space within it becomes `_`.

    Raises:
      ValueError: says in words what is wrong with the value.
    """
    if isinstance(value, list):
        if len(value) != 1:
            raise ValueError(f"holds {len(value)} values; a label is one")
        value = value[0]
    label = _one(value)
    if label in (*_RESERVED, UNKNOWN):
        raise ValueError(f"is {label}, which is reserved; name the label otherwise")
    return label


def numbers_of(value: Any, length: int | None = None) -> list[float]:
    """The numbers of one value: a number, a text that is one, or a list of these.

    Args:
      value: of a column.
      length: how many are needed; None where any number of them will do.

    Raises:
      ValueError: says in words what is wrong with the value.
    """
    found = []
    for item in value if isinstance(value, list) else [value]:
        try:
            number = math.nan if isinstance(item, bool) else float(item)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not abs(number) <= _LARGEST:
            raise ValueError("holds something other than finite numbers")
        found.append(number)
    if len(found) != (length or max(1, len(found))):
        raise ValueError(f"holds {len(found)} numbers; the first row's {length} are needed in each")
    return found


def _cut(value: Any, tokens: Tokens) -> list[str]:
    if value is None:
        raise ValueError("is empty")
    if not isinstance(value, str):
        return [_one(value)]
    if not (text := _normal(value)).strip():
        raise ValueError("is empty")
    if tokens is Tokens.WORDS:
        return _WORD.findall(text.lower())
    if tokens is Tokens.SPACES:
        return text.split()
    return [VISIBLE_SPACE if character.isspace() else character for character in text.strip()]


def _one(value: Any) -> str:
    if value is None:
        raise ValueError("is empty")
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise ValueError(f"holds a JSON {'array' if isinstance(value, list) else 'object'} within")
    symbol = "_".join(_normal(str(value)).split())
    if not symbol:
        raise ValueError("is empty")
    return symbol


def _normal(text: str) -> str:
    """Without invisible characters, and in one form for those that look alike (Unicode's NFC)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("is not valid UTF-8 text") from None
    return unicodedata.normalize("NFC", "".join(c for c in text if c.isspace() or _is_seen(c)))


def _is_seen(character: str) -> bool:
    """Whether the settings allow it in a symbol; a soft hyphen or a control character is not."""
    return character.isprintable() and character not in BLANK
