"""`maskline compare`: what changed from one run to another, better or worse in words."""

from pathlib import Path

import click

from maskline.pipeline.commands.options import root_options, settings_of_root


@click.command()
@root_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.argument("first", metavar="RUN")
@click.argument("second", metavar="RUN")
def compare(config_file: Path | None, root: Path | None, as_json: bool, first: str, second: str) -> None:
    """Compare two runs: rows, settings, metrics and slices, and whether the second is better.

    RUN is a run's name, its beginning, or `last`.
    """
    from maskline.pipeline import comparison
    from maskline.pipeline.console import Console
    from maskline.pipeline.headline import headline
    from maskline.pipeline.registry.lookup import find_run

    settings = settings_of_root(config_file, root)
    before, after = find_run(settings, first)[0], find_run(settings, second)[0]
    found = comparison.compare_runs(before, after, (headline(before).text, headline(after).text))
    if as_json:
        click.echo(found.model_dump_json(indent=1))
        return
    console = Console(settings)
    for line in comparison.lines(found):
        console.note(line)
