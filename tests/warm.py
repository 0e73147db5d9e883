"""Runs commands in forks of a process that has imported what they need, which costs more than many a command.

    python -m tests.warm

Reads one command a line, as JSON: `arguments`, `cwd`, `env`, `out` and `err` (files). Writes its exit
status, as subprocess gives it. How a run goes in a fresh process the shared run of conftest.py shows, and
every test that starts a command in the background.
"""

import atexit
import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from maskline.pipeline.imports import lean_imports
from tests.faults.forks import probe_in_forks

REPOSITORY = Path(__file__).parent.parent


class Warm:
    """The process, started at the first command and ended with the tests."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def run(
        self, arguments: Sequence[str], *, cwd: Path, env: dict[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Runs `maskline` with some arguments to its end.

        Raises:
          subprocess.TimeoutExpired: after `timeout` seconds; the command is killed.
        """
        with self._lock, tempfile.TemporaryDirectory() as folder:
            process = self._process = self._process or self._start(env)
            out, err = Path(folder, "out"), Path(folder, "err")
            told = {"arguments": list(arguments), "cwd": str(cwd), "env": env}
            told |= {"out": str(out), "err": str(err)}
            assert process.stdin
            assert process.stdout
            too_long = threading.Timer(timeout, process.kill)  # its forks end with it
            too_long.start()
            process.stdin.write(json.dumps(told) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
            too_long.cancel()
            if not line:
                self._process = None
                process.wait()
                raise subprocess.TimeoutExpired(list(arguments), timeout, _text(out), _text(err))
            return subprocess.CompletedProcess(list(arguments), int(line), _text(out), _text(err))

    def _start(self, env: dict[str, str]) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm"], cwd=REPOSITORY, env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        atexit.register(process.kill)
        return process


def _text(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def _child(told: dict[str, object]) -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, file in ((1, told["out"]), (2, told["err"])):
        opened = os.open(str(file), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.chdir(str(told["cwd"]))
    os.environ.clear()
    os.environ.update(told["env"])  # type: ignore[call-overload]
    sys.path[0] = str(told["cwd"])  # as with `python -m`
    from maskline.pipeline import cli

    sys.modules["__main__"].__package__ = "maskline.pipeline"  # click names the program by it
    sys.argv = [str(cli.__file__), *told["arguments"]]  # type: ignore[misc]
    cli.main()


def serve() -> None:
    """Answers until its standard input ends."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("GLOG_minloglevel", "3")
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    commands = os.fdopen(os.dup(0))
    # TFX and what a run, its nodes and its report import later, in the order in which a run does.
    with lean_imports():
        import maskline.pipeline.dag
        import maskline.pipeline.local.runner
        import maskline.pipeline.local.window

        for name in maskline.pipeline.local.runner._LATER:
            importlib.import_module(name)
    for name in ("sklearn.linear_model", "maskline.pipeline.report.report"):
        importlib.import_module(name)
    probe_in_forks()
    for line in commands:
        child = os.fork()
        if not child:
            commands.detach()
            try:
                _child(json.loads(line))
            finally:
                os._exit(70)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers)


if __name__ == "__main__":
    serve()
