"""Calls the command line in a process that is forked from this one, so that imports are paid for once.

Such a process is what a new one is after its imports: it has its own `argv`, working folder and standard
streams, runs `cli.main` from its beginning, and its exit status is the one that a shell would see. It is safe
as long as this process runs no TensorFlow op and opens no metadata store before it forks, as `maskline run`
itself forks its nodes (docs/adr/0002).
"""

import gc
import os
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

import maskline.pipeline.cli as cli
from maskline.pipeline.report import at_end
from maskline.pipeline.report.paths import path_of
from maskline.pipeline.settings.sections import Settings
from tests.faults.forks import probe_in_forks

COMMANDS = {
    "models": ("models",),
    "show": ("show",),
    "predict": ("predict", "x=-12,y=24:y+x"),
    "schema": ("schema", "diff"),
    "rollback": ("rollback", "--reason", "a test"),
    "bless": ("bless", "last", "--reason", "a test"),
    "gc": ("gc", "--keep", "1"),
    "run": ("run",),
}
PATIENCE = 600.0  # seconds
_DRAW = at_end._make


def preload() -> None:
    """Imports what the commands import, so that each cell is spared it. No TensorFlow op runs here."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow  # noqa: F401

    import maskline.pipeline.dag
    import maskline.pipeline.local.runner
    import maskline.pipeline.registry.garbage  # noqa: F401

    probe_in_forks()
    gc.freeze()  # the forks share what was imported: they neither look through it nor copy it


def draw_reports(*, drawn: bool) -> None:
    """Whether runs draw their reports, which takes longer than all else; an undrawn one is an empty file."""
    at_end._make = _DRAW if drawn else _leave_empty


def _leave_empty(settings: Settings, name: str) -> None:
    file = path_of(settings, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()


class Done(NamedTuple):
    """What a command left: its status, or minus the signal that ended it, and what it said."""

    status: int
    out: str
    err: str


def call(folder: Path, *arguments: str) -> Done:
    """Runs a command in `folder`; one that takes too long is killed."""
    out, err = folder / "out.txt", folder / "err.txt"
    child = os.fork()
    if not child:
        try:
            _become(folder, out, err, arguments)
        finally:
            os._exit(111)
    until = time.monotonic() + PATIENCE
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.02)
    return Done(os.waitstatus_to_exitcode(status), out.read_text(), err.read_text())


def _become(folder: Path, out: Path, err: Path, arguments: tuple[str, ...]) -> None:
    for number, file in ((0, Path(os.devnull)), (1, out), (2, err)):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(file, flags), number)
    os.chdir(folder)
    sys.argv = ["maskline", *arguments]
    cli.main()
