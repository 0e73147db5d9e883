"""Reads YAML 1.2 into values that know their line. Size, depth and aliases are bounded.

ruamel.yaml splits the text into events; what a scalar means follows the core schema of YAML 1.2.2, section
10.3.2 (https://yaml.org/spec/1.2.2/): `on` and `yes` are text, `010` is ten, `1:30` and dates are text.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from maskline.pipeline.settings.values import Origin, YamlNode
from maskline.transform.errors import InputError
from maskline.transform.shown import escaped, shortened

MAX_BYTES = 512 * 1024
MAX_DEPTH = 16
MAX_VALUES = 100_000  # aliases count as what they stand for
_MAX_NUMBER = 100  # characters; Python itself refuses integers of more than 4,300 digits


class NotYamlError(InputError):
    """The text is not YAML, where other errors say that YAML holds too much, or what settings do not have."""


_NULL = re.compile(r"|~|null|Null|NULL")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)


@lru_cache(maxsize=16)  # a command asks for its file's settings several times; nodes do not change
def read(text: str, source: Origin, path: tuple[str, ...] = ()) -> YamlNode:
    """Reads one document.

    Args:
      text: YAML 1.2, at most `MAX_BYTES` long.
      source: where the text stands; each node gets it with a line of its own.
      path: the setting that the text is for; empty where it holds all settings.

    Raises:
      NotYamlError: it is not YAML.
      InputError: it is too large or too deep, holds a key twice, a tag or a second document.
    """
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise source.refuse(f"holds more than {MAX_BYTES // 1024} KiB; settings are shorter")
    reader = _Reader(source, path)
    try:
        return reader.document(YAML(typ="safe", pure=True).parse(text))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        where = source.at(line)
        raise NotYamlError(f"{where}: is not YAML: {shown_text(error.problem or error.context)}") from None
    except (YAMLError, ValueError, OverflowError) as error:  # the last two for escapes such as \UFFFFFFFF
        if isinstance(error, InputError):
            raise
        raise NotYamlError(f"{source}: is not YAML: {shown_text(error)}") from None


def scalar(text: str) -> Any:
    """What a plain scalar stands for: None, a boolean, a number, or the text itself.

    A number of more than 100 characters stays text, and no setting takes it.
    """
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if len(text) > _MAX_NUMBER:
        return text
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text.replace(".", "", 1) if text[-3:].isalpha() else text)
    return text


def shown_text(words: object) -> str:
    """A message of another library, on one line and without control characters."""
    return escaped(" ".join(str(words).split()))


class _Reader:
    """Builds nodes from the events of one text."""

    def __init__(self, source: Origin, path: tuple[str, ...]) -> None:
        self._source = source
        self._path = path
        self._anchors: dict[str, YamlNode] = {}
        self._sizes: dict[int, int] = {}
        self._values = 0

    def document(self, events: Iterator[Any]) -> YamlNode:
        next(events)  # the beginning of the stream
        found = YamlNode(None, self._source.at(1))
        documents = 0
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._at(event).refuse("a second document begins; settings are one")
                found = self._node(next(events), events, self._path, depth=0)
        return found

    def _node(self, event: Any, events: Iterator[Any], path: tuple[str, ...], *, depth: int) -> YamlNode:
        where = self._at(event)
        if isinstance(event, AliasEvent):
            if event.anchor not in self._anchors:
                raise where.refuse(f"*{shown_text(event.anchor)} refers to no anchor; quote a text with a *")
            known = self._anchors[event.anchor]
            self._count(self._sizes[id(known)], where)
            return YamlNode(known.value, where, known.text)
        if event.tag is not None:
            raise where.refuse(f"tag {shown_text(event.tag)}: settings have no tags; quote a text with a !")
        if depth > MAX_DEPTH:
            raise where.refuse(f"lists and mappings are nested more than {MAX_DEPTH} deep")
        before = self._values
        self._count(1, where)
        if isinstance(event, ScalarEvent):
            plain = event.implicit[0]
            node = YamlNode(
                scalar(event.value) if plain else event.value, where, event.value if plain else None
            )
        elif isinstance(event, SequenceStartEvent):
            node = YamlNode(list(self._items(events, path, depth=depth + 1)), where)
        else:
            node = YamlNode(self._mapping(events, path, depth=depth + 1), where)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
            self._sizes[id(node)] = self._values - before
        return node

    def _items(self, events: Iterator[Any], path: tuple[str, ...], *, depth: int) -> Iterator[YamlNode]:
        while not isinstance(event := next(events), SequenceEndEvent):
            yield self._node(event, events, path, depth=depth)

    def _mapping(self, events: Iterator[Any], path: tuple[str, ...], *, depth: int) -> Mapping[str, YamlNode]:
        found: dict[str, YamlNode] = {}
        lines: dict[str, int | None] = {}
        while not isinstance(event := next(events), MappingEndEvent):
            where = self._at(event)
            if not isinstance(event, ScalarEvent):
                raise where.refuse("a key is a list, a mapping or an alias; keys are names")
            key = event.value
            if key in found:
                name = ".".join((*path, shortened(key)))
                again = f"here and in line {lines[key]}" if lines[key] else "twice"  # an option has no lines
                raise where.refuse(f"{name}: is set {again}; keep one of them")
            lines[key] = where.line
            found[key] = self._node(next(events), events, (*path, shortened(key)), depth=depth)
        return found

    def _count(self, values: int, where: Origin) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise where.refuse(f"holds more than {MAX_VALUES:,} values, aliases counted as what they repeat")

    def _at(self, event: Any) -> Origin:
        return self._source.at(event.start_mark.line + 1)
