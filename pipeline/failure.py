"""Finds in a run's log why it failed: the cause in one line, and the ten lines that matter."""

import os
import re
from pathlib import Path
from typing import NamedTuple

LINES = 10
# How `maskline.pipeline.local.run` logs what ended a run.
CAUSE = " ERROR maskline.pipeline.local.run: "
_TAIL = 4 << 20  # bytes of the log that are read, from its end
_TRACEBACK = "Traceback (most recent call last):"
_FRAME = re.compile(r'^  File "(?P<file>[^"]+)", line ')
_INSTALLED = ("/site-packages/", "/lib/python3", "<frozen ")
_LOGGED = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


class Failure(NamedTuple):
    """The cause in one line, empty where the log does not tell it, and at most ten lines of the log."""

    cause: str
    lines: tuple[str, ...]


def read_failure(log: Path) -> Failure:
    """Reads a log from its end.

    The lines are the last traceback: its exception, and before it the innermost calls of the project's own
    code, for what libraries call below them says little. Without a traceback, the last lines of the log.

    Args:
      log: of the run; it may be gone.
    """
    lines = _tail(log)
    causes = [line.split(CAUSE, 1)[1] for line in lines if CAUSE in line]
    cause = causes[-1] if causes else ""
    starts = [index for index, line in enumerate(lines) if line.strip() == _TRACEBACK]
    if not starts:
        rest = [line for line in lines if line.strip() and CAUSE not in line]
        return Failure(cause, tuple(rest[-LINES:]))
    frames, error = _read_traceback(lines[starts[-1] + 1 :])
    own = [frame for frame in frames if not any(part in frame[0] for part in _INSTALLED)] or frames
    calls: list[str] = []
    for frame in reversed(own):
        if len(calls) + len(frame) + len(error) > LINES:
            break
        calls = frame + calls
    return Failure(cause or error[0].strip(), (*calls, *error))


def _read_traceback(lines: list[str]) -> tuple[list[list[str]], list[str]]:
    """The frames, two lines each since Python 3.11 adds its markers below them, and the exception's lines."""
    frames: list[list[str]] = []
    for index, line in enumerate(lines):
        if _FRAME.match(line):
            frames.append([line])
        elif line.startswith("    "):
            if frames and len(frames[-1]) == 1:
                frames[-1].append(line)
        elif not line.startswith("  "):
            return frames, _exception(lines[index:])
    return frames, ["the traceback breaks off"]


def _exception(lines: list[str]) -> list[str]:
    """An exception's text: up to three lines, before the next entry of the log."""
    text = lines[:1]
    for line in lines[1:3]:
        if not line.strip() or _LOGGED.match(line) or line.startswith(("Traceback", "During", "The above")):
            break
        text.append(line)
    return text


def _tail(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            return file.read().decode("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
