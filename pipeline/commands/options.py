"""Options that several commands share, and the settings that they lead to."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from maskline.transform.errors import InputError

if TYPE_CHECKING:
    from maskline.pipeline.registry.store import RunStore
    from maskline.pipeline.settings.load import Loaded
    from maskline.pipeline.settings.sections import Settings


class _UserPath(click.Path):
    """A path; `~` at its beginning is home, also where the shell does not see it, as in --out=~/x."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":  # as --root "$UNSET"; the working folder must not be taken in its place
            name = param.opts[0] if param else "path"
            raise InputError(f"{name}: it is empty; a path is needed")
        try:
            return super().convert(Path(value).expanduser(), param, ctx)
        except RuntimeError:
            self.fail(f"{value}: there is no such home directory", param, ctx)


USER_PATH = _UserPath(path_type=Path)

config_option = click.option(
    "--config",
    "config_file",
    type=USER_PATH,
    help="Settings, a YAML file.  [default: maskline.yaml]",
)
root_option = click.option("--root", type=USER_PATH, help="Folder for everything a run writes.")
engine_option = click.option(
    "--engine",
    metavar="NAME",
    help="What runs Beam's jobs, as beam.engine: local, portable, flink, spark or dataflow.",
)
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a setting, for example training.epochs=20.",
)
metadata_option = click.option(
    "--metadata",
    metavar="URL",
    help="Metadata store of a cluster, for example postgresql://host:5432/maskline.",
)
_remembered_option = click.option(
    "--config",
    "config_file",
    type=USER_PATH,
    help="Settings, a YAML file.  [default: those of the root's last run]",
)


def with_engine(overrides: Sequence[str], engine: str | None) -> tuple[str, ...]:
    """The overrides, and --engine as the last of them."""
    return (*overrides, f"beam.engine={engine}") if engine else tuple(overrides)


def root_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --config and --root to a command about what a root holds; see `settings_of_root`."""
    return _remembered_option(root_option(command))


def cluster_store(address: str) -> "RunStore":
    """The metadata store of a cluster, with user and password from the environment.

    Raises:
      InputError: it cannot be reached.
    """
    from maskline.pipeline.cluster.metadata import reach

    return reach(address, os.environ)


def settings_of_root(
    config_file: Path | None, root: Path | None, overrides: Sequence[str] = ()
) -> "Settings":
    """The settings that the root's last run was given, or those of a file."""
    return loaded_of_root(config_file, root, overrides).settings


def loaded_of_root(config_file: Path | None, root: Path | None, overrides: Sequence[str] = ()) -> "Loaded":
    """The same, with where each was set."""
    from maskline.pipeline.settings.remembered import of_root

    return _with_notices(of_root(config_file, overrides, root))


def read_settings(config_file: Path | None, overrides: Sequence[str], **options: Any) -> "Loaded":
    """The settings of a file and of options."""
    from maskline.pipeline.settings.load import load_with_sources

    return _with_notices(load_with_sources(config_file, overrides, **options))


def _with_notices(loaded: "Loaded") -> "Loaded":
    if loaded.notices:
        click.echo(f"maskline: note: {'; '.join(loaded.notices)}", err=True)
    return loaded
