"""Shows on a terminal how many rows were answered. Engine-neutral: workers write their counts to files."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rich.console
from rich.status import Status

from maskline.pipeline.local.streams import Output

_EVERY = 0.5  # seconds


class AnswerProgress:
    """Shows progress on standard error, and nothing where that is no terminal."""

    @contextmanager
    def watching(self, folder: Path, files: int) -> Iterator[None]:
        """Shows the sum of the counts in a folder while the block runs.

        Args:
          folder: each file in it holds a number of rows.
          files: how many there will be.
        """
        if not sys.stderr.isatty():
            yield
            return
        ended, began = threading.Event(), time.monotonic()
        # A descriptor of its own: today's standard error may be sent elsewhere for all others.
        with (
            Output(os.dup(2), sys.stderr.encoding, closes=True) as screen,
            rich.console.Console(file=screen).status("reading …") as status,
        ):
            watcher = threading.Thread(target=_watch, args=(folder, files, status, ended, began), daemon=True)
            watcher.start()
            try:
                yield
            finally:
                ended.set()
                watcher.join()


def _watch(folder: Path, files: int, status: Status, ended: threading.Event, began: float) -> None:
    while not ended.wait(_EVERY):
        status.update(in_words(folder, files, time.monotonic() - began))


def in_words(folder: Path, files: int, seconds: float) -> str:
    """How far it is: rows, files that were begun, and rows a second."""
    counts = [int(text) for path in folder.glob("[0-9]*") if (text := path.read_text()).isdecimal()]
    rows = sum(counts)
    return f"{rows:,} rows of {len(counts):,} of {files:,} files, {rows / max(seconds, 1e-3):,.0f} rows/s"
