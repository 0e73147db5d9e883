"""Calls the command line in a process that is forked from this one, so that imports are paid for once."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

import maskline.pipeline.cli as cli

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
