"""`maskline show`: what became of a run, for who must say yes or no."""

import json
from contextlib import suppress
from pathlib import Path

import click

from maskline.pipeline.commands.options import cluster_store, metadata_option, root_options, settings_of_root
from maskline.transform.errors import InputError


@click.command()
@root_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.option(
    "--wrong", type=click.IntRange(min=1), metavar="N", help="Show only N rows that the model gets wrong."
)
@metadata_option
@click.argument("run", required=False)
def show(
    config_file: Path | None,
    root: Path | None,
    as_json: bool,
    wrong: int | None,
    metadata: str | None,
    run: str | None,
) -> None:
    """Show RUN, or the last run: released or not and why, then metrics, gates, slices and components.

    --wrong lists held-out rows as text, the most confident wrong answer first: so label errors are found.
    """
    from maskline.pipeline.console import Console
    from maskline.pipeline.local import lock
    from maskline.pipeline.registry.lookup import checkpointed_epoch, find_run, read_answers

    settings = settings_of_root(config_file, root)
    found, is_last = find_run(settings, run, cluster_store(metadata) if metadata else None)
    log = settings.root / "logs" / found.log_name
    if wrong:
        answers = read_answers(found)
        if as_json:
            click.echo(json.dumps([row.model_dump() for row in answers.wrong_rows[:wrong]], indent=1))
        else:
            Console(settings).wrong(answers, wrong)
        return
    working = lock.holder(settings.root) if is_last else None
    if as_json:
        values = {**found.model_dump(mode="json"), "log": str(log), "working": working}
        click.echo(json.dumps({**values, "exit": int(found.exit)}, indent=1))
        return
    console = Console(settings)
    console.show(found, log, working=working, epoch=checkpointed_epoch(settings))
    if settings.task.has_positions and found.evaluation:
        with suppress(InputError):  # of an earlier version, or removed by `maskline gc`
            console.some_answers(read_answers(found))
