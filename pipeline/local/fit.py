"""Looks whether the settings name what the rows hold, before anything is ingested. No TensorFlow."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from tfx_bsl.coders.example_coder import ExampleToNumpyDict

from maskline.components.ingest.groups import Values, key_of
from maskline.components.ingest.shards import read_shard
from maskline.pipeline.settings.load import Loaded
from maskline.transform import own_code
from maskline.transform.errors import InputError
from maskline.transform.labels import takes_names
from maskline.transform.shown import escaped, shown

_SHARDS, _ROWS = 3, 100  # at most, of each of the first shards
_KINDS = {int: "int64", float: "float", str: "bytes"}
_MOST_NAMES = 20

Kinds = Mapping[str, frozenset[str]]


def check(loaded: Loaded, shards: Iterable[Path]) -> None:
    """Refuses settings that name a feature that no row has, or that never holds ids.

    A feature that only some rows lack is a matter for the data gate.

    Args:
      loaded: the settings, with where each was set.
      shards: TFRecord files; the first rows of the first of them are looked at.

    Raises:
      InputError: names the setting, the features that the rows have, and the nearest name.
    """
    first = list(_first_rows(shards))
    rows, kinds = len(first), _kinds(first)
    if not rows:
        return
    spec = loaded.settings.sequence
    for index, name in enumerate(spec.features):
        _check(loaded, ("sequence", "features", index), name, kinds, rows, text=spec.text.reads_text)
    _check(loaded, ("sequence", "label"), spec.label, kinds, rows, names=takes_names(spec))
    for name in spec.numeric:
        found = kinds.get(name, frozenset())
        if "float" not in found and found != {"empty"}:
            problem = f"holds {' or '.join(sorted(found))}, and floats are needed" if found else ""
            problem = problem or f"is in none of the first {rows:,} rows"
            advice = "write a float list" if found else ""
            _refuse(loaded, ("sequence", "numeric", name), name, problem, kinds, advice)
    _check_split(loaded, first, kinds)


def _check_split(loaded: Loaded, first: Sequence[Values], kinds: Kinds) -> None:
    """Refuses a key of the split that none of the first rows has; a row that lacks it is set aside later."""
    split_by = loaded.settings.data.split_by
    if not split_by:
        return
    if not own_code.is_path(split_by):
        if split_by not in kinds:
            _refuse(
                loaded, ("data", "split_by"), split_by, f"is in none of the first {len(first):,} rows", kinds
            )
        return
    found = [key_of(values, split_by) for values in first]
    problems = [key.text for key in found if not isinstance(key, int)]
    if len(problems) == len(found):
        problem = f"gives none of the first {len(first):,} rows a key: {problems[0]}"
        _refuse(loaded, ("data", "split_by"), split_by, problem, kinds, advice="fix it, or name a feature")


def _check(
    loaded: Loaded,
    path: tuple[str | int, ...],
    name: str,
    kinds: Kinds,
    rows: int,
    *,
    names: bool = False,
    text: bool = False,
) -> None:
    """`names` says that the feature may hold names of classes, which are bytes, and `text` that it must."""
    found = kinds.get(name, frozenset())
    if ("bytes" if text else "int64") in found or found == {"empty"} or (names and "bytes" in found):
        return
    problem, advice = f"is in none of the first {rows:,} rows", ""
    if found:
        needed = "text, in bytes lists, is" if text else "int64 ids are"
        problem = f"holds {' or '.join(sorted(found))}, and {needed} needed"
        advice = "write the ids of a vocabulary instead, as `maskline import` does for CSV and JSON Lines"
        if text:
            advice = "set sequence.text.split=ids"
        elif "bytes" in found and path[-1] != "label":
            advice = "set sequence.text.split to words or characters, or write the ids of a vocabulary"
        if path[-1] == "label" and "bytes" in found:
            advice = "set task.kind=class with task.classes, or write ids"
    _refuse(loaded, path, name, problem, kinds, advice)


def _refuse(
    loaded: Loaded, path: tuple[str | int, ...], name: str, problem: str, kinds: Kinds, advice: str = ""
) -> NoReturn:
    node = loaded.values.get(path) or loaded.values.get(path[:2])
    origin = node.source if node else "the defaults"
    have = ", ".join(
        f"{escaped(key)} ({' or '.join(sorted(kinds[key]))})" for key in list(kinds)[:_MOST_NAMES]
    )
    have += f" and {len(kinds) - _MOST_NAMES} more" if len(kinds) > _MOST_NAMES else ""
    if not advice:
        close = difflib.get_close_matches(name, list(kinds), n=1)
        advice = f"did you mean {escaped(close[0])}?" if close else "describe your data under `sequence`"
    where = ".".join(map(str, path[:2]))
    raise InputError(
        f"{origin}: {where}: {shown(name)} {problem}; rows have: {have or 'no feature'}; {advice}"
    )


def _kinds(first: Iterable[Values]) -> Kinds:
    """Feature → the kinds of values that rows hold."""
    kinds: dict[str, set[str]] = {}
    for values in first:
        for name, value in values.items():
            kind = _KINDS[type(value[0])] if len(value) else "empty"
            kinds.setdefault(name, set()).add(kind)
    return {name: frozenset(found - {"empty"} or found) for name, found in sorted(kinds.items())}


def _first_rows(shards: Iterable[Path]) -> Iterator[Values]:
    """What the first rows hold."""
    for shard in islice(shards, _SHARDS):
        try:
            for record in islice(read_shard(str(shard)), _ROWS):
                try:
                    values = ExampleToNumpyDict(record.data)
                except RuntimeError:  # the ingest sets such a row aside, with its reason
                    continue
                yield {name: _listed(value) for name, value in values.items()}
        except InputError:  # the ingest reports a damaged shard
            continue


def _listed(value: Any) -> list[int] | list[float] | list[str]:
    """As `rows.values_of` has a feature."""
    values = [] if value is None else value.tolist()
    return (
        [v.decode("utf-8", "surrogateescape") for v in values]
        if values and isinstance(values[0], bytes)
        else values
    )
