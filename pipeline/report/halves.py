"""Makes a list in two processes, each half at the same time; in one where that does not work."""

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import TypeVar

_T = TypeVar("_T")
_fork = multiprocessing.get_context("fork")


def in_halves(makers: Sequence[Callable[[], _T]]) -> list[_T]:
    """Calls all makers; those at even places here, the others in a fork of this process.

    Args:
      makers: what they give must be picklable.

    Returns:
      what they gave, in their order. A maker whose process ended early is called here.
    """
    here, there = _fork.Pipe(duplex=False)
    process = _fork.Process(target=_other, args=(makers[1::2], there, os.getpid()), name="half")
    process.start()
    there.close()
    try:
        own = [make() for make in makers[::2]]
        try:
            others: list[_T] = here.recv()
        except EOFError:
            others = [make() for make in makers[1::2]]
    finally:
        process.kill()
        process.join()
        here.close()
    made = [own, others]
    return [made[place % 2][place // 2] for place in range(len(makers))]


def _other(makers: Sequence[Callable[[], object]], there: Connection, parent: int) -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 is PR_SET_PDEATHSIG: no orphan
    if os.getppid() == parent:
        try:
            there.send([make() for make in makers])
        except Exception:
            there.close()  # the caller makes them again, and raises what is wrong
    os._exit(0)
