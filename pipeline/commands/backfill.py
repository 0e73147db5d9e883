"""`maskline backfill`: makes up for spans of the past."""

from pathlib import Path

import click

from maskline.pipeline.commands.options import config_option, root_option, set_option
from maskline.pipeline.commands.schedule import arguments_of


@click.command()
@config_option
@root_option
@set_option
@click.option("--from", "first", metavar="N|DATE", required=True, help="The first span.")
@click.option("--to", "last", metavar="N|DATE", required=True, help="The last span.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done with each span.")
def backfill(
    config_file: Path | None,
    root: Path | None,
    overrides: tuple[str, ...],
    first: str,
    last: str,
    dry_run: bool,
) -> int:
    """Ingest and judge spans of the past in order; train on the newest.

    Only a model of the newest span there is can be released; spans before it are ingested, which windows
    and drift need. Ended at any moment, it goes on where it was.
    """
    from maskline.pipeline.schedule import backfill as filling
    from maskline.pipeline.schedule import ledger
    from maskline.pipeline.schedule.store import look_at_store
    from maskline.pipeline.settings.load import load

    settings = load(config_file, overrides, root=root)
    past = ledger.ticks(settings.root)
    steps = filling.plan(settings, look_at_store(settings.metadata_file), past, first=first, last=last)
    for step in steps:
        click.echo(str(step))
    if dry_run:
        return 0
    return int(filling.backfill(settings, arguments_of(config_file, root, overrides), steps, say=click.echo))
