"""Settings with some at other values, and whether a sweep over them is possible. No TensorFlow."""

import difflib
from collections.abc import Mapping
from typing import Any

from maskline.pipeline.settings import fields
from maskline.pipeline.settings.load import Loaded, validated
from maskline.pipeline.settings.sections import Settings
from maskline.pipeline.settings.sources import Given, nested
from maskline.pipeline.settings.tune import TuneRange
from maskline.pipeline.settings.values import Origin, merge, tree
from maskline.transform.errors import InputError
from maskline.transform.shown import shown

_SECTIONS = ("model", "training")
# They name, and do not improve, a training.
_NEVER = ("training.seed", "training.seeds", "training.warm_start", "model.preset")
_SOURCE = Origin("option", "tune")


def check(loaded: Loaded) -> None:
    """Refuses a sweep over nothing, over a setting that is not there, or with a value that is not allowed.

    Raises:
      InputError: names the setting.
    """
    space = loaded.settings.tune
    if not space:
        raise InputError(
            "tune: no setting to try is named; write a section such as "
            "`tune: {training.learning_rate: {min: 0.001, max: 0.02, log: true}, model.width: [32, 64]}`"
        )
    for name, tried in space.items():
        _check_name(name)
        if not isinstance(tried, TuneRange) and not tried:
            raise InputError(f"tune.{name}: the list is empty; give the values to try")
        for value in _ends(name, tried) if isinstance(tried, TuneRange) else tried:
            with_values(loaded, {name: value})


def _check_name(name: str) -> None:
    known = [f.name for f in fields.all_fields() if f.path[0] in _SECTIONS and f.name not in _NEVER]
    if name in known:
        return
    if name in _NEVER:
        raise InputError(f"tune.{name}: cannot be tried; it says which training it is, not how good it gets")
    close = difflib.get_close_matches(name, known, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    raise InputError(
        f"tune: {shown(name)}: no such setting; {meant}a sweep tries those of `model` and `training`"
    )


def _ends(name: str, tried: TuneRange) -> list[float | int]:
    return [as_type(name, end) for end in (tried.min, tried.max)]


def as_type(name: str, value: float) -> float | int:
    """A number of a range as its setting takes it."""
    found = fields.find(name.split("."))
    return int(value) if found and found[0] is int else value


def with_values(loaded: Loaded, values: Mapping[str, Any]) -> Settings:
    """The settings with others in place of some.

    Raises:
      InputError: one is not allowed, or some do not fit each other.
    """
    options = loaded.options.values
    for name, value in values.items():
        options = merge(options, nested(name.split("."), tree(value, _SOURCE)))
    return validated(loaded.base, Given(options), loaded.file).settings
