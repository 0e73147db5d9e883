"""`maskline bless`: releases a model against the release gate."""

from pathlib import Path

import click

from maskline.pipeline.commands.options import root_options, settings_of_root


@click.command()
@root_options
@click.option("--reason", required=True, help="Why; it is recorded in the audit log.")
@click.argument("run")
def bless(config_file: Path | None, root: Path | None, reason: str, run: str) -> None:
    """Release a model although ReleaseGate did not bless it.

    RUN is the name of a run, or `last`. The audit log records who did it, when and why. This does not
    overrule the other gates.
    """
    from maskline.pipeline.registry.bless import bless_run
    from maskline.pipeline.tracking import after as tracking

    settings = settings_of_root(config_file, root)
    version = bless_run(settings, run, reason=reason)
    click.echo(f"Released on purpose as version {version.number}: {version.path}")
    tracking.catch_up(settings, lambda text: click.echo(f"warning: {text}", err=True))
