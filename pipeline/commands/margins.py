"""`maskline margins`: how far models of different seeds lie apart, and the margins that follow."""

import json
from pathlib import Path

import click

from maskline.pipeline.commands.options import root_options, settings_of_root


@click.command()
@root_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.argument("runs", metavar="RUN…", nargs=-1, required=True)
def margins(config_file: Path | None, root: Path | None, as_json: bool, runs: tuple[str, ...]) -> None:
    """Propose margins for the release gate, from runs on the same rows that differ by their seed.

    RUN is a run's name, its beginning, or `last`; give three or more.
    """
    from maskline.pipeline import margins as seeds
    from maskline.pipeline.console import Console
    from maskline.pipeline.registry.lookup import find_run
    from maskline.transform.errors import InputError

    settings = settings_of_root(config_file, root)
    reports = {}
    for name in runs:
        run, _ = find_run(settings, name)
        if run.evaluation is None:
            raise InputError(f"run {run.run}: measured no model; give runs that trained one")
        reports[run.run] = run.evaluation
    found = seeds.spreads(list(reports.values()))
    proposed = seeds.margins(found, min_slice_rows=settings.release_gate.min_slice_rows)
    if as_json:
        told = {"runs": list(reports), "spreads": [s.model_dump() for s in found], "release_gate": proposed}
        click.echo(json.dumps(told, indent=1))
        return
    console = Console(settings)
    for line in seeds.lines(found, proposed, len(reports)):
        console.note(line)
