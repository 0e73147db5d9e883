"""Scripts that need TensorFlow, run in forks of an interpreter that has imported it and did nothing else.

Asking a version its golden rows, and the probe of ModelChecks, each take a new interpreter, which spends
seconds on its imports. This one was started in the same way and only imported: a fork of it runs the same
script from its beginning, with the environment of whoever asks.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

from maskline.components.model_checks import asking
from maskline.components.pusher import proof

_SERVER = """
import contextlib, ctypes, importlib, io, os, runpy, signal, sys, tempfile, traceback
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # ends with the process that started it
from multiprocessing.connection import Listener
for name in sys.argv[2:]:
    importlib.import_module(name)

def become(folder, environment, arguments, given):
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdin = io.StringIO(given)
    sys.argv = arguments if arguments[0] != "-m" else arguments[1:]
    if arguments[0] == "-m":
        runpy.run_module(arguments[1], run_name="__main__")
    else:
        runpy.run_path(arguments[0], run_name="__main__")

def answer(connection):
    *asked, file = connection.recv()
    with contextlib.ExitStack() as files:
        out = files.enter_context(open(file, "ab") if file else tempfile.TemporaryFile())
        err = out if file else files.enter_context(tempfile.TemporaryFile())
        child = os.fork()
        if not child:
            status = 1
            try:
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                if file:
                    os.setsid()
                become(*asked)
                status = 0
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        connection.send(child)
        told = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]
        for written in () if file else (out, err):
            written.seek(0)
            told.append(written.read().decode(errors="replace"))
        connection.send(told)

with Listener(sys.argv[1], "AF_UNIX") as listener:
    print("ready", flush=True)
    while True:
        with listener.accept() as connection:
            if not os.fork():  # so that nobody waits for another's script
                answer(connection)
                os._exit(0)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
"""


class Started:
    """As `subprocess.Popen`, of a fork."""

    def __init__(self, connection: Connection, arguments: Sequence[str]) -> None:
        self.args, self._connection = list(arguments), connection
        self.pid: int = connection.recv()
        self.returncode: int | None = None
        self.said: tuple[str, ...] = ()

    def poll(self) -> int | None:
        """The status; none while it works."""
        if self.returncode is None and self._connection.poll():
            self.wait()
        return self.returncode

    def wait(self) -> int:
        """Waits for its end, and gives the status."""
        if self.returncode is None:
            self.returncode, *said = self._connection.recv()
            self.said = tuple(said)
            self._connection.close()
        return self.returncode

    def kill(self) -> None:
        """Ends it."""
        os.kill(self.pid, signal.SIGKILL)


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
        """Runs `arguments` as `python` would, a path or `-m` and a module first; what it writes is kept.

        `given` is what the script reads from standard input.
        """
        started = self._start(arguments, cwd, dict(os.environ), given, "")
        return subprocess.CompletedProcess(list(arguments), started.wait(), *started.said)

    def start(
        self, arguments: Sequence[str], *, cwd: Path | str, env: Mapping[str, str], out: Path
    ) -> Started:
        """Starts the same in a session of its own; standard output and error are added to a file."""
        return self._start(arguments, cwd, dict(env), "", str(out))

    def _start(
        self, arguments: Sequence[str], cwd: Path | str, env: dict[str, str], given: str, out: str
    ) -> Started:
        connection = Client(self._address, "AF_UNIX")
        connection.send((str(cwd), env, list(arguments), given, out))
        return Started(connection, arguments)

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
    forks = Forks("numpy", "tensorflow", "tensorflow.python.framework.convert_to_constants", isolated=True)

    class InFork:
        """As `asking.Probe`, but the process is there only while a model is asked."""

        def ask(self, model: str, golden: str, *, nan: bool) -> Any:
            with tempfile.TemporaryDirectory() as folder:
                answers = Path(folder, "answers.json")
                given = asking.request(model, golden, nan=nan)
                forks.run([str(asking.PROBE), str(answers)], cwd=folder, given=given)
                return json.loads(answers.read_text())

        def close(self) -> None:
            pass

    vars(asking)["Probe"] = InFork
