"""The trials of a sweep on disk: a line when one begins and a line when it ends. No TensorFlow."""

import json
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Trial(BaseModel):
    """One training of a sweep.

    `state` is `running` until it has ended: `done`, `stopped` early because it was worse than most, `refused`
    because its settings cannot be trained, or `over` because the time was. `losses` are the held-out ones by
    epoch.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    values: dict[str, Any]
    state: Literal["running", "done", "stopped", "refused", "over"] = "running"
    losses: tuple[float, ...] = ()
    accuracy: float = 0.0
    seconds: float = 0.0
    why: str = ""

    @property
    def loss(self) -> float:
        """The lowest held-out loss; infinite before the first epoch."""
        return min(self.losses, default=float("inf"))


class Ledger:
    """Trials in a file that a killed sweep leaves whole: what was begun and not ended is begun again.

    Args:
      folder: of one sweep; made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "trials.jsonl"
        self.trials: dict[int, Trial] = {}
        for line in self._file.read_bytes().splitlines() if self._file.exists() else ():
            try:
                trial = Trial.model_validate(json.loads(line))
            except ValueError:  # the line that was being written when the sweep was killed
                continue
            self.trials[trial.number] = trial

    def note(self, trial: Trial) -> None:
        """Adds a line, which is on the disk when this returns."""
        with self._file.open("ab") as file:
            # Whatever a killed process left of a line ends here.
            file.write(b"\n" + trial.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.trials[trial.number] = trial

    @property
    def ended(self) -> list[Trial]:
        """The trials that have come to an end, the best first."""
        return sorted((t for t in self.trials.values() if t.state != "running"), key=lambda t: t.loss)

    @property
    def unfinished(self) -> Trial | None:
        """The trial that was at work when the sweep was killed."""
        return next((t for t in self.trials.values() if t.state == "running"), None)
