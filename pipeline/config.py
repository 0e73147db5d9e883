"""One validated object configures a run. It is read from YAML, with overrides from the command line."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from maskline.pipeline.settings.aliases import current
from maskline.pipeline.settings.sections import BeamSettings, DataSettings, Settings
from maskline.trainer.settings import preset_values
from maskline.transform.errors import InputError

DEFAULT_FILE = Path("maskline.yaml")


# The names of earlier versions, until nothing here uses them.
BeamConfig = BeamSettings
Config = Settings
DataConfig = DataSettings


def load(file: Path | None = None, overrides: Sequence[str] = (), **options: Any) -> Config:
    """Reads the configuration.

    Args:
      file: a YAML file; without it `maskline.yaml` here where there is one, else the defaults. Paths
        in it are relative to its folder; a vocabulary may be the path of a file, a symbol a line.
      overrides: `path.to.key=value`, the value in YAML. Paths are relative to the working folder.
      options: `data` and `root`, paths, and `span`, that win over both.

    Returns:
      the validated configuration, its paths absolute.

    Raises:
      InputError: names the file or option, the key's path, the value and what is allowed.
    """
    if file is None and DEFAULT_FILE.exists():
        file = DEFAULT_FILE
    values = _read_yaml(file) if file else {}
    source, base = (str(file), file.parent) if file else ("the defaults", Path())
    values = _renamed(values)
    _resolve_paths(values, base)
    changed: dict[str, Any] = {}
    for override in overrides:
        _set(changed, override)
    if options.get("data"):
        changed.setdefault("data", {})["path"] = options["data"]
    if options.get("span") is not None:
        changed.setdefault("data", {})["span"] = options["span"]
    if options.get("root"):
        changed["root"] = options["root"]
    changed = _renamed(changed)
    _resolve_paths(changed, Path())
    values = _merge(values, changed)
    values = _merge(preset_values(values), values)
    values.setdefault("root", Path("maskline-root").absolute())
    values.setdefault("data", {}).setdefault("path", Path("data/reference").absolute())
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = _dotted(first)
        origin = "--set" if _has(changed, where) else source
        raise InputError(f"{origin}: {where}: {_reason(first)}") from None


def _renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    """With today's names for those of earlier versions."""
    renamed: dict[str, Any] = {}
    for section, inner in values.items():
        for key, value in inner.items() if isinstance(inner, dict) else ():
            top, *_ = current((section, key))
            renamed.setdefault(top, {})[key] = value
        if not isinstance(inner, dict) or not inner:
            renamed.setdefault(current((section,))[0], inner)
    return renamed


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())
        raise InputError(f"{file}: is not YAML ({text})") from None
    if not isinstance(values, dict | None):
        raise InputError(f"{file}: holds a {type(values).__name__}; a mapping of settings is needed")
    return values or {}


def _resolve_paths(values: dict[str, Any], base: Path) -> None:
    """Makes paths absolute and reads a vocabulary that is a file, in place."""
    if isinstance(values.get("root"), str | Path):
        values["root"] = (base / values["root"]).absolute()
    data = values.get("data")
    if isinstance(data, dict):
        for key in ("path", "schema"):
            if isinstance(data.get(key), str | Path):
                data[key] = (base / data[key]).absolute()
    sequence = values.get("sequence")
    if isinstance(sequence, dict) and isinstance(sequence.get("vocabulary"), str):
        file = base / sequence["vocabulary"]
        try:
            sequence["vocabulary"] = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"sequence.vocabulary: {file} cannot be read ({error})") from None


def _set(values: dict[str, Any], override: str) -> None:
    """Writes `path.to.key=value` into nested `values`."""
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise InputError(f"--set {override}: write it as path.to.key=value")
    *parents, last = path.split(".")
    for key in parents:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise InputError(f"--set {override}: '{key}' was already set to a value")
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise InputError(f"--set {override}: '{text}' is not YAML") from None


def _merge(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        both = isinstance(value, dict) and isinstance(below, dict)
        merged[key] = _merge(below, value) if both else value  # type: ignore[arg-type]
    return merged


def _has(values: Any, dotted: str) -> bool:
    for key in dotted.split("."):
        if not isinstance(values, dict) or key not in values:
            return False
        values = values[key]
    return True


def _dotted(error: ErrorDetails) -> str:
    return ".".join(map(str, error["loc"])) or "the settings"


def _reason(error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        *parents, key = map(str, error["loc"])
        known = _keys(parents)
        close = difflib.get_close_matches(key, known, n=1)
        return f"no such setting; {f'did you mean {close[0]}? ' if close else ''}allowed: {', '.join(known)}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] in ("value_error", "refused"):
        return message
    return f"{error['input']!r} is not allowed: {message}"


def _keys(parents: Sequence[str]) -> list[str]:
    """The names of the settings under a key's path."""
    model: Any = Config
    for key in parents:
        if hasattr(model, "model_fields"):
            model = model.model_fields[key].annotation
        else:  # the values of a mapping or a list
            model = _model_in(model)
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> Any:
    """The settings in a type such as `tuple[Threshold, ...] | None`."""
    inner = [_model_in(part) for part in get_args(annotation)]
    found = [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else inner
    return next((model for model in found if model), None)
