"""Values that know where they were set."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maskline.transform.errors import InputError
from maskline.transform.shown import escaped, shortened, shown


@dataclass(frozen=True)
class Origin:
    """Where a value was set.

    Attributes:
      kind: `default`, `preset`, `file`, `root` (remembered there) or `option`.
      name: as a person knows it: the file, `preset reference`, `--set`.
      folder: what a relative path is relative to.
      line: in the file, from 1.
    """

    kind: str
    name: str
    folder: Path = Path()
    line: int | None = None

    def at(self, line: int) -> "Origin":
        """A line of the file; an option has none."""
        return replace(self, line=line) if self.kind == "file" else self

    def refuse(self, problem: str) -> InputError:
        """The error that says what is wrong here."""
        return InputError(f"{self}: {problem}")

    def __str__(self) -> str:
        name = escaped(self.name)
        return f"{name}:{self.line}" if self.line else name


@dataclass(frozen=True)
class YamlNode:
    """A value with its source; `text` is what was written, for a plain scalar.

    Mappings and lists hold nodes; a list that stands in a file of its own holds plain values.
    """

    value: Any
    source: Origin
    text: str | None = None

    def plain(self) -> Any:
        """The value without sources."""
        if isinstance(self.value, Mapping):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, Sequence) and not isinstance(self.value, str):
            return [node.plain() if isinstance(node, YamlNode) else node for node in self.value]
        return self.value

    def shown(self) -> str:
        """As it was written, short and without control characters."""
        if self.text is not None and not isinstance(self.value, str):
            return shortened(self.text) or "nothing"
        return shown(self.plain())

    def get(self, path: Sequence[str | int]) -> "YamlNode | None":
        """The node at a path, or None."""
        node: YamlNode | None = self
        for key in path:
            if not isinstance(node, YamlNode):
                return None
            if isinstance(node.value, Mapping):
                node = node.value.get(str(key))
            elif isinstance(node.value, list) and isinstance(key, int) and key < len(node.value):
                node = node.value[key]
            else:
                return None
        return node if isinstance(node, YamlNode) else None

    def scalars(self) -> Iterator["YamlNode"]:
        """All nodes below this one, and itself, that are neither list nor mapping."""
        if isinstance(self.value, Mapping):
            for node in self.value.values():
                yield from node.scalars()
        elif isinstance(self.value, list) and all(isinstance(node, YamlNode) for node in self.value):
            for node in self.value:
                yield from node.scalars()
        else:
            yield self

    def texts(self) -> Iterator[tuple[str, Origin]]:
        """All text in it, keys too, with its source."""
        if isinstance(self.value, str):
            yield self.value, self.source
        inner = self.value.items() if isinstance(self.value, Mapping) else ()
        for key, node in inner:
            yield key, node.source
            yield from node.texts()
        for node in self.value if isinstance(self.value, list) else ():
            yield from node.texts()


def tree(value: Any, source: Origin) -> YamlNode:
    """A plain value as nodes of one source."""
    if isinstance(value, Mapping):
        return YamlNode({str(key): tree(inner, source) for key, inner in value.items()}, source)
    if isinstance(value, list | tuple):
        return YamlNode([tree(inner, source) for inner in value], source)
    return YamlNode(value, source)


def merge(below: YamlNode, above: YamlNode) -> YamlNode:
    """Both, where `above` wins; mappings are merged key by key."""
    if not isinstance(below.value, Mapping) or not isinstance(above.value, Mapping):
        return above
    merged = dict(below.value)
    for key, node in above.value.items():
        merged[key] = merge(merged[key], node) if key in merged else node
    return YamlNode(merged, above.source)
