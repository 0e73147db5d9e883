"""Proves that a version can be served, in a process of its own. No TensorFlow here.

A damaged model may end the process that loads it.
"""

import os
import subprocess
import sys
from pathlib import Path

_ASKING = "maskline.components.pusher.ask"  # the module that does it, with TensorFlow
_PATIENCE = 300  # seconds


def problem(folder: Path) -> str:
    """Loads a version and asks it its golden rows.

    Args:
      folder: the version. One that carries no golden rows is asked one row of its own vocabulary.

    Returns:
      why it cannot be served, or an empty string.
    """
    try:
        done = ask_apart(folder)
    except subprocess.TimeoutExpired:
        return f"it did not answer within {_PATIENCE} s"
    if done.returncode == 0:
        return ""
    lines = done.stdout.strip().splitlines()
    return lines[-1] if lines else f"the process that asked it ended with status {done.returncode}"


def ask_apart(folder: Path) -> "subprocess.CompletedProcess[str]":
    """Runs `ask` in a process of its own.

    Raises:
      TimeoutExpired: it did not end.
    """
    command = [sys.executable, "-m", _ASKING, str(folder)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run(
        command, env=environment, timeout=_PATIENCE, check=False, capture_output=True, text=True
    )
