"""`maskline data`: sample shards, and what shards hold."""

from pathlib import Path

import click

from maskline.pipeline.commands.group import Group
from maskline.pipeline.commands.options import USER_PATH, root_options, set_option, settings_of_root


@click.group(cls=Group, invoke_without_command=True)
@click.option(
    "--out",
    type=USER_PATH,
    default=Path("data/reference"),
    show_default=True,
    help="Folder to write to.",
)
@click.option(
    "--shards", type=click.IntRange(1, 100_000), default=10, show_default=True, help="Number of shards."
)
@click.option(
    "--records", type=click.IntRange(1, 10**9), default=1000, show_default=True, help="Records in each shard."
)
@click.option(
    "--max-value",
    type=click.IntRange(1, 10**9),
    default=100,
    show_default=True,
    help="Operands are below it.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the random numbers."
)
@click.pass_context
def data(context: click.Context, /, out: Path, **options: int) -> None:
    """Make sample shards, and look into shards.

    Without a command, this writes sample shards: arithmetic exercises such as x=-12,y=24:y+x:12.
    """
    if context.invoked_subcommand:
        return
    from maskline.pipeline.local.streams import quiet_tensorflow
    from maskline.transform.samples import write_shards

    with quiet_tensorflow():
        paths = write_shards(out, **options)
    click.echo(f"{len(paths)} shards of {options['records']:,} records in {out}")


@data.command()
@click.argument("path", type=USER_PATH)
@root_options
@set_option
def stats(path: Path, config_file: Path | None, root: Path | None, overrides: tuple[str, ...]) -> None:
    """Show rows, lengths, use of the vocabulary, and the sequence.length that fits.

    PATH is a shard, a directory of shards, or one split of an Examples artifact.
    """
    from rich.console import Console

    from maskline.pipeline.data import report as data_report
    from maskline.pipeline.data.stats import measure_shards, shards_at

    settings = settings_of_root(config_file, root, overrides)
    listing = shards_at(path, settings.data)
    measured = measure_shards(listing, settings.sequence)
    data_report.show(measured, str(path), Console(highlight=False), hidden=listing.hidden)


@data.command()
@click.argument("quarantine", type=USER_PATH, required=False)
@click.option("--out", type=USER_PATH, required=True, help="Folder for the new shard.")
@root_options
@set_option
def replay(
    quarantine: Path | None,
    out: Path,
    config_file: Path | None,
    root: Path | None,
    overrides: tuple[str, ...],
) -> None:
    """Write quarantined rows that are valid by today's settings to a new shard.

    QUARANTINE is the folder that `maskline show` names; the default is the quarantine of the last run.
    """
    from maskline.pipeline.local.streams import quiet_tensorflow
    from maskline.pipeline.registry.history import History
    from maskline.pipeline.registry.store import must_exist
    from maskline.transform.errors import InputError

    settings = settings_of_root(config_file, root, overrides)
    if quarantine is None:
        must_exist(settings.metadata_file, settings.serving_dir)
        last = History(settings.metadata_file, settings.serving_dir, read_only=True).latest()
        quarantine = last.quarantine if last else None
        if quarantine is None:
            raise InputError(f"{settings.root}: no run set rows aside there; give the folder of a quarantine")
    with quiet_tensorflow():
        from maskline.pipeline.data.replay import replay_rows

        done = replay_rows(quarantine, out, settings.sequence)
    click.echo(f"{done.rows:,} rows written to {done.shard}")
    for reason, count in sorted(done.bad.items()):
        click.echo(f"  still bad: {reason}: {count:,}")
