"""`kill -9` at any moment that matters: right before a call that changes something on the disk."""

import os
import signal
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

# What reaches the disk. Between two of these calls nothing changes, so there is one moment to die at.
CHANGING = {"mkdir", "open", "write", "sendfile", "copy_file_range", "fsync", "truncate", "rename", "unlink",
            "rmdir", "flock", "close"}  # fmt: skip


def die_at(step: int, calls: Collection[str]) -> None:
    """Kills this process right before the `step`th of these calls."""
    seen = 0

    def profile(frame, event, function):
        nonlocal seen
        if event == "c_call" and function.__name__ in calls:
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1

    sys.setprofile(profile)


def killed(step: int, work: Callable[[], Any], calls: Collection[str] = CHANGING) -> bool:
    """Does `work` in a child that dies at a step; False where it came to its end before."""
    child = os.fork()
    if not child:
        with suppress(BaseException):
            die_at(step, calls)
            work()
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), "the child failed by itself"
    return status == signal.SIGKILL
