"""Options that several commands share."""

from pathlib import Path

import click

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="YAML file  [default: maskline.yaml]",
)
root_option = click.option("--root", type=click.Path(path_type=Path), help="where all that a run makes lies")
set_option = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="override, as training.epochs=20"
)
