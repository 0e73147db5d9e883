"""`maskline schema`: what the curated schema would have to allow for the last run's data."""

from pathlib import Path

import click

from maskline.pipeline.commands.group import Group
from maskline.pipeline.commands.options import root_options, set_option, settings_of_root


@click.group(cls=Group)
def schema() -> None:
    """Review and accept changes of the curated schema."""


@schema.command()
@root_options
@set_option
def diff(config_file: Path | None, root: Path | None, overrides: tuple[str, ...]) -> None:
    """Show how the schema would have to change to accept the last run's data, as a diff."""
    from maskline.pipeline.data.schema_change import propose

    change = propose(settings_of_root(config_file, root, overrides))
    click.echo(change.diff() or f"The schema accepts the data of run {change.run} as it is.")
    for note in change.notes:
        click.echo(note, err=True)


@schema.command()
@root_options
@set_option
def accept(config_file: Path | None, root: Path | None, overrides: tuple[str, ...]) -> None:
    """Write the change that `diff` shows into the file that data.schema names."""
    from maskline.pipeline.data.schema_change import accept_change

    change = accept_change(settings_of_root(config_file, root, overrides))
    if change.after == change.before:
        click.echo(f"The schema accepts the data of run {change.run} as it is.")
        return
    click.echo(change.diff())
    click.echo(f"{change.file} is written; the next `maskline run` uses it.")
