"""Keeps the progress of a training: history, best weights, and checkpoints to continue from after a kill."""

import json
import logging
import math
import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
from numpy.typing import NDArray

from maskline.trainer.checkpoints import Checkpoints
from maskline.trainer.settings import TrainingSettings
from maskline.transform.errors import InputError
from maskline.transform.versioned import FORMAT

logger = logging.getLogger(__name__)

_STATE = "state.json"
_GONE = "a checkpoint was removed or damaged during training; run again to continue from the last good one"
_LATEST, _BEST = "latest.npz", "best.npz"
_PAUSE = 10  # seconds between the checkpoints of a trial, whose epochs may take less time than a checkpoint


class Progress(keras.callbacks.Callback):
    """Logs a line for each epoch, keeps history and best weights, and writes a checkpoint after every epoch.

    Keras' own `EarlyStopping` and `BackupAndRestore` do not work together: after a kill, the first no longer
    knows which epoch was best. Here each checkpoint holds all of that. It is made whole while the next epoch
    trains, since a disk takes longer to say that it has it than a small epoch takes. Use it as a context: at
    its end nothing is being written.

    Args:
      folder: for the checkpoints of this training only.
      training: epochs, patience and whether best weights are kept.
      trial: only the history is wanted: no best weights are kept, and there is a pause between checkpoints.

    Attributes:
      history: for each epoch, loss, accuracy, val_loss, val_accuracy, rows, seconds and the learning rate of
        its last step; `resumed` is 1 in the first epoch after a checkpoint was restored.
    """

    def __init__(self, folder: Path, training: TrainingSettings, *, trial: bool = False) -> None:
        super().__init__()
        self._checkpoints, self._training, self._trial = Checkpoints(folder), training, trial
        self._saved = time.monotonic()
        self._writer = ThreadPoolExecutor(1)
        self._written: Future[None] | None = None
        self._resumed = False
        self.history: list[dict[str, float]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended_by: object) -> None:
        self._writer.shutdown()

    def restore(self, model: keras.Model) -> int:
        """Restores the newest undamaged checkpoint, if there is one.

        Args:
          model: compiled; receives the weights and the optimizer's state.

        Returns:
          the epoch to continue with; 0 without a checkpoint.
        """
        if (newest := self._checkpoints.newest()) is None:
            return 0
        state = json.loads((newest / _STATE).read_text())
        self.history = state["history"]
        _load(model, newest / _LATEST)
        self._resumed = True
        logger.info("continuing after epoch %d, from a checkpoint", len(self.history))
        return self._training.epochs if self._stopped() else len(self.history)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the epoch's clock."""
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Ends the training if the loss is NaN or infinite, as it cannot recover."""
        self._refuse_unless_finite(logs, "loss", f"by call {batch + 1}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Logs the epoch, and writes the checkpoint."""
        self._refuse_unless_finite(logs, "val_loss", "on the eval split")
        entry = {name: float(value) for name, value in (logs or {}).items() if name != "val_rows"}
        entry["rows"] = int(entry["rows"])
        entry["seconds"] = round(time.perf_counter() - self._began, 3)
        entry["learning_rate"] = float(self.model.optimizer.learning_rate)
        if self._resumed:
            entry["resumed"], self._resumed = 1, False
        self.history.append(entry)
        logger.info(
            "epoch %d/%d: loss %.4f, held-out loss %.4f, held-out accuracy %.3f",
            epoch + 1, self._training.epochs, entry["loss"], entry["val_loss"], entry["val_accuracy"],
        )  # fmt: skip
        self._save()
        if self._stopped():
            logger.info("no lower held-out loss since epoch %d: stopping", self._best_epoch())
            self.model.stop_training = True

    def finish(self, model: keras.Model) -> int:
        """Waits for the last checkpoint, and loads the weights to keep into `model`.

        Returns:
          the epoch that they are from, counted from 1.

        Raises:
          OSError: the last checkpoint could not be written, or is gone.
        """
        self._settle()
        if self._trial or not self._training.best_weights:
            return len(self.history)
        best = self._best_epoch()
        if best < len(self.history):
            newest = self._checkpoints.newest()
            if newest is None or int(newest.name) != len(self.history):
                raise OSError(_GONE)
            _load(model, newest / _BEST)
        return best

    def _refuse_unless_finite(self, logs: Any, name: str, where: str) -> None:
        if not math.isfinite(logs[name]):
            raise InputError(
                f"training: the loss became {logs[name]} in epoch {len(self.history) + 1}, {where}; "
                f"lower training.learning_rate (it is {self._training.learning_rate:g})"
            )

    def _save(self) -> None:
        if self._trial and time.monotonic() - self._saved < _PAUSE:
            return
        self._saved = time.monotonic()
        self._settle()
        values = [keras.ops.convert_to_numpy(one).copy() for one in _variables(self.model)]
        state = json.dumps({FORMAT: 1, "history": self.history})
        is_best = self._best_epoch() == len(self.history)
        self._written = self._writer.submit(self._write, len(self.history), values, state, is_best=is_best)

    def _write(self, number: int, values: list[NDArray[Any]], state: str, *, is_best: bool) -> None:
        earlier = self._checkpoints.newest()
        if not self._trial and not is_best and (earlier is None or int(earlier.name) != number - 1):
            raise OSError(_GONE)

        def fill(folder: Path) -> None:
            np.savez(folder / _LATEST, *values)
            if not self._trial:
                best = folder / _LATEST if is_best or earlier is None else earlier / _BEST
                shutil.copyfile(best, folder / _BEST)
            (folder / _STATE).write_text(state)

        self._checkpoints.write(number, fill)

    def _settle(self) -> None:
        """Waits for the checkpoint that is being written, and raises what kept it from being whole."""
        if self._written:
            self._written.result()

    def _best_epoch(self) -> int:
        losses = [entry["val_loss"] for entry in self.history]
        return losses.index(min(losses)) + 1

    def _stopped(self) -> bool:
        patience = self._training.stop_after
        return bool(patience) and len(self.history) - self._best_epoch() >= patience


def _variables(model: keras.Model) -> list[Any]:
    """All that a training continues from: weights, the optimizer's state, and that of random generators."""
    layers = (layer for layer in model._flatten_layers() if hasattr(layer, "seed_generator"))
    return [*model.weights, *model.optimizer.variables, *(layer.seed_generator.state for layer in layers)]


def _load(model: keras.Model, file: Path) -> None:
    with np.load(file) as values:
        for variable, name in zip(_variables(model), values.files, strict=True):
            variable.assign(values[name])
