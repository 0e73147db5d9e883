"""Runs the nodes of a stage one after the other, each in a fork of one process. No TFX, no TensorFlow.

What the process imported before, the forks need not import again (ADR 2). It must have no threads.
"""

import os
import signal
from collections.abc import Callable, Sequence
from typing import Any


def run_in_turn(nodes: Sequence[str], run: Callable[[str], int]) -> tuple[str, int]:
    """Runs nodes until one does not end well. SIGTERM is handed on to the one that works.

    Args:
      nodes: ids, in order.
      run: works on one node, and gives its exit status.

    Returns:
      the node that was last, and its exit status: negative, the number of a signal, where one killed it.
    """
    for node in nodes:
        if status := _forked(run, node):
            break
    return node, status


def _forked(run: Callable[[str], int], node: str) -> int:
    # A signal that comes between the fork and the handler waits, and is handed on.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    child = os.fork()
    if not child:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        # Tearing TensorFlow down costs seconds and frees what the kernel frees anyway.
        os._exit(run(node))

    def hand_on(*_: Any) -> None:
        os.kill(child, signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, hand_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    _, status = os.waitpid(child, 0)
    signal.signal(signal.SIGTERM, before)
    return os.waitstatus_to_exitcode(status)
