"""`maskline history`: every run and tick of a root, with what was live."""

import json
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
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.option("--html", "as_html", is_flag=True, help="Write a page with pictures, and links to the reports.")
@click.option("--out", type=USER_PATH, metavar="FILE", help="With --html.  [default: in ROOT/reports]")
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the newest N.  [default: all]")
@metadata_option
def history(
    config_file: Path | None,
    root: Path | None,
    as_json: bool,
    as_html: bool,
    out: Path | None,
    last: int | None,
    metadata: str | None,
) -> None:
    """List every run and tick: span, decision, seconds, metrics with change, live version; newest last."""
    from maskline.pipeline import tables
    from maskline.pipeline.console import Console
    from maskline.pipeline.report import timeline
    from maskline.pipeline.report.paths import REPORTS_FOLDER
    from maskline.transform.errors import InputError

    if as_json and as_html:
        raise InputError("give one of --json and --html")
    if out and not as_html:
        raise InputError("--out: is for --html")
    settings = settings_of_root(config_file, root)
    entries = timeline.read(settings, cluster_store(metadata) if metadata else None)
    if not entries:
        raise InputError(f"{settings.root}: no run yet; start one with `maskline run`")
    entries = entries[-last:] if last else entries
    went = timeline.live(settings)
    if as_json:
        found = {
            "entries": [entry.model_dump(mode="json") for entry in entries],
            "live": [one.model_dump(mode="json") for one in went],
        }
        click.echo(json.dumps(found, indent=1))
    elif as_html:
        from maskline.pipeline.report import history as pages
        from maskline.pipeline.report import report

        file = out or settings.root / REPORTS_FOLDER / "history.html"
        report.write(pages.make(entries, went, file.absolute()), file)
        click.echo(file)
    else:
        Console(settings).table(tables.history(entries))
        if went:
            since = f"{went[-1].since.astimezone():%Y-%m-%d %H:%M}"
            click.echo(f"Live is version {went[-1].version} since {since}: {went[-1].why}")
