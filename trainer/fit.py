"""Fits a model and keeps its history. Knows Keras; knows nothing of TFX or files of examples."""

import logging
import time
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from trainer.config import TrainerSettings
from trainer.dataset import Rows, batches
from trainer.model import build_model
from transform.errors import InputError
from transform.features import SequenceSpec

logger = logging.getLogger(__name__)


def fit(
    train: Rows, held_out: Rows, spec: SequenceSpec, settings: TrainerSettings, log_dir: Path
) -> tuple[keras.Model, list[dict[str, float]]]:
    """Builds the model and fits it, repeatably for a seed.

    Args:
      train: rows to learn from.
      held_out: rows to measure on after each epoch.
      spec: length and vocabulary.
      settings: sizes, epochs, seed.
      log_dir: where TensorBoard's logs go.

    Returns:
      the model and, for each epoch, loss, accuracy, val_loss, val_accuracy and seconds.

    Raises:
      InputError: a split has no rows.
    """
    for name, rows in (("train", train), ("eval", held_out)):
        if not len(rows.y):
            raise InputError(f"split '{name}' holds no rows: give more data or change data.eval_percent")
    config = settings.training
    keras.utils.set_random_seed(config.seed)
    # Without it, sums in parallel reductions may differ in the last bit from run to run.
    tf.config.experimental.enable_op_determinism()
    model = build_model(spec, settings.model)
    model.compile(
        optimizer=keras.optimizers.Adam(config.learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        steps_per_execution=config.steps_per_call,
    )
    progress = Progress(config.epochs)
    model.fit(
        batches(train, batch_size=config.batch_size, seed=config.seed),
        epochs=config.epochs,
        validation_data=tf.data.Dataset.from_tensor_slices(tuple(held_out)).batch(4096),
        callbacks=[
            keras.callbacks.TensorBoard(str(log_dir), histogram_freq=int(config.histograms)),
            progress,
        ],
        shuffle=False,  # the dataset shuffles
        verbose=0,
    )
    return model, progress.history


class Progress(keras.callbacks.Callback):
    """Logs one line an epoch, and keeps what it logged."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self._epochs = epochs
        self.history: list[dict[str, float]] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the epoch's clock."""
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Logs loss and held-out accuracy."""
        entry = {name: float(value) for name, value in (logs or {}).items()}
        entry["seconds"] = round(time.perf_counter() - self._began, 3)
        self.history.append(entry)
        logger.info(
            "epoch %d/%d: loss %.4f, held-out loss %.4f, held-out accuracy %.3f",
            epoch + 1, self._epochs, entry["loss"], entry["val_loss"], entry["val_accuracy"],
        )  # fmt: skip
