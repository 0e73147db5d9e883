"""Runs the probe of ModelChecks in forks of an interpreter that has TensorFlow and none of our packages.

The real one is a new interpreter for each model, `python -I probe.py …`, which takes seconds to import
TensorFlow. This one was started in the same way and only imported; each fork of it runs the same script from
its beginning, with the environment of the node that asks.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing.connection import Client
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from maskline.components.model_checks import component

_SERVER = """
import ctypes, os, runpy, signal, sys, traceback
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # ends with the process that started it
from multiprocessing.connection import Listener
import numpy, tensorflow
from tensorflow.python.framework import convert_to_constants
with Listener(sys.argv[1], "AF_UNIX") as listener:
    print("ready", flush=True)
    while True:
        with listener.accept() as connection:
            folder, environment, arguments = connection.recv()
            child = os.fork()
            if not child:
                try:
                    os.chdir(folder)
                    os.environ.clear()
                    os.environ.update(environment)
                    sys.argv = arguments
                    runpy.run_path(arguments[0], run_name="__main__")
                    os._exit(0)
                except BaseException:
                    traceback.print_exc()
                    os._exit(1)
            connection.send(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def serve() -> None:
    """Starts the interpreter and sends to it what ModelChecks asks, from this process and all its forks."""
    address = str(Path(tempfile.mkdtemp(prefix="probes-"), "socket"))
    server = subprocess.Popen(
        [sys.executable, "-I", "-c", _SERVER, address], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"

    def run(command: Sequence[str], *, cwd: Path | str, **_: Any) -> subprocess.CompletedProcess[str]:
        assert command[:2] == [sys.executable, "-I"], command
        with Client(address, "AF_UNIX") as connection:
            connection.send((str(cwd), dict(os.environ), list(command[2:])))
            return subprocess.CompletedProcess(list(command), connection.recv())

    stand_in: Any = SimpleNamespace(run=run, TimeoutExpired=subprocess.TimeoutExpired)
    component.subprocess = stand_in
