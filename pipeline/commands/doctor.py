"""`maskline doctor`: what is wrong with a root, and what to do about it."""

from pathlib import Path

import click

from maskline.pipeline.commands.options import config_option, root_option, settings_of_root


@click.command()
@config_option
@root_option
@click.option(
    "--repair",
    is_flag=True,
    help="Rebuild the store's releases from directory and audit log; remove leftovers, but no version.",
)
def doctor(config_file: Path | None, root: Path | None, *, repair: bool) -> int:
    """Look at a root: store, audit log, released versions, artifacts, data, leftovers, free space.

    The exit status is 0 where the root is healthy, and 1 where it is not.
    """
    from maskline.pipeline.local import lock
    from maskline.pipeline.registry.doctor import examine
    from maskline.pipeline.registry.repair import repair_root

    settings = settings_of_root(config_file, root)
    if repair and settings.root.is_dir():
        with lock.hold(settings.root):
            for line in repair_root(settings):
                click.echo(f"repaired: {line}")
    found = examine(settings)
    for finding in found:
        click.echo(str(finding))
    if not found:
        click.echo(f"{settings.root}: healthy")
    return 1 if found else 0
