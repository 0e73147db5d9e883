"""`maskline tick` and `maskline schedule`: retraining that runs by itself."""

import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from maskline.pipeline.commands.options import (
    config_option,
    root_option,
    root_options,
    set_option,
    settings_of_root,
)

if TYPE_CHECKING:
    from datetime import timedelta

    from maskline.pipeline.schedule.loop import Listen
    from maskline.pipeline.settings.sections import Settings

FIVE_FIELDS = "--crontab needs schedule.cron in five fields, since cron knows no seconds"


def arguments_of(config_file: Path | None, root: Path | None, overrides: tuple[str, ...]) -> list[str]:
    """The same options for another command, with whole paths."""
    config = ["--config", str(config_file.absolute())] if config_file else []
    place = ["--root", str(root.absolute())] if root else []
    return [*config, *place, *(part for override in overrides for part in ("--set", override))]


@click.command()
@config_option
@root_option
@set_option
def tick(config_file: Path | None, root: Path | None, overrides: tuple[str, ...]) -> int:
    """Look once whether something is due, and run it.

    Ends with the exit status of the run, for systemd, cron, Airflow or a CronJob of Kubernetes. Where
    nothing is due it ends with 0.
    """
    from maskline.pipeline.schedule.tick import tick_once
    from maskline.pipeline.settings.load import load

    settings = load(config_file, overrides, root=root)
    return int(tick_once(settings, arguments_of(config_file, root, overrides), say=click.echo))


@click.group(invoke_without_command=True)
@config_option
@root_option
@set_option
@click.option(
    "--every", metavar="DURATION", help="A tick every 90s, 15m, 6h or 1d, in place of schedule.cron."
)
@click.option("--watch", is_flag=True, help="A tick when a new complete span appears.")
@click.option(
    "--listen", metavar="HOST:PORT", help="Serve /metrics, /healthz and a status page, as on 127.0.0.1:9100."
)
@click.option(
    "--systemd",
    is_flag=False,
    flag_value="service",
    type=click.Choice(["service", "tick", "timer"]),
    help="Print a systemd service that does this, or a service for one tick and its timer, and end.",
)
@click.option("--crontab", is_flag=True, help="Print a line for crontab that does this, and end.")
@click.pass_context
def schedule(
    context: click.Context,
    config_file: Path | None,
    root: Path | None,
    overrides: tuple[str, ...],
    every: str | None,
    watch: bool,
    listen: str | None,
    systemd: str | None,
    crontab: bool,
) -> int | None:
    """Tick by schedule.cron, or by --every or --watch, until told to end.

    It works in the foreground. Settings are read again before every tick.
    """
    if context.invoked_subcommand:
        return None
    from maskline.pipeline.schedule import units
    from maskline.pipeline.schedule.loop import When, run_schedule
    from maskline.pipeline.settings.load import load
    from maskline.pipeline.settings.schedule import read_duration
    from maskline.transform.errors import InputError

    serve = _server(listen) if listen else None
    settings = load(config_file, overrides, root=root)
    distance = read_duration(every) if every else None
    if every and not distance:
        raise InputError(f"--every: '{every}' is not a duration; 90s, 15m, 6h and 1d are some")
    if sum(map(bool, (distance, watch))) > 1:
        raise InputError("give one of --every and --watch")
    if not (distance or watch or settings.schedule.cron):
        raise InputError("schedule.cron is not set; set it, or give --every 6h or --watch")
    given = arguments_of(config_file, root, overrides)
    program, folder = Path(sys.argv[0]).absolute(), Path.cwd()
    if systemd == "timer":
        click.echo(_timer(settings, distance), nl=False)
        return 0
    if systemd:
        when = ["--every", every] if every else ["--watch"] if watch else []
        when += ["--listen", listen] if listen else []
        once = systemd == "tick"
        text = units.service(
            program, ["tick", *given] if once else ["schedule", *when, *given], root=settings.root,
            folder=folder, user=getpass.getuser(), grace=settings.schedule.grace, once=once,
        )  # fmt: skip
        click.echo(text, nl=False)
        return 0
    if crontab:
        if len(settings.schedule.cron.split()) != 5:
            raise InputError(FIVE_FIELDS)
        click.echo(units.crontab(settings.schedule.cron, program, ["tick", *given], folder=folder), nl=False)
        return 0
    return run_schedule(
        lambda: load(config_file, overrides, root=root), When(distance, watch), given, say=click.echo,
        listen=serve,
    )  # fmt: skip


def _timer(settings: "Settings", distance: "timedelta | None") -> str:
    """The timer of systemd that starts ticks as the schedule says."""
    from maskline.pipeline.schedule import units
    from maskline.pipeline.schedule.calendar import on_calendar
    from maskline.transform.errors import InputError

    jitter = settings.schedule.jitter
    if distance:
        return units.timer(every=distance.total_seconds(), jitter=jitter)
    cron = settings.schedule.cron
    found = on_calendar(cron, settings.schedule.timezone) if cron else None
    if not found:
        raise InputError(
            f"--systemd timer: systemd cannot say schedule.cron '{cron}'; give --every 6h, or let `--systemd "
            "service` keep maskline's own scheduler at work"
        )
    return units.timer(on_calendar=found, jitter=jitter)


def _server(address: str) -> "Listen":
    """What serves the state of a loop at an address."""
    from maskline.pipeline.schedule import web  # a schedule that nobody watches does without

    place = web.read_address(address)
    return lambda heart: web.serving(place, heart, lambda: datetime.now(UTC), click.echo)


@schedule.command()
@root_options
@click.option("--reason", required=True, help="Why; it is recorded.")
def pause(config_file: Path | None, root: Path | None, reason: str) -> None:
    """Let no tick run anything until `maskline schedule resume`."""
    from maskline.pipeline.schedule import ledger

    settings = settings_of_root(config_file, root)
    why = " ".join(reason.split()) or "no reason given"
    ledger.pause(settings.root, ledger.Pause(time=datetime.now(UTC), who=getpass.getuser(), why=why))
    click.echo(f"paused: {settings.root}")


@schedule.command()
@root_options
def resume(config_file: Path | None, root: Path | None) -> None:
    """Let ticks run again."""
    from maskline.pipeline.schedule import ledger

    settings = settings_of_root(config_file, root)
    was = ledger.resume(settings.root)
    click.echo(f"{'resumed' if was else 'was not paused'}: {settings.root}")


@schedule.command()
@root_options
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each tick.")
@click.option("--last", type=click.IntRange(min=1), default=30, show_default=True, help="Number of ticks.")
def history(config_file: Path | None, root: Path | None, as_json: bool, last: int) -> None:
    """Show what ticks decided, and why; the newest last."""
    from maskline.pipeline.schedule import ledger

    settings = settings_of_root(config_file, root)
    found: list[Any] = ledger.ticks(settings.root)[-last:]
    for one in found:
        click.echo(one.model_dump_json() if as_json else str(one))
    if not found and not as_json:
        click.echo(f"{settings.root}: no tick yet; `maskline tick` makes one")
    if (paused := ledger.paused(settings.root)) and not as_json:
        click.echo(f"paused since {paused.time:%Y-%m-%d %H:%M:%S} UTC by {paused.who}: {paused.why}")
