"""One validated object configures a run. It is read from YAML, with overrides from the command line."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from maskline.components.data_gate.rules import DataGateConfig
from maskline.components.evaluation.slices import SliceSpec, default_slices
from maskline.components.ingest import spans
from maskline.components.model_checks.checks import ModelChecksSettings
from maskline.components.release_gate.rules import ReleaseRules
from maskline.pipeline.cluster.settings import ClusterSettings
from maskline.trainer.config import TrainerSettings
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec

DEFAULT_FILE = Path("maskline.yaml")


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataConfig(_Settings):
    """Where the shards are."""

    path: Path = Path("data/reference")
    pattern: str = Field("*.tfrecord*", min_length=1)
    presplit: bool = False
    span: int | str = spans.LATEST
    window: int = Field(1, ge=1)
    allow_fewer: bool = False
    success_marker: str = ""
    unchanged_for: float = Field(60, ge=0)
    schema_file: Path | None = Field(None, alias="schema")
    eval_percent: int = Field(20, ge=1, le=99)
    on_corrupt: Literal["fail", "quarantine"] = "fail"

    @model_validator(mode="after")
    def _spans_agree(self) -> Self:
        if problem := spans.pattern_problem(self.path):
            raise ValueError(f"path {self.path}: {problem}")
        if not spans.is_pattern(self.path) and (self.span != spans.LATEST or self.window > 1):
            asked = "span" if self.span != spans.LATEST else "window"
            raise ValueError(
                f"{asked} needs a path with {{SPAN}} or {{YYYY}}-{{MM}}-{{DD}}; it is {self.path}"
            )
        return self

    @property
    def complete(self) -> dict[str, Any]:
        """When a span is complete, as `maskline.components.ingest.spans.find` takes it."""
        return {"success_marker": self.success_marker, "unchanged_for": self.unchanged_for}


class BeamConfig(_Settings):
    """How Beam runs."""

    # `DirectRunner` would first try to download another runner; this one never does. Naming a container
    # image keeps TFX from packing itself into an archive for remote workers before every Beam job,
    # two seconds each; in memory there are no remote workers. TFX's pipelines are typed as they are.
    args: tuple[str, ...] = (
        "--runner=FnApiRunner",
        "--direct_running_mode=in_memory",
        "--sdk_container_image=none",
        "--no_pipeline_type_check",
    )


class Config(TrainerSettings):
    """Everything that a run depends on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path = Path("maskline-root")
    data: DataConfig = DataConfig()
    sequence: SequenceSpec = SequenceSpec()
    gate: DataGateConfig = DataGateConfig()
    evaluation: ReleaseRules = ReleaseRules()
    checks: ModelChecksSettings = ModelChecksSettings()
    beam: BeamConfig = BeamConfig()
    cluster: ClusterSettings = ClusterSettings()

    @model_validator(mode="after")
    def _slices_are_of_the_data(self) -> Self:
        for problem in (s.problem(self.sequence) for s in self.evaluation.slices or ()):
            if problem:
                raise ValueError(f"evaluation.slices: {problem}")
        return self

    @property
    def slices(self) -> tuple[SliceSpec, ...]:
        """How the eval rows are parted."""
        chosen = self.evaluation.slices
        return default_slices(self.sequence) if chosen is None else chosen

    @property
    def serving_dir(self) -> Path:
        """The directory of released versions."""
        return self.root / "serving" / "maskline"

    @property
    def metadata_file(self) -> Path:
        """The SQLite metadata store."""
        return self.root / "metadata.sqlite"


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
    _resolve_paths(changed, Path())
    values = _merge(values, changed)
    values.setdefault("root", Path("maskline-root").absolute())
    values.setdefault("data", {}).setdefault("path", Path("data/reference").absolute())
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = _dotted(first)
        origin = "--set" if _has(changed, where) else source
        raise InputError(f"{origin}: {where}: {_reason(first)}") from None


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
    if error["type"] == "value_error":
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
