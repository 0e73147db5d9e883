"""The command line. What a command needs is imported inside it, so that help is quick."""

import errno
import os
import sys
import traceback
from pathlib import Path
from typing import NoReturn

import click

import maskline
from maskline.pipeline.commands.backfill import backfill
from maskline.pipeline.commands.bless import bless
from maskline.pipeline.commands.compare import compare
from maskline.pipeline.commands.data import data
from maskline.pipeline.commands.doctor import doctor
from maskline.pipeline.commands.group import Group, WithExitStatuses, help_
from maskline.pipeline.commands.history import history
from maskline.pipeline.commands.import_ import import_
from maskline.pipeline.commands.kubeflow import kubeflow
from maskline.pipeline.commands.margins import margins
from maskline.pipeline.commands.models import gc, models, rollback
from maskline.pipeline.commands.notify import notify
from maskline.pipeline.commands.options import (
    USER_PATH,
    config_option,
    engine_option,
    read_settings,
    root_option,
    set_option,
    with_engine,
)
from maskline.pipeline.commands.predict import predict
from maskline.pipeline.commands.report import report
from maskline.pipeline.commands.schedule import schedule, tick
from maskline.pipeline.commands.schema import schema
from maskline.pipeline.commands.settings import settings
from maskline.pipeline.commands.show import show
from maskline.pipeline.commands.tensorboard import tensorboard
from maskline.pipeline.commands.tune import tune
from maskline.pipeline.commands.worker import worker
from maskline.transform.names import TRACEBACK, Exit

# Commands that change nothing: what they print is all that they do.
_ANSWERS = (
    "show", "compare", "margins", "history", "models", "predict", "settings", "data stats", "schema diff"
)  # fmt: skip


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(maskline.__version__)
def cli() -> None:
    """Train masked sequence models, and release those that pass every check.

    `maskline data` makes sample shards; `maskline run` turns shards into a released model.
    """


COMMANDS = (
    data,
    import_,
    settings,
    schema,
    kubeflow,
    predict,
    tune,
    show,
    compare,
    margins,
    report,
    history,
    tensorboard,
    models,
    rollback,
    gc,
    bless,
    doctor,
    tick,
    schedule,
    backfill,
    notify,
    worker,
    help_,
)
for command in COMMANDS:
    cli.add_command(command)


@cli.command(cls=WithExitStatuses)
@config_option
@click.option("--data", "data_dir", type=USER_PATH, help="Directory of TFRecord shards.")
@click.option(
    "--span",
    metavar="latest|N|DATE",
    help="Span to train on, where the path of the data has placeholders.",
)
@root_option
@set_option
@engine_option
@click.option(
    "--accept-unknown-live",
    is_flag=True,
    help="Release also where the live model is damaged, gone or unknown and cannot be compared with.",
)
@click.option("--only-ingest", is_flag=True, help="End at the data gate: nothing is trained or released.")
def run(
    config_file: Path | None,
    span: str | None,
    overrides: tuple[str, ...],
    engine: str | None,
    *,
    accept_unknown_live: bool,
    only_ingest: bool,
    **places: Path | None,
) -> int:
    """Run the pipeline: ingest, check, transform, train, evaluate, release."""
    from maskline.pipeline.console import Console
    from maskline.pipeline.local.run import run_locally

    overrides = with_engine(overrides, engine)
    loaded = read_settings(config_file, overrides, data=places["data_dir"], root=places["root"], span=span)
    click.echo(loaded.in_force)
    return run_locally(
        loaded, Console(loaded.settings), accept_unknown_live=accept_unknown_live, only_ingest=only_ingest
    )


def main() -> NoReturn:
    """Runs the command line. What ends it is one line on standard error and one of the statuses of `Exit`."""
    from maskline.pipeline import signals
    from maskline.pipeline.local import streams

    streams.protect()
    signals.heed()
    # TensorFlow's C++ side writes notices before Python can send them to a log; ml-metadata's writes what it
    # raises as well.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("GLOG_minloglevel", "3")
    status = int(_status())
    sys.stdout.flush()
    status = status or _unanswered(sys.stdout)
    sys.stderr.flush()
    # Tearing TensorFlow down costs seconds and frees what the kernel frees anyway.
    os._exit(status)


def _status() -> int:
    """Runs the command; says what stopped it, if anything did."""
    from maskline.pipeline.errors import BusyError
    from maskline.pipeline.signals import Interrupted
    from maskline.transform.errors import InputError, MachineError

    try:
        return cli.main(standalone_mode=False) or Exit.OK
    except click.ClickException as error:
        error.show()
        return Exit.BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        return _end("interrupted", Exit.INTERRUPTED)
    except Interrupted as error:
        return _end(str(error), error.exit)
    except InputError as error:
        return _end(f"maskline: {error}", Exit.BAD_INPUT)
    except BusyError as error:
        return _end(f"maskline: {error}", Exit.BUSY)
    except MachineError as error:
        return _end(f"maskline: {error}", Exit.ERROR)
    except SystemExit:  # click's way with any broken pipe; our streams of the output raise none (`streams`)
        return _end("maskline: a pipe or connection was closed by its other end", Exit.ERROR)
    except Exception as error:
        return _unexpected(error)


def _unexpected(error: Exception) -> Exit:
    from maskline.pipeline import machine

    if os.environ.get(TRACEBACK):
        traceback.print_exception(error)
    words = machine.in_words(error) or f"{type(error).__name__}: {' '.join(str(error).split())}"
    return _end(f"maskline: {words} ({TRACEBACK}=1 shows where)", Exit.ERROR)


def _unanswered(output: object) -> Exit:
    """Fails a command that was asked something and could not say it, unless the asker hung up."""
    lost = getattr(output, "lost", None)
    asked = " ".join(sys.argv[1:3]).startswith(_ANSWERS)
    if lost is None or lost.errno == errno.EPIPE or not asked:
        return Exit.OK
    return _end(f"maskline: the answer is not complete: standard output: {lost.strerror}", Exit.ERROR)


def _end(words: str, status: Exit) -> Exit:
    click.echo(words, err=True)
    return status


if __name__ == "__main__":
    main()
