"""`maskline kubeflow`: the same pipeline on open-source Kubeflow Pipelines."""

from datetime import datetime
from pathlib import Path

import click

from maskline.pipeline.commands.group import Group, WithExitStatuses
from maskline.pipeline.commands.options import USER_PATH, config_option, read_settings, set_option

parameter_option = click.option(
    "--parameter",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="Set a parameter of the run, for example data=/mnt/new.",
)


@click.group(cls=Group)
def kubeflow() -> None:
    """Run the pipeline on Kubeflow Pipelines 2; kubeflow/README.md explains it step by step."""


@kubeflow.command()
@config_option
@set_option
@click.option(
    "--output",
    type=USER_PATH,
    default="kubeflow/bundle",
    show_default=True,
    help="Folder to write to.",
)
def bundle(config_file: Path | None, overrides: tuple[str, ...], output: Path) -> None:
    """Write the compiled pipeline, which the image contains."""
    from maskline.pipeline.cluster.compiler import compile_pipeline

    compiled = compile_pipeline(read_settings(config_file, overrides).settings)
    compiled.write_bundle(output)
    count = sum(map(len, compiled.tasks.values()))
    click.echo(f"{count} nodes, sha256 {compiled.digest[:12]}, in {output}")


@kubeflow.command("compile")
@config_option
@set_option
@click.option("--output", type=USER_PATH, required=True, help="YAML file to write.")
def compile_(config_file: Path | None, overrides: tuple[str, ...], output: Path) -> None:
    """Write the document that Kubeflow Pipelines accepts."""
    from maskline.pipeline.cluster.compiler import compile_pipeline

    compiled = compile_pipeline(read_settings(config_file, overrides).settings)
    text = compiled.document()
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    click.echo(f"{len(compiled.tasks)} tasks, sha256 {compiled.digest[:12]}, in {output}")


@kubeflow.command(cls=WithExitStatuses)
@config_option
@set_option
@parameter_option
@click.option("--wait/--no-wait", default=True, help="Follow the run to its end.  [default: wait]")
def submit(
    config_file: Path | None, overrides: tuple[str, ...], parameters: tuple[str, ...], wait: bool
) -> int:
    """Upload the pipeline, run it and follow it to its end."""
    from maskline.pipeline.cluster.client import Client, read_parameters
    from maskline.pipeline.cluster.compiler import compile_pipeline
    from maskline.pipeline.cluster.follow import follow

    compiled = compile_pipeline(read_settings(config_file, overrides).settings)
    document = compiled.document()
    values = read_parameters(document, parameters)
    settings = compiled.settings.cluster
    client = Client(settings)
    pipeline, version = client.upload(compiled.name, document, compiled.description)
    run = client.run(pipeline, version, f"{compiled.name} {datetime.now():%Y-%m-%d %H:%M:%S}", values)
    click.echo(f"run {run}: {settings.host}/#/runs/details/{run}")
    return follow(client, run, click.echo) if wait else 0


@kubeflow.command(cls=WithExitStatuses)
@config_option
@set_option
@click.argument("run")
def show(config_file: Path | None, overrides: tuple[str, ...], run: str) -> int:
    """Say how a run went and ended, and end as `submit` would have; one that still works gives 0.

    RUN is the id that `submit` printed. Neither pods nor logs need be there any more.
    """
    from maskline.pipeline.cluster.client import Client
    from maskline.pipeline.cluster.outcome import show_run

    return show_run(Client(read_settings(config_file, overrides).settings.cluster), run, click.echo)


@kubeflow.command()
@config_option
@set_option
@parameter_option
def schedule(config_file: Path | None, overrides: tuple[str, ...], parameters: tuple[str, ...]) -> None:
    """Run the pipeline on the schedule in schedule.cron, or in cluster.schedule.cron.

    One run works at a time, and missed times are not made up for. Calling this again adds no second
    schedule; if the pipeline has changed, the schedule runs the new version.
    """
    from maskline.pipeline.cluster.client import Client, read_parameters
    from maskline.pipeline.cluster.compiler import compile_pipeline
    from maskline.pipeline.cluster.recurring import cluster_settings

    settings = read_settings(config_file, overrides).settings
    cluster = cluster_settings(settings)
    compiled = compile_pipeline(settings)
    document = compiled.document()
    values = read_parameters(document, parameters)
    wanted = cluster.schedule
    client = Client(cluster)
    pipeline, version = client.upload(compiled.name, document, compiled.description)
    made, new = client.schedule(pipeline, version, values)
    click.echo(f"schedule {wanted.name}: {wanted.cron} ({made}){'' if new else ', as before'}")


@kubeflow.command()
@config_option
@set_option
def schedules(config_file: Path | None, overrides: tuple[str, ...]) -> None:
    """List the schedules of the Kubeflow Pipelines host."""
    from maskline.pipeline.cluster.client import Client

    for run in Client(read_settings(config_file, overrides).settings.cluster).schedules():
        cron = run.trigger.cron_schedule.cron if run.trigger and run.trigger.cron_schedule else "-"
        click.echo(f"{run.display_name}\t{cron}\t{run.status or run.mode}\t{run.recurring_run_id}")


@kubeflow.command()
@config_option
@set_option
def unschedule(config_file: Path | None, overrides: tuple[str, ...]) -> None:
    """Remove the schedule named in cluster.schedule.name; runs that it started continue."""
    from maskline.pipeline.cluster.client import Client

    settings = read_settings(config_file, overrides).settings.cluster
    client = Client(settings)
    present = client.schedules(settings.schedule.name)
    for run in present:
        client.unschedule(run.recurring_run_id)
    click.echo(
        f"{len(present)} schedule{'' if len(present) == 1 else 's'} of {settings.schedule.name} removed"
    )
