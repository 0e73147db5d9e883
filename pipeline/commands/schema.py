"""`maskline schema`: what the curated schema would have to allow for the last run's data."""

from pathlib import Path

import click

from maskline.pipeline.commands.group import Group
from maskline.pipeline.commands.options import config_option, root_option, set_option


@click.group(cls=Group)
def schema() -> None:
    """Review and accept changes of the curated schema."""


@schema.command()
@config_option
@root_option
@set_option
def diff(config_file: Path | None, root: Path | None, overrides: tuple[str, ...]) -> None:
    """Show how the schema would have to change to accept the last run's data, as a diff."""
    from maskline.pipeline.config import load
    from maskline.pipeline.data.schema_change import propose

    change = propose(load(config_file, overrides, root=root))
    click.echo(change.diff() or f"The schema accepts the data of run {change.run} as it is.")
    for note in change.notes:
        click.echo(note, err=True)


@schema.command()
@config_option
@root_option
@set_option
def accept(config_file: Path | None, root: Path | None, overrides: tuple[str, ...]) -> None:
    """Write the change that `diff` shows into the file that data.schema names."""
    from maskline.pipeline.config import load
    from maskline.pipeline.data.schema_change import accept as write

    change = write(load(config_file, overrides, root=root))
    if change.after == change.before:
        click.echo(f"The schema accepts the data of run {change.run} as it is.")
        return
    click.echo(change.diff())
    click.echo(f"{change.file} is written; the next `maskline run` uses it.")
