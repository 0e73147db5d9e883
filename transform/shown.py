"""How a value that a user gave is shown in a message: short, on one line, and harmless to a terminal."""

from collections.abc import Iterable, Mapping
from typing import Any

# Printable by Unicode's categories, and yet nothing to be seen: fillers, joiners and an empty Braille cell.
BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_LONGEST = 60  # characters of a value that a message shows


def shown(value: Any) -> str:
    """A value for a message: at most 60 characters, on one line, control characters escaped.

    Text stands in quotes; what is neither list nor mapping is written as in YAML.
    """
    if isinstance(value, str):
        return f"'{shortened(value)}'"
    if isinstance(value, bool | None):
        return {True: "true", False: "false", None: "nothing"}[value]
    if isinstance(value, Mapping):
        return _joined("{}", (f"{shortened(str(k))}: {shown(v)}" for k, v in value.items()))
    if isinstance(value, list | tuple):
        return _joined("[]", map(shown, value))
    return str(value)


def shortened(text: str) -> str:
    """At most 60 characters of a text, escaped."""
    return escaped(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")


def escaped(text: str) -> str:
    """A text on one line; control and other invisible characters are escaped: none acts on a terminal."""
    return "".join(c if c.isprintable() and c not in BLANK else _escape(c) for c in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", errors="backslashreplace").decode("ascii")


def _joined(brackets: str, parts: Iterable[str]) -> str:
    text = ""
    for part in parts:
        text += f", {part}" if text else part
        if len(text) > _LONGEST:
            return f"{brackets[0]}{text[:_LONGEST]}…{brackets[1]}"
    return f"{brackets[0]}{text}{brackets[1]}"
