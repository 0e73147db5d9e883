"""Wakes the scheduler when files change where spans arrive, so that a watch need not wait for a look."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from watchdog.events import FileSystemEvent, FileSystemEventHandler

from maskline.components.ingest import spans


@contextmanager
def watched(path: Path, wake: Callable[[], Any], say: Callable[[str], Any]) -> Iterator[None]:
    """Calls `wake` after each change below the folder of a pattern; where no events come, polling is enough.

    Args:
      path: of the data; nothing is watched for a plain folder.
      wake: called from another thread.
      say: takes one line where the system gives no events.
    """
    folder = spans.split_pattern(path)[0] if spans.is_pattern(path) else path
    from watchdog.observers import Observer  # a schedule by the clock does without

    observer = Observer()
    try:
        observer.schedule(_Handler(wake), str(folder), recursive=True)
        observer.start()
    except OSError as error:  # the folder is not there yet, or the limit of inotify is reached
        say(f"{folder}: no file events ({error.strerror or error}); looking every 30 s")
        yield
        return
    try:
        yield
    finally:
        observer.stop()
        observer.join()


class _Handler(FileSystemEventHandler):
    """What watchdog calls; reading changes nothing, and is no reason to look."""

    def __init__(self, wake: Callable[[], Any]) -> None:
        super().__init__()
        self._wake = wake

    def dispatch(self, event: FileSystemEvent) -> None:
        """Takes an event of watchdog's."""
        if event.event_type not in ("opened", "closed_no_write"):
            self._wake()
