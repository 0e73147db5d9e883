"""What a training has reached so far: history, best weights, and a checkpoint to go on from after a kill."""

import json
import logging
import math
import shutil
import time
from pathlib import Path
from typing import Any

import keras

from maskline.trainer.settings import TrainingSettings
from maskline.transform.errors import InputError

logger = logging.getLogger(__name__)

_STATE = "state.json"
_LATEST, _BEST = "latest.weights.h5", "best.weights.h5"


class Progress(keras.callbacks.Callback):
    """Logs a line an epoch, keeps history and best weights, and checkpoints after every epoch.

    Keras' own `EarlyStopping` and `BackupAndRestore` do not know of each other: after a kill the first
    forgets which epoch was best. Here all of it is one folder, that is renamed into place when whole.

    Args:
      folder: where checkpoints of this training go, and of no other.
      config: epochs, patience and whether best weights are kept.

    Attributes:
      epoch: that is trained now, from 0.
      history: for each epoch, loss, accuracy, val_loss, val_accuracy and seconds.
    """

    def __init__(self, folder: Path, config: TrainingSettings) -> None:
        super().__init__()
        self._folder, self._config = folder, config
        self.epoch = 0
        self.history: list[dict[str, float]] = []

    def restore(self, model: keras.Model) -> int:
        """Takes up the newest checkpoint, if there is one.

        Args:
          model: compiled; gets the weights and the optimizer's state.

        Returns:
          the epoch to go on with; 0 without a checkpoint.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        checkpoints = self._checkpoints()
        if not checkpoints:
            return 0
        state = json.loads((checkpoints[-1] / _STATE).read_text())
        self.history = state["history"]
        model.optimizer.build(model.trainable_variables)
        model.load_weights(checkpoints[-1] / _LATEST)
        for name, seed in state["seeds"].items():
            model.get_layer(name).seed_generator.state.assign(seed)
        logger.info("going on after epoch %d, from a checkpoint", len(self.history))
        return self._config.epochs if self._stopped() else len(self.history)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the epoch's clock."""
        self.epoch = epoch
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stops at a loss that is NaN or infinite: training cannot recover from it."""
        self._refuse_unless_finite(logs, "loss", f"by call {batch + 1}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Logs, and writes the checkpoint."""
        self._refuse_unless_finite(logs, "val_loss", "on the eval split")
        entry = {name: float(value) for name, value in (logs or {}).items()}
        entry["seconds"] = round(time.perf_counter() - self._began, 3)
        self.history.append(entry)
        logger.info(
            "epoch %d/%d: loss %.4f, held-out loss %.4f, held-out accuracy %.3f",
            epoch + 1, self._config.epochs, entry["loss"], entry["val_loss"], entry["val_accuracy"],
        )  # fmt: skip
        self._save()
        if self._stopped():
            logger.info("no lower held-out loss since epoch %d: stopping", self._best_epoch())
            self.model.stop_training = True

    def finish(self, model: keras.Model) -> int:
        """Gives `model` the weights that are kept.

        Returns:
          the epoch, from 1, that they are of.
        """
        if not self._config.best_weights:
            return len(self.history)
        best = self._best_epoch()
        if best < len(self.history):
            model.load_weights(self._checkpoints()[-1] / _BEST)
        return best

    def _refuse_unless_finite(self, logs: Any, name: str, where: str) -> None:
        if not math.isfinite(logs[name]):
            raise InputError(
                f"training: the loss became {logs[name]} in epoch {len(self.history) + 1}, {where}; "
                f"lower training.learning_rate (it is {self._config.learning_rate:g})"
            )

    def _save(self) -> None:
        number = len(self.history)
        earlier = self._checkpoints()
        partial = self._folder / f"{number:05d}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        self.model.save_weights(partial / _LATEST)
        is_best = self._best_epoch() == number
        shutil.copyfile(partial / _LATEST if is_best else earlier[-1] / _BEST, partial / _BEST)
        state = {"history": self.history, "seeds": _seeds(self.model)}
        (partial / _STATE).write_text(json.dumps(state))
        partial.rename(self._folder / f"{number:05d}")
        for folder in earlier:
            shutil.rmtree(folder)

    def _checkpoints(self) -> list[Path]:
        return sorted(path for path in self._folder.iterdir() if path.name.isdigit())

    def _best_epoch(self) -> int:
        losses = [entry["val_loss"] for entry in self.history]
        return losses.index(min(losses)) + 1

    def _stopped(self) -> bool:
        patience = self._config.patience
        return bool(patience) and len(self.history) - self._best_epoch() >= patience


def _seeds(model: keras.Model) -> dict[str, list[int]]:
    """Where each random layer's numbers have got to; Keras leaves that out of saved weights."""
    layers = (layer for layer in model.layers if hasattr(layer, "seed_generator"))
    return {layer.name: keras.ops.convert_to_numpy(layer.seed_generator.state).tolist() for layer in layers}
