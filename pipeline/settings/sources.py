"""Reads what one source sets: a file, or the options of the command line."""

import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from maskline.pipeline.settings import fields, paths, yaml_text
from maskline.pipeline.settings.aliases import with_current_names
from maskline.pipeline.settings.refusals import dotted, unknown
from maskline.pipeline.settings.sections import Settings
from maskline.pipeline.settings.values import Origin, YamlNode, merge
from maskline.transform.errors import InputError
from maskline.transform.shown import escaped, shortened, shown


class Given(NamedTuple):
    """What one source sets, by today's names, and a notice for each old name in it."""

    values: YamlNode
    notices: tuple[str, ...] = ()


def read_file(file: Path) -> Given:
    """What a file sets.

    Raises:
      InputError: it cannot be read, is not YAML or holds no settings.
    """
    source = Origin("file", str(file))
    try:
        source = Origin("file", str(file), folder=paths.normal(str(file), Path()).parent)
        file = file.expanduser()
        if not stat.S_ISREG(file.stat().st_mode):
            raise source.refuse("is not a file; give the YAML file that holds the settings")
        with file.open("rb") as opened:
            text = opened.read(yaml_text.MAX_BYTES + 1).decode("utf-8-sig")
    except OSError as error:
        raise source.refuse(f"cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise source.refuse(f"is not UTF-8 text (byte {error.start})") from None
    values = yaml_text.read(text, source)
    if values.value is None:
        values = YamlNode({}, source)
    if not isinstance(values.value, Mapping):
        raise values.source.refuse(f"holds {values.shown()}; settings are a mapping, such as `data:`")
    return prepared(values)


def from_options(overrides: Sequence[str] = (), **options: Any) -> Given:
    """What options of the command line set, the later over the earlier.

    Raises:
      InputError: one is not written as `path.to.key=value`, or is malformed.
    """
    found, notices = YamlNode({}, Origin("option", "--set")), list[str]()
    given = [_override(text) for text in overrides]
    for name, path in (("data", "data.path"), ("span", "data.span"), ("root", "root")):
        if options.get(name) is not None:
            text = str(options[name])
            value = yaml_text.scalar(text) if name == "span" else text
            given.append(nested(path.split("."), YamlNode(value, Origin("option", f"--{name}"), text)))
    for values in given:
        single = prepared(values)
        found = merge(found, single.values)
        notices += single.notices
    return Given(found, tuple(dict.fromkeys(notices)))


def _override(text: str) -> YamlNode:
    """`path.to.key=value` as nested values."""
    key, equals, value = text.partition("=")
    path = key.split(".")
    if not equals or not all(path):
        raise InputError(f"--set {escaped(text)}: write it as path.to.key=value")
    if len(path) > yaml_text.MAX_DEPTH:
        raise InputError(f"--set: {shortened(key)}: no such setting")
    source = Origin("option", "--set")
    return nested(path, _option_value(value, source, tuple(path)))


def _option_value(text: str, source: Origin, path: tuple[str, ...]) -> YamlNode:
    """A list, mapping or quoted text as YAML; anything else as a number, true, false, null or as it stands.

    So a text needs no second quotes: `data.pattern=*.gz` is one, though no YAML.
    """
    if text.startswith(("[", "{", '"', "'")):
        try:
            return yaml_text.read(text, source, path)
        except yaml_text.NotYamlError:
            return YamlNode(text, source)
    value = yaml_text.scalar(text.strip()) if text.strip() else text
    return YamlNode(text if isinstance(value, str) else value, source, text.strip())


def nested(path: Sequence[str], node: YamlNode) -> YamlNode:
    """A value at a path, in mappings."""
    for key in reversed(path):
        node = YamlNode({key: node}, node.source)
    return node


def prepared(values: YamlNode) -> Given:
    """By today's names, empty sections left out, paths absolute."""
    named, notices = with_current_names(values)
    return Given(_checked(named, Settings, ()), tuple(notices))


def _checked(node: YamlNode, annotation: Any, path: tuple[str, ...]) -> YamlNode:
    """A section without what is empty in it, so that there the defaults hold, and with absolute paths."""
    if not isinstance(node.value, Mapping):
        raise node.source.refuse(
            f"{dotted(path)}: {node.shown()} is not allowed; it must be a mapping of settings"
        )
    kept: dict[str, YamlNode] = {}
    for key, inner in node.value.items():
        info = fields.keys(annotation).get(key)
        if info is None:
            raise inner.source.refuse(f"{dotted((*path, key))}: {unknown((*path, key))}")
        if inner.value is None and fields.holds_others(info.annotation):
            continue
        if fields.is_section(info.annotation):
            kept[key] = _checked(inner, info.annotation, (*path, key))
            continue
        _check_text(inner, (*path, key))
        if isinstance(inner.value, str) and fields.is_path((*path, key)):
            inner = _absolute(inner, (*path, key))
        kept[key] = inner
    return YamlNode(kept, node.source)


def _check_text(node: YamlNode, path: tuple[str, ...]) -> None:
    """Refuses text that is no Unicode, such as half of a surrogate pair."""
    for text, source in node.texts():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise source.refuse(f"{dotted(path)}: {shown(text)} is not Unicode text") from None


def _absolute(node: YamlNode, path: tuple[str, ...]) -> YamlNode:
    try:
        absolute = paths.normal(node.value, node.source.folder)
    except ValueError as error:
        raise node.source.refuse(f"{dotted(path)}: {node.shown()}: {error}") from None
    return YamlNode(str(absolute), node.source)
