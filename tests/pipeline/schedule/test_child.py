"""Processes that a schedule starts: they end when their time is over, when told to, and with their parent."""

import functools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from maskline.pipeline.schedule import child
from maskline.pipeline.schedule.child import Ended
from tests.support import REPOSITORY, environment

PATIENCE = 60  # seconds that a loaded machine may take


@pytest.fixture(autouse=True)
def python(monkeypatch):
    """The processes run Python code in place of maskline."""
    monkeypatch.setattr(child, "start", functools.partial(child.start, program=(sys.executable, "-c")))


def test_status_and_last_words_are_known(capfd):
    code = "import sys; print('one', file=sys.stderr); print('maskline: two', file=sys.stderr); sys.exit(2)"
    assert child.run([code], hours=1, grace=1) == Ended(2, False, "maskline: two")
    assert capfd.readouterr().err == "one\nmaskline: two\n"


def test_run_whose_time_is_over_is_told_to_end():
    code = "import time; time.sleep(600)"
    assert child.run([code], hours=0.5 / 3600, grace=PATIENCE) == Ended(-signal.SIGTERM, True)


def test_run_that_does_not_end_is_killed():
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    ended = child.run([code], hours=5 / 3600, grace=0.2)
    assert ended.timed_out
    assert ended.status in (-signal.SIGKILL, -signal.SIGTERM)  # SIGTERM where Python had not yet begun


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_is_handed_on_and_the_handlers_are_put_back(number):
    before = signal.getsignal(number)
    timer = threading.Timer(1, os.kill, (os.getpid(), number))
    timer.start()
    code = "import signal, time; [signal.signal(n, signal.SIG_DFL) for n in (1, 2, 15)]; time.sleep(600)"
    assert child.run([code], hours=1, grace=PATIENCE).status == -number
    assert signal.getsignal(number) == before


def test_process_ends_with_its_parent(tmp_path):
    code = (
        "import sys, time; from maskline.pipeline.schedule import child; "
        "made = child.start('import time; time.sleep(600)', program=(sys.executable, '-c')); "
        "print(made.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=environment()
    )
    assert parent.stdout is not None
    grandchild = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    until = time.monotonic() + PATIENCE
    while _lives(grandchild):
        assert time.monotonic() < until, "it outlives its parent"
        time.sleep(0.1)


def _lives(number: int) -> bool:
    status = Path(f"/proc/{number}/status")
    try:
        return "State:\tZ" not in status.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
