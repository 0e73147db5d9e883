"""What a tick is about to run, until it is recorded what became of it: a killed tick leaves it behind."""

import os
from pathlib import Path

from pydantic import AwareDatetime, ValidationError

from maskline.pipeline.schedule.ledger import FOLDER
from maskline.transform.versioned import Versioned

_FILE = "running.json"


class Intent(Versioned):
    """The span in words, what the run depends on, the newest run before it, and when it began."""

    span: str
    depends_on: str
    before: str
    began: AwareDatetime


def write(root: Path, intent: Intent) -> None:
    """Keeps an intent, written through to the disk; what was there goes.

    Raises:
      OSError: the disk refuses it.
    """
    partial = root / FOLDER / f".{_FILE}.partial"
    partial.parent.mkdir(parents=True, exist_ok=True)
    with open(partial, "w", encoding="utf-8") as file:
        file.write(intent.model_dump_json())
        file.flush()
        os.fsync(file.fileno())
    partial.rename(root / FOLDER / _FILE)


def read(root: Path) -> Intent | None:
    """What a killed tick left; None where none was killed, or at a moment that left nothing whole."""
    try:
        return Intent.model_validate_json((root / FOLDER / _FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def clear(root: Path) -> None:
    """Forgets it: what became of the run is recorded."""
    (root / FOLDER / _FILE).unlink(missing_ok=True)
