"""Reads the settings of a run: a file, what a preset sets, and options of the command line over both."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from maskline.pipeline.settings import paths
from maskline.pipeline.settings.refusals import first_refusal
from maskline.pipeline.settings.sections import Settings
from maskline.pipeline.settings.sources import Given, from_options, nested, read_file
from maskline.pipeline.settings.values import Origin, YamlNode, merge, tree
from maskline.trainer.settings import preset_values
from maskline.transform import own_code
from maskline.transform.errors import InputError
from maskline.transform.symbols import class_problem, read_vocabulary, symbol_problem

DEFAULT_FILE = Path("maskline.yaml")
_DEFAULTS = Origin("default", "the defaults")
# Lists that may stand in a file of their own, and what says why an entry of it is not allowed.
_LISTS = {("sequence", "vocabulary"): symbol_problem, ("task", "classes"): class_problem}
# Settings that name functions of the user's own.
_FUNCTIONS = (("model", "build"), ("data", "split_by"))


@dataclass(frozen=True)
class Loaded:
    """Settings, and where each was set.

    Attributes:
      settings: validated, paths absolute.
      file: the YAML file they were read from; None for the defaults.
      values: all that was given, with sources; a setting that is not in it has its default.
      base: what the file sets.
      options: what options of the command line set.
    """

    settings: Settings
    file: Path | None
    values: YamlNode
    base: Given
    options: Given

    @property
    def in_force(self) -> str:
        """Which settings these are, for a person."""
        options = ", and options" if self.options.values.value else ""
        if self.file:
            return f"settings: {self.file}{options}"
        return f"settings: the defaults{options}; there is no {DEFAULT_FILE} in {Path.cwd()}"

    @property
    def notices(self) -> tuple[str, ...]:
        """One for each setting that stands under an old name."""
        return (*self.base.notices, *self.options.notices)


def load(file: Path | None = None, overrides: Sequence[str] = (), **options: Any) -> Settings:
    """Reads the settings. As `load_with_sources`, without their sources."""
    return load_with_sources(file, overrides, **options).settings


def load_with_sources(file: Path | None = None, overrides: Sequence[str] = (), **options: Any) -> Loaded:
    """Reads the settings.

    Args:
      file: a YAML file; without it `maskline.yaml` here where there is one, else the defaults. Paths
        in it are relative to its folder; a vocabulary may be the path of a file, a symbol a line, and
        so may the classes.
      overrides: `path.to.key=value`. The value is text, a number, true or false as in YAML 1.2, or a
        list or mapping in brackets. Paths are relative to the working folder.
      options: `data` and `root`, paths, and `span`, that win over both.

    Returns:
      the validated settings, their paths absolute and normal, and the source of each.

    Raises:
      InputError: names file and line, or the option, the setting, the value and what is allowed.
    """
    if file is None and DEFAULT_FILE.exists():
        file = DEFAULT_FILE
    base = read_file(file) if file else Given(YamlNode({}, _DEFAULTS))
    return validated(base, from_options(overrides, **options), file)


def validated(base: Given, options: Given, file: Path | None) -> Loaded:
    """Settings from what a file and what options set.

    Raises:
      InputError: one of them is not allowed, or some do not fit each other.
    """
    here = {"root": str(Path("maskline-root").absolute())}
    data = {"path": str(Path("data/reference").absolute())}
    values = merge(tree({**here, "data": data}, _DEFAULTS), merge(base.values, options.values))
    if preset := preset_values(values.plain()):
        name = f"preset {values.plain()['model']['preset']}"
        values = merge(tree(preset, Origin("preset", name)), values)
    values = _with_lists(values)
    for path in _FUNCTIONS:
        if (node := values.get(path)) and own_code.is_of_users(str(node.value)):
            own_code.look_in(node.source.folder)
    try:
        settings = Settings.model_validate_json(json.dumps(values.plain()), strict=True)
    except ValidationError as error:
        raise first_refusal(error, values) from None
    if problem := paths.root_problem(settings.root):
        raise values.value["root"].source.refuse(f"root: {problem}")
    return Loaded(settings, file, values, base, options)


def _with_lists(values: YamlNode) -> YamlNode:
    """With the symbols or classes of a separate file, one on each line."""
    for path, problem_of in _LISTS.items():
        node = values.get(path)
        if node is None or not isinstance(node.value, str):
            continue
        try:
            names = read_vocabulary(Path(node.value), problem_of)
        except InputError as error:
            raise node.source.refuse(f"{'.'.join(path)}: {error}") from None
        values = merge(values, nested(path, YamlNode(names, node.source, node.value)))
    return values
