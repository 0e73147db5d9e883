"""Makes a run's report when the run has ended, in a process of its own that can neither fail nor delay it."""

import ctypes
import gc
import multiprocessing
import os
import signal
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from maskline.pipeline import signals
from maskline.pipeline.local.streams import sent_to
from maskline.pipeline.report.paths import path_of
from maskline.pipeline.settings.sections import Settings

PATIENCE = 60.0  # seconds after which a report that is not made is given up
_fork = multiprocessing.get_context("fork")


def prepare() -> None:
    """Imports what makes a report, and draws for the first time, so that the process that makes it need not.

    What is wrong here will be in the log when the report is made.
    """
    with suppress(Exception):
        import_module("maskline.pipeline.report.report")
        import_module("scipy.special")  # for whether models differ
        plots = import_module("maskline.pipeline.report.plots")
        plots.draw("first", "", lambda axes: axes.imshow([[0.0, 1.0]], cmap=plots.HEAT))


def make_report(settings: Settings, name: str, log: Path) -> Path | None:
    """Writes the report of a run that has ended, beside those of the runs before.

    A fork shares the imports and takes down nothing when it fails. It is waited for, so that nothing
    of a run outlives its command, and ended where it takes too long or the command is interrupted.

    Args:
      settings: says where things lie.
      name: of the run.
      log: takes what goes wrong.

    Returns:
      the file, or None where there is none; the log says why.
    """
    process = _fork.Process(target=_child, args=(settings, name, log, os.getpid()), name="report")
    try:
        with signals.held_back():
            process.start()
        process.join(PATIENCE)
    finally:
        if process.is_alive():
            process.kill()
            process.join()
    file = path_of(settings, name)
    return file if process.exitcode == 0 and file.exists() else None


def _child(settings: Settings, name: str, log: Path, parent: int) -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 is PR_SET_PDEATHSIG: no orphan
    if os.getppid() != parent:
        os._exit(1)
    signals.left_to_parent()
    gc.disable()  # drawing makes much of what may be garbage, and this process ends before that matters
    status = 1
    try:
        with open(log, "ab", buffering=0) as file, sent_to(file, 1, 2):
            try:
                _make(settings, name)
                status = 0
            except BaseException:
                file.write(f"the report could not be made:\n{traceback.format_exc()}".encode())
    finally:
        os._exit(status)


def _make(settings: Settings, name: str) -> None:
    from maskline.pipeline.registry.history import History
    from maskline.pipeline.report import report

    history = History(settings.metadata_file, settings.serving_dir, read_only=True)
    report.write(report.make(settings, history.run(name), at_work=False), path_of(settings, name))
