"""`maskline bless`: releases a model against the release gate."""

from pathlib import Path

import click

from maskline.pipeline.commands.options import config_option, root_option


@click.command()
@config_option
@root_option
@click.option("--reason", required=True, help="why; it is recorded")
@click.argument("run")
def bless(config_file: Path | None, root: Path | None, reason: str, run: str) -> None:
    """Release the model of RUN (or of `last`) although ReleaseGate did not bless it.

    Who, when and why go into the audit log. What other gates blocked stays blocked.
    """
    from maskline.pipeline.config import load
    from maskline.pipeline.registry.bless import bless as release

    config = load(config_file, root=root)
    version = release(config, run, reason=reason)
    click.echo(f"Released on purpose as version {version.number}: {version.path}")
