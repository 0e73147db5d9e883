"""`maskline models`, `rollback` and `gc`: what was released, the way back, and the room it takes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from maskline.pipeline.commands.options import (
    cluster_store,
    metadata_option,
    root_options,
    settings_of_root,
)

if TYPE_CHECKING:
    from maskline.pipeline.registry.store import RunStore
    from maskline.pipeline.settings.sections import Settings


@click.command()
@root_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def models(config_file: Path | None, root: Path | None, as_json: bool) -> None:
    """List the released versions, with metrics and data, and show which one is live since when."""
    from maskline.pipeline.registry.models import model_lines, released, serving_problems

    folder = settings_of_root(config_file, root).serving_dir
    found = released(folder)
    for problem in serving_problems(folder):
        click.echo(f"warning: {problem}", err=True)
    if as_json:
        click.echo(json.dumps([model.model_dump(mode="json") for model in found], indent=1))
    else:
        click.echo("\n".join(model_lines(found)))


@click.command()
@root_options
@click.argument("version", type=click.IntRange(min=1), required=False)
@click.option("--reason", default="", help="Why; it is recorded in the audit log.")
@metadata_option
def rollback(
    config_file: Path | None, root: Path | None, version: int | None, reason: str, metadata: str | None
) -> None:
    """Make an earlier model live again, under the next number.

    The default for VERSION is the model that was live before the present one was first released, or the
    newest good one where the live model is damaged or gone. The model is loaded and asked its golden rows
    before it goes live.
    """
    from maskline.pipeline.registry.rollback import roll_back
    from maskline.pipeline.tracking import after as tracking

    settings = settings_of_root(config_file, root)
    # On a cluster runs may work: the serving directory's lock keeps publishers apart.
    with nullcontext(cluster_store(metadata)) if metadata else _alone_if_any(settings) as store:
        live, source = roll_back(store, settings.serving_dir, version, reason, local=metadata is None)
    click.echo(f"Live is version {live.number}, which is version {source} again: {live.path}")
    tracking.catch_up(settings, lambda text: click.echo(f"warning: {text}", err=True))


@click.command()
@root_options
@click.option(
    "--keep", type=click.IntRange(min=1), required=True, help="How many of the newest versions to keep."
)
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
def gc(config_file: Path | None, root: Path | None, keep: int, dry_run: bool) -> None:
    """Remove old versions, artifacts, logs and abandoned checkpoints.

    This keeps the live version, and everything that it and the last run were made from.
    """
    from maskline.pipeline.registry import garbage
    from maskline.pipeline.registry.store import settle

    settings = settings_of_root(config_file, root)
    with _alone(settings) as store:
        settle(store, settings.root)
        found = garbage.find(store, settings, keep=keep)
        for line in found.lines(settings):
            click.echo(line)
        click.echo(f"{'would remove' if dry_run else 'removing'} {found}")
        if not dry_run:
            garbage.remove(store, settings, found)


@contextmanager
def _alone_if_any(settings: "Settings") -> Iterator["RunStore | None"]:
    """As `_alone`, but without a store where it is lost, damaged or read-only: the way back needs none."""
    from maskline.pipeline.local import lock
    from maskline.pipeline.registry.store import connect
    from maskline.transform.errors import InputError, MachineError

    if not settings.serving_dir.is_dir():
        raise InputError(f"{settings.serving_dir}: no model was released yet; `maskline run` makes one")
    with lock.hold(settings.root):
        store = None
        if settings.metadata_file.exists():
            try:
                store = connect(settings.metadata_file)
            except (InputError, MachineError) as error:
                click.echo(f"warning: {error}; the next run records this release", err=True)
        yield store


@contextmanager
def _alone(settings: "Settings") -> Iterator["RunStore"]:
    """The metadata store of a root that has runs, while none works on it."""
    from maskline.pipeline.local import lock
    from maskline.pipeline.registry.store import connect, must_exist

    must_exist(settings.metadata_file, settings.serving_dir)
    with lock.hold(settings.root):
        yield connect(settings.metadata_file)
