"""Scripts that need TensorFlow, run in forks of an interpreter that has imported it and did nothing else.

Asking a version its golden rows, and the probe of ModelChecks, each take a new interpreter, which spends
seconds on its imports. This one was started in the same way and only imported: a fork of it runs the same
script from its beginning, with the environment of whoever asks.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.connection import Client
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from maskline.components.pusher import proof

_SERVER = """
import ctypes, importlib, io, os, runpy, signal, sys, tempfile, traceback
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # ends with the process that started it
from multiprocessing.connection import Listener
for name in sys.argv[2:]:
    importlib.import_module(name)

def become(folder, environment, arguments, given, out):
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(out, 1)
    sys.stdin = io.StringIO(given)
    sys.argv = arguments if arguments[0] != "-m" else arguments[1:]
    if arguments[0] == "-m":
        runpy.run_module(arguments[1], run_name="__main__")
    else:
        runpy.run_path(arguments[0], run_name="__main__")

with Listener(sys.argv[1], "AF_UNIX") as listener:
    print("ready", flush=True)
    while True:
        with listener.accept() as connection, tempfile.TemporaryFile() as out:
            asked = connection.recv()
            child = os.fork()
            if not child:
                status = 1
                try:
                    become(*asked, out.fileno())
                    status = 0
                except BaseException:
                    traceback.print_exc()
                sys.stdout.flush()
                os._exit(status)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            out.seek(0)
            connection.send((status, out.read().decode()))
"""


class Forks:
    """An interpreter that runs scripts in forks of itself; it ends with the process that made it.

    Args:
      imports: the modules that it imports before.
      isolated: as `python -I`.
    """

    def __init__(self, *imports: str, isolated: bool = False) -> None:
        self._folder = tempfile.mkdtemp(
            prefix="forks-"
        )  # no object, which each fork would clean up at its end
        self._address = str(Path(self._folder, "socket"))
        flags = ["-I"] if isolated else []
        self._server = subprocess.Popen(
            [sys.executable, *flags, "-c", _SERVER, self._address, *imports],
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == b"ready\n"

    def run(
        self, arguments: Sequence[str], *, cwd: Path | str, given: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Runs `arguments` as `python` would, a path or `-m` and a module first; standard output is kept.

        `given` is what the script reads from standard input.
        """
        with Client(self._address, "AF_UNIX") as connection:
            connection.send((str(cwd), dict(os.environ), list(arguments), given))
            status, out = connection.recv()
        return subprocess.CompletedProcess(list(arguments), status, out, "")

    def close(self) -> None:
        """Ends it."""
        self._server.kill()
        self._server.communicate()
        shutil.rmtree(self._folder)


@contextmanager
def versions_asked_in_forks() -> Iterator[None]:
    """Asks versions their golden rows in forks, from this process and all its forks."""
    asking, ask_apart = "maskline.components.pusher.ask", proof.ask_apart
    forks = Forks(asking)
    proof.ask_apart = lambda folder: forks.run(["-m", asking, str(folder)], cwd=Path.cwd())
    try:
        yield
    finally:
        proof.ask_apart = ask_apart
        forks.close()


def probe_in_forks() -> None:
    """Runs the probe of ModelChecks in forks, from this process and all its forks, for good."""
    from maskline.components.model_checks import component

    forks = Forks("numpy", "tensorflow", "tensorflow.python.framework.convert_to_constants", isolated=True)

    class InFork(AbstractContextManager["InFork"]):
        """As `Popen`, but the process is there only while it is communicated with."""

        def __init__(self, command: Sequence[str], *, cwd: Path | str, **_: Any) -> None:
            assert command[:2] == [sys.executable, "-I"], command
            self._arguments, self._folder, self.returncode = command[2:], cwd, 0

        def communicate(self, given: str, **_: Any) -> None:
            self.returncode = forks.run(self._arguments, cwd=self._folder, given=given).returncode

        def __exit__(self, *_: object) -> None:
            pass

    vars(component)["subprocess"] = SimpleNamespace(
        Popen=InFork, PIPE=subprocess.PIPE, TimeoutExpired=subprocess.TimeoutExpired
    )
