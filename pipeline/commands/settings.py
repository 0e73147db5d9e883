"""`maskline settings`: the settings that are in force, and where each was set."""

import json
from pathlib import Path

import click

from maskline.pipeline.commands.options import (
    config_option,
    loaded_of_root,
    read_settings,
    root_option,
    set_option,
)


@click.command()
@config_option
@root_option
@set_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def settings(config_file: Path | None, root: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Print the settings in force, each with where it was set: default, preset, file and line, or option.

    With --root and without --config: those of the root's last run.
    """
    from maskline.pipeline.settings import effective

    if root and not config_file:
        loaded = loaded_of_root(config_file, root, overrides)
    else:
        loaded = read_settings(config_file, overrides, root=root)
    if as_json:
        click.echo(json.dumps(effective.as_json(loaded), indent=1))
        return
    click.echo(f"# {loaded.in_force}")
    click.echo("\n".join(effective.as_yaml(loaded)))
