"""The settings that are in force, each with where it was set: as YAML for a person, as JSON for programs."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from maskline.pipeline.settings import fields
from maskline.pipeline.settings.load import Loaded
from maskline.pipeline.settings.values import Origin
from maskline.pipeline.settings.yaml_text import scalar

_COLUMN = 44  # where the sources begin, beside values that leave them room
_DEFAULT = "default"
_SYMBOLS = 3  # of a vocabulary's file
_PLAIN = re.compile(r"[A-Za-z0-9_./~][-A-Za-z0-9_./+]*")


def as_json(loaded: Loaded) -> dict[str, dict[str, Any]]:
    """Setting → `value`, `from` (default, preset, file, root or option) and `where`, such as `a.yaml:3`."""
    found = {}
    for field in fields.all_fields():
        source = _source(loaded, field.path)
        kind, where = (source.kind, str(source)) if source else (_DEFAULT, "")
        found[field.name] = {"value": _value(loaded, field.path), "from": kind, "where": where}
    return found


def as_yaml(loaded: Loaded) -> Iterator[str]:
    """The lines of a YAML file that sets what is in force; a comment says where each value comes from."""
    before: tuple[str, ...] = ()
    for field in fields.all_fields():
        *parents, key = field.path
        for depth, parent in enumerate(parents):
            if tuple(parents[: depth + 1]) != before[: depth + 1]:
                yield f"{'  ' * depth}{parent}:"
        before = tuple(parents)
        line = f"{'  ' * len(parents)}{key}: "
        source = str(_source(loaded, field.path) or _DEFAULT)
        value = _value(loaded, field.path)
        if file := _file_of(loaded, field.path):
            line += _text(file)
            source += f": {', '.join(value[:_SYMBOLS])}, … {len(value):,} symbols"
        else:
            line += _flow(value)
        yield f"{line:<{_COLUMN}}  # {source}"


def _file_of(loaded: Loaded, path: tuple[str, ...]) -> str | None:
    """The file that holds a list, where one was given in its place, as for a vocabulary."""
    node = loaded.values.get(path)
    return node.text if node is not None and isinstance(node.value, list) else None


def _source(loaded: Loaded, path: tuple[str, ...]) -> Origin | None:
    node = loaded.values.get(path)
    if node is None or node.source.kind == _DEFAULT:
        return None
    leaves = list(node.scalars())
    return leaves[0].source if leaves else node.source


def _value(loaded: Loaded, path: tuple[str, ...]) -> Any:
    """In JSON's types."""
    value: Any = loaded.settings
    for key in path:
        names = {info.alias or name: name for name, info in type(value).model_fields.items()}
        holder, name = value, names[key]
        value = getattr(value, name)
    return holder.model_dump(mode="json")[name]


def _flow(value: Any) -> str:
    """A value in YAML's flow style, on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(str(k))}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _text(value) if isinstance(value, str) else repr(value)


def _text(value: str) -> str:
    """Text as YAML reads it back: plain where that is safe, else in double quotes."""
    if _PLAIN.fullmatch(value) and isinstance(scalar(value), str):
        return value
    return json.dumps(value, ensure_ascii=not value.isprintable())
