"""The process in which an exported model is asked. It may be started before there is a model."""

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

PROBE = Path(__file__).with_name("probe.py")
OURS = ("maskline",)
_PATIENCE = 900  # seconds until a model that does not answer is given up


class Probe:
    """A process that imports TensorFlow and then waits for a model to be asked. Close it.

    A fork of the process that started it may ask in its place.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="maskline-checks-", ignore_cleanup_errors=True)
        self._answers = Path(self._folder.name, "answers.json").absolute()
        # Isolated: neither the working folder nor PYTHONPATH leads to our packages. Signals of a terminal
        # are left to who started it.
        command = [sys.executable, "-I", str(PROBE), str(self._answers)]
        self._end, held = os.pipe()  # the process alone holds the other end, until it ends
        self._process = subprocess.Popen(
            command, cwd=self._folder.name, stdin=subprocess.PIPE, text=True, process_group=0, pass_fds=[held]
        )
        os.close(held)

    def ask(self, model: str, golden: str, *, nan: bool) -> dict[str, Any]:
        """Asks once; see `answers_of`."""
        assert self._process.stdin
        with suppress(BrokenPipeError):  # it has ended, as is seen below
            self._process.stdin.write(request(model, golden, nan=nan))
            self._process.stdin.flush()
        # A fork cannot wait for it as its child.
        if not select.select([self._end], [], [], _PATIENCE)[0]:
            return {"error": f"no answer within {_PATIENCE} s"}
        if not self._answers.exists():
            return {"error": "the process that asked it ended without an answer; the log may say why"}
        return json.loads(self._answers.read_text())

    def close(self) -> None:
        """Ends the process, if it has not ended, and removes what it wrote."""
        self._process.kill()
        with suppress(BrokenPipeError):
            self._process.communicate()
        os.close(self._end)
        self._folder.cleanup()


def request(model: str, golden: str, *, nan: bool) -> str:
    """The line that the process reads."""
    places = {"model": os.path.abspath(model), "golden": os.path.abspath(golden)}
    return json.dumps({**places, "hidden": OURS, "nan": nan}) + "\n"


_started: list[Probe] = []


@contextmanager
def started_early() -> Iterator[None]:
    """Within it, a process waits that has imported TensorFlow, for the next model that is asked.

    On a machine with one core none is started before there is a model: it would take time from others.
    """
    probe = None
    if len(os.sched_getaffinity(0)) > 1:
        with suppress(OSError):  # as on a full disk: a node starts it in its turn, and says what is wrong
            probe = Probe()
    if probe is None:
        yield
        return
    with closing(probe):
        _started.append(probe)
        try:
            yield
        finally:
            _started.clear()


def answers_of(model: str, golden: str, *, nan: bool = True) -> dict[str, Any]:
    """Asks a model, in a process of its own.

    Args:
      model: the SavedModel.
      golden: the trainer's golden rows.
      nan: put NaN too in place of padding.

    Returns:
      the probe's answers, or `error` where its process did not come to its end.
    """
    if _started:
        return _started.pop().ask(model, golden, nan=nan)
    with closing(Probe()) as probe:
        return probe.ask(model, golden, nan=nan)
