"""What the classes of the settings say about a setting: its type, its limits in words, its unit."""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from maskline.pipeline.settings.sections import Settings
from maskline.transform.settings import Section


class Field(NamedTuple):
    """One setting.

    Attributes:
      path: its keys, such as `("training", "epochs")`.
      info: what its class declares.
    """

    path: tuple[str, ...]
    info: FieldInfo

    @property
    def name(self) -> str:
        """As it is written on the command line."""
        return ".".join(self.path)

    @property
    def description(self) -> str:
        """What it means."""
        return self.info.description or ""

    @property
    def unit(self) -> str:
        """Of its number; empty where it has none."""
        extra = self.info.json_schema_extra
        return str(extra.get("unit", "")) if isinstance(extra, dict) else ""

    @property
    def allowed(self) -> str:
        """Its type and limits, as in `an integer from 1 to 99`."""
        return in_words(self.info.annotation, self.info.metadata)


def section_in(annotation: Any) -> type[Section] | None:
    """The section that a type is or, as `tuple[Threshold, ...] | None`, contains."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation if issubclass(annotation, Section) else None
    return next(filter(None, map(section_in, get_args(annotation))), None)


def is_section(annotation: Any) -> bool:
    """True for a section itself, not for a list of them."""
    return isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, Section)


def holds_others(annotation: Any) -> bool:
    """True for sections, lists and mappings: what is empty there is left out, and the default holds."""
    annotation, _ = _bare(annotation, ())
    return is_section(annotation) or get_origin(annotation) in (tuple, dict)


def is_path(path: Sequence[str]) -> bool:
    """True for a setting whose text is a path."""
    found = find(path)
    is_list = tuple(path) in (("sequence", "vocabulary"), ("task", "classes"))
    return is_list or (found is not None and found[0] is Path)


def keys(section: type[Section]) -> Mapping[str, FieldInfo]:
    """The settings of a section by the names that a user writes."""
    return {info.alias or name: info for name, info in section.model_fields.items()}


def all_fields(section: type[Section] = Settings, path: tuple[str, ...] = ()) -> Iterator[Field]:
    """Every setting that is no section, in order; those of a list's entries are not among them."""
    for key, info in keys(section).items():
        inner = section_in(info.annotation)
        if inner and is_section(info.annotation):
            yield from all_fields(inner, (*path, key))
        else:
            yield Field((*path, key), info)


def find(path: Sequence[str | int]) -> tuple[Any, Sequence[Any]] | None:
    """Type and limits of what stands at a path, such as `("training", "hidden", 0)`; None for no setting."""
    annotation: Any = Settings
    metadata: Sequence[Any] = ()
    for key in path:
        annotation, metadata = _bare(annotation, metadata)
        # Of a choice between words and a mapping, such as `training.class_weights`, the mapping has keys.
        mappings = [part for part in get_args(annotation) if get_origin(part) is dict]
        annotation = mappings[0] if len(mappings) == 1 else annotation
        if is_section(annotation):
            info = keys(annotation).get(str(key))
            if info is None:
                return None
            annotation, metadata = info.annotation, info.metadata
        elif get_origin(annotation) is tuple:
            annotation, metadata = get_args(annotation)[0], ()
        elif get_origin(annotation) is dict:
            annotation, metadata = get_args(annotation)[1], ()
        else:
            return None
    return _bare(annotation, metadata)


def in_words(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """What a type with limits allows, as in `a number above 0 and up to 1000`."""
    annotation, metadata = _bare(annotation, metadata)
    if annotation is bool:
        return "true or false"
    if choices := _choices(annotation):
        return _choice(choices)
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(in_words(part) for part in get_args(annotation) if part is not type(None))
    if annotation in (int, float):
        return ("an integer" if annotation is int else "a number") + _range(metadata)
    if annotation is Path:
        return "a path"
    if get_origin(annotation) is tuple:
        return f"a list{_size(metadata)}, each {in_words(get_args(annotation)[0])}"
    if get_origin(annotation) is dict:
        return f"a mapping of names to values, each {in_words(get_args(annotation)[1])}"
    if annotation is str:
        return "text" + _text(metadata)
    return "a mapping of settings"


def _choices(annotation: Any) -> list[Any]:
    """The values that a type lists, as of a literal, an enumeration or a union of such; else none."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [member.value for member in annotation]
    if get_origin(annotation) in (Union, UnionType):
        parts = [_choices(part) for part in get_args(annotation)]
        return [value for part in parts for value in part] if all(parts) else []
    return []


def _bare(annotation: Any, metadata: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
    """Without `Annotated` and without `| None`."""
    if get_origin(annotation) is Annotated:
        inner, *limits = get_args(annotation)
        return _bare(inner, [*metadata, *_flat(limits)])
    if get_origin(annotation) in (Union, UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        if len(parts) == 1:
            return _bare(parts[0], metadata)
    return annotation, metadata


def _flat(limits: Sequence[Any]) -> Iterator[Any]:
    for limit in limits:
        yield from limit.metadata if isinstance(limit, FieldInfo) else (limit,)


def _limit(metadata: Sequence[Any], name: str) -> Any:
    found = [getattr(limit, name, None) for limit in metadata]
    return next((value for value in found if value is not None), None)


def _range(metadata: Sequence[Any]) -> str:
    low, above = _limit(metadata, "ge"), _limit(metadata, "gt")
    high, below = _limit(metadata, "le"), _limit(metadata, "lt")
    if low is not None and high is not None:
        return f" from {_number(low)} to {_number(high)}"
    start = f" of at least {_number(low)}" if low is not None else ""
    start = f" above {_number(above)}" if above is not None else start
    end = f" up to {_number(high)}" if high is not None else ""
    end = f" below {_number(below)}" if below is not None else end
    return start + (" and" if start and end else "") + end


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else f"{value:g}"


def _size(metadata: Sequence[Any]) -> str:
    low, high = _limit(metadata, "min_length"), _limit(metadata, "max_length")
    start = f" of at least {low}" if low else ""
    return start + (f" of up to {high}" if high else "")


def _text(metadata: Sequence[Any]) -> str:
    pattern, high = _limit(metadata, "pattern"), _limit(metadata, "max_length")
    text = " that is not empty" if _limit(metadata, "min_length") else ""
    text += f" of up to {high} characters" if high else ""
    return text + (f" that matches {pattern}" if pattern else "")


def _choice(values: Sequence[Any]) -> str:
    named = [f"'{value}'" if value == "" else str(value) for value in values]
    return f"{', '.join(named[:-1])} or {named[-1]}" if len(named) > 1 else named[0]
