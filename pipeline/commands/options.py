"""Options that several commands share."""

from pathlib import Path

import click

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="Settings, a YAML file.  [default: maskline.yaml]",
)
root_option = click.option(
    "--root", type=click.Path(path_type=Path), help="Folder for everything a run writes."
)
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a setting, for example training.epochs=20.",
)
