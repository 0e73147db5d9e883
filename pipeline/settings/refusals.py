"""Turns what pydantic finds into one line: where it was set, the setting, the value, what is allowed."""

import difflib
from collections.abc import Mapping, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from maskline.pipeline.settings import fields
from maskline.pipeline.settings.values import Origin, YamlNode
from maskline.transform.errors import InputError
from maskline.transform.shown import shortened, shown

Path = tuple[str | int, ...]

_BRANCHES = ("literal[", "dict[")  # how pydantic names those of a union of words and a mapping


def first_refusal(error: ValidationError, values: YamlNode) -> InputError:
    """The first mistake, in the order of the file.

    Args:
      error: of the settings.
      values: what was validated, with sources.
    """
    found = [_mistake(details, values) for details in error.errors(include_url=False)]
    source, path, problem = min(found, key=lambda mistake: mistake[0].line or 0)
    return source.refuse(f"{dotted(path)}: {problem}" if path else problem)


def unknown(path: Sequence[str | int]) -> str:
    """Says that there is no such setting, which one may be meant, and which there are."""
    *parents, key = path
    found = fields.find(parents)
    section = found and fields.section_in(found[0])
    known = list(fields.keys(section)) if section else []
    close = difflib.get_close_matches(str(key)[:100], known, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"no such setting; {meant}allowed: {', '.join(known)}"


def dotted(path: Sequence[str | int]) -> str:
    """A path as it is written on the command line."""
    return ".".join(shortened(str(key)) for key in path)


def _mistake(details: ErrorDetails, values: YamlNode) -> tuple[Origin, Path, str]:
    path = _known(details["loc"], values)
    kind = details["type"]
    if kind == "extra_forbidden":
        return _source(path, values), path, unknown(path)
    if kind == "refused":
        context = details["ctx"]
        path = (*path, *_keys(context["key"]))
        return _source(path, values), path, context["reason"]
    if kind == "value_error":
        return _source(path, values), path, details["msg"].removeprefix("Value error, ")
    found = fields.find(path)
    allowed = fields.in_words(*found) if found else "something else"
    if kind == "missing":
        return _source(path, values), path, f"is missing; it is {allowed}"
    node = values.get(path)
    value = node.shown() if node else shown(details["input"])
    if str(details["loc"][-1]) == "[key]":
        pattern = details.get("ctx", {}).get("pattern", "another pattern")
        return _source(path, values), path, f"is not a name that is allowed here; it must match {pattern}"
    if allowed.startswith("text") and node and not isinstance(node.value, str | Mapping | list):
        allowed += "; put it in quotes"
    return _source(path, values), path, f"{value} is not allowed; it must be {allowed}"


def _keys(dotted_key: str) -> Path:
    return tuple(int(key) if key.isdigit() else key for key in dotted_key.split("."))


def _known(location: Path, values: YamlNode) -> Path:
    """A location without what pydantic adds to it, such as the branch of a union."""
    known: Path = ()
    for key in location:
        longer = (*known, key)
        if str(key).startswith(_BRANCHES):
            break
        if fields.find(longer) is None and values.get(longer) is None:
            break
        known = longer
    return known


def _source(path: Path, values: YamlNode) -> Origin:
    """Where the setting was set; for a default, where the settings beside it were: those it must fit."""
    for length in range(len(path), -1, -1):
        node = values.get(path[:length])
        if node is None:
            continue
        if length == len(path):
            return node.source
        set_there = [leaf.source for leaf in node.scalars() if leaf.source.kind not in ("preset", "default")]
        options = [source for source in set_there if source.kind == "option"]
        if set_there:
            return (options or set_there)[0]
        if length:
            return node.source
    return values.source
