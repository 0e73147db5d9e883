"""`maskline report`: a run, or several side by side, as a page to look at."""

from pathlib import Path

import click

from maskline.pipeline.commands.options import (
    USER_PATH,
    cluster_store,
    metadata_option,
    root_options,
    settings_of_root,
)


@click.command()
@root_options
@click.option("--out", type=USER_PATH, metavar="FILE", help="Where to write it.  [default: in ROOT/reports]")
@click.option("--compare", is_flag=True, help="Put the named runs side by side, what changed first.")
@metadata_option
@click.argument("runs", metavar="[RUN]...", nargs=-1)
def report(
    config_file: Path | None,
    root: Path | None,
    out: Path | None,
    compare: bool,
    metadata: str | None,
    runs: tuple[str, ...],
) -> None:
    """Write RUN, or the last run, as one HTML file: data, training, masking, evaluation, gates.

    RUN is a run's name, its beginning, or `last`. Every run writes its report by itself when it ends.
    """
    from maskline.pipeline.registry.lookup import find_run
    from maskline.pipeline.report import comparison
    from maskline.pipeline.report import report as reports
    from maskline.pipeline.report.paths import REPORTS_FOLDER, path_of
    from maskline.transform.errors import InputError

    if compare and len(runs) < 2:
        raise InputError("--compare: name at least two runs; `maskline history` lists them")
    if not compare and len(runs) > 1:
        raise InputError("name one run, or put several side by side with --compare")
    settings = settings_of_root(config_file, root)
    store = cluster_store(metadata) if metadata else None
    found = [find_run(settings, name, store) for name in runs or (None,)]
    if compare:
        text = comparison.make(settings, found, store)
        file = out or settings.root / REPORTS_FOLDER / "compare.html"
    else:
        [(run, is_last)] = found
        text = reports.make(settings, run, is_last=is_last, store=store)
        file = out or path_of(settings, run.run)
    reports.write(text, file)
    click.echo(file)
