"""Looks whether the settings name what the rows hold, before anything is ingested. No TensorFlow."""

import difflib
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path

from tfx_bsl.coders.example_coder import ExampleToNumpyDict

from maskline.components.ingest.shards import read_shard
from maskline.pipeline.settings.load import Loaded
from maskline.transform.errors import InputError
from maskline.transform.labels import takes_names
from maskline.transform.shown import escaped, shown

_SHARDS, _ROWS = 3, 100  # at most, of each of the first shards
_KINDS = {"int64": "int64", "float32": "float", "object": "bytes"}
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
    rows, kinds = _kinds(shards)
    if not rows:
        return
    spec = loaded.settings.sequence
    for index, name in enumerate(spec.features):
        _check(loaded, ("sequence", "features", index), name, kinds, rows)
    _check(loaded, ("sequence", "label"), spec.label, kinds, rows, names=takes_names(spec))


def _check(
    loaded: Loaded, path: tuple[str | int, ...], name: str, kinds: Kinds, rows: int, *, names: bool = False
) -> None:
    """`names` says that the feature may hold names of classes, which are bytes."""
    found = kinds.get(name, frozenset())
    if "int64" in found or found == {"empty"} or (names and "bytes" in found):
        return
    node = loaded.values.get(path) or loaded.values.get(path[:2])
    origin = node.source if node else "the defaults"
    have = ", ".join(
        f"{escaped(key)} ({' or '.join(sorted(kinds[key]))})" for key in list(kinds)[:_MOST_NAMES]
    )
    have += f" and {len(kinds) - _MOST_NAMES} more" if len(kinds) > _MOST_NAMES else ""
    if found:
        problem = f"holds {' or '.join(sorted(found))}, and int64 ids are needed"
        advice = "write the ids of a vocabulary instead, as `maskline import` does for CSV and JSON Lines"
        if path[-1] == "label" and "bytes" in found:
            advice = "set task.kind=class with task.classes, or write ids"
    else:
        problem = f"is in none of the first {rows:,} rows"
        close = difflib.get_close_matches(name, list(kinds), n=1)
        advice = f"did you mean {escaped(close[0])}?" if close else "describe your data under `sequence`"
    where = ".".join(map(str, path[:2]))
    raise InputError(
        f"{origin}: {where}: {shown(name)} {problem}; rows have: {have or 'no feature'}; {advice}"
    )


def _kinds(shards: Iterable[Path]) -> tuple[int, Kinds]:
    """How many rows were looked at, and feature → the kinds of values that they hold."""
    rows = 0
    kinds: dict[str, set[str]] = {}
    for shard in islice(shards, _SHARDS):
        try:
            for record in islice(read_shard(str(shard)), _ROWS):
                try:
                    values = ExampleToNumpyDict(record.data)
                except RuntimeError:  # the ingest sets such a row aside, with its reason
                    continue
                rows += 1
                for name, value in values.items():
                    kind = "empty" if value is None or not len(value) else _KINDS[str(value.dtype)]
                    kinds.setdefault(name, set()).add(kind)
        except InputError:  # the ingest reports a damaged shard
            continue
    return rows, {name: frozenset(found - {"empty"} or found) for name, found in sorted(kinds.items())}
