"""How a command ends: signals, closed and full outputs, terminals that cannot show a text."""

import os
import re
import signal
import subprocess
import sys

import pytest

from maskline.transform.names import Exit
from tests.support import PATIENCE, REPOSITORY, environment

# A command beside the real ones, which does what the test says.
SCRIPT = """
import sys, time
from maskline.pipeline.cli import cli, main
from maskline.pipeline.errors import BusyError
from maskline.transform.errors import InputError, MachineError

@cli.command(sys.argv[1])
def command():
    {}

main()
"""
ACCENT, NOT_UTF8 = "✓ café", "\\udcff"


def run(body: str, *, name: str = "work", **options) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT.format(body), name],
        cwd=REPOSITORY, timeout=PATIENCE, **{"capture_output": True, "env": environment(), **options},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("return 0", Exit.OK, ""),
        ("return 3", Exit.BLOCKED, ""),
        ("raise InputError('x: is wrong')", Exit.BAD_INPUT, "maskline: x: is wrong\n"),
        ("raise BusyError('x: busy')", Exit.BUSY, "maskline: x: busy\n"),
        ("raise MachineError('x: is full')", Exit.ERROR, "maskline: x: is full\n"),
        ("raise KeyboardInterrupt", Exit.INTERRUPTED, "\ninterrupted\n"),
        ("open('/nowhere/x')", Exit.ERROR, "maskline: FileNotFoundError: .*'/nowhere/x' .*TRACEBACK=1.*\n"),
        (
            "raise OSError(28, 'No space left on device', '/x')",
            Exit.ERROR,
            "maskline: no space left on /x; .*\n",
        ),
        ("raise MemoryError", Exit.ERROR, "maskline: out of memory; .*\n"),
        ("raise BrokenPipeError(32, 'Broken pipe')", Exit.ERROR, "maskline: a pipe or connection was .*\n"),
        ("raise ValueError('two\\nlines')", Exit.ERROR, "maskline: ValueError: two lines .*\n"),
    ],
)
def test_each_error_has_its_status_and_one_line(body, status, words):
    done = run(body)
    assert done.returncode == status, done.stderr
    assert re.fullmatch(words, done.stderr.decode())


class Waiting:
    """A command at work, until a signal comes."""

    def __init__(self, *ignored: signal.Signals) -> None:
        body = "print('ready', flush=True); time.sleep(60)"
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT.format(body), "work"], cwd=REPOSITORY, env=environment(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: [signal.signal(s, signal.SIG_IGN if s in ignored else signal.SIG_DFL)
                                for s in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)],
        )  # fmt: skip
        assert self.process.stdout.readline() == "ready\n"

    def end(self, *signals: signal.Signals) -> tuple[int, str]:
        for number in signals:
            self.process.send_signal(number)
        _, words = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, words


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGHUP, Exit.HANGUP), (signal.SIGINT, Exit.INTERRUPTED), (signal.SIGTERM, Exit.TERMINATED)],
)
def test_each_signal_ends_with_a_word_and_its_status(number, status):
    assert Waiting().end(number) == (status, f"interrupted by {number.name}\n")


def test_a_signal_that_is_ignored_stays_ignored():
    """As under `nohup`: the terminal goes, the run stays."""
    assert Waiting(signal.SIGHUP).end(signal.SIGHUP, signal.SIGTERM)[0] == Exit.TERMINATED


def test_a_signal_that_a_library_swallowed_comes_back():
    body = "from maskline.pipeline import signals; import os, signal\n"
    body += "    try: os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)\n"
    body += "    except BaseException: pass\n"
    body += "    signals.check()"
    assert run(body).returncode == Exit.TERMINATED


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_a_terminal_cannot_show_is_replaced(encoding):
    done = run(
        f"print({ACCENT!r} + '{NOT_UTF8}'); return 3", env=environment() | {"PYTHONIOENCODING": encoding}
    )
    assert done.returncode == 3, done.stderr
    shown = {"ascii": "? caf??", "latin-1": "? café?", "utf-8": "✓ café?"}[encoding]
    assert done.stdout == f"{shown}\n".encode(encoding)


@pytest.mark.parametrize("status", [0, 3])
def test_an_output_that_is_full_or_gone_changes_no_status(status):
    body = f"[print('x' * 100) for _ in range(1000)]; return {status}"
    with open("/dev/full", "wb") as full:
        done = run(body, stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert (done.returncode, done.stderr) == (status, b"")
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as gone:
        done = run(body, stdout=gone, stderr=subprocess.PIPE, capture_output=False)
    assert (done.returncode, done.stderr) == (status, b"")


def test_a_closed_output_is_not_given_to_a_file(tmp_path):
    body = f"file = open({str(tmp_path / 'store')!r}, 'w'); print('lost'); import os; os.write(1, b'lost')"
    done = run(body, preexec_fn=lambda: [os.close(n) for n in (0, 1, 2)], capture_output=False)
    assert done.returncode == 0
    assert (tmp_path / "store").read_text() == ""


def test_an_answer_that_could_not_be_given_is_a_failure():
    with open("/dev/full", "wb") as full:
        done = run("print('{')", name="show", stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert done.returncode == Exit.ERROR
    assert done.stderr == b"maskline: the answer is not complete: standard output: No space left on device\n"


def test_a_run_says_in_its_log_that_its_output_was_lost(tmp_path):
    body = f"""
    from pathlib import Path
    from maskline.pipeline.settings.load import load
    from maskline.pipeline.console import Console
    from maskline.pipeline.local.run import _everything_logged_to
    console = Console(load(root=Path({str(tmp_path)!r})))
    with _everything_logged_to(Path({str(tmp_path / "log")!r}), console):
        console.note("for nobody")
        print("for the log")
    return 3
"""
    with open("/dev/full", "wb") as full:
        done = run(body, stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert (done.returncode, done.stderr) == (3, b"")
    logged = (tmp_path / "log").read_text()
    assert "for the log" in logged
    assert "standard output did not take all that was shown: No space left on device" in logged
