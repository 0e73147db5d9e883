"""Trains many models of one shape, and compiles only the first. Keras and the trainer's own parts.

The trainer builds, traces and checks each model anew and writes checkpoints, which takes longer than small
trainings themselves. Here weights, optimizer and schedule are set anew; rows, their order, steps and the
choice of the epoch are the trainer's. With one length of rows, the weights are those that `fit` gives.
"""

from typing import Any

import keras

from maskline.trainer import fit as trainer
from maskline.trainer.dataset import Rows, batches_of, in_order, stacks
from maskline.trainer.model import build_model
from maskline.trainer.schedule import learning_rate
from maskline.trainer.settings import TrainerSettings
from maskline.transform.features import SequenceSpec

STEPS_PER_CALL = 4  # so that a tenth of the rows fits the same compiled loop


class Fitting:
    """One compiled model, which is trained again and again."""

    def __init__(self, spec: SequenceSpec, settings: TrainerSettings) -> None:
        self._spec, self._settings = spec, settings
        model = build_model(spec, settings.model)
        self._compiled = trainer._compiled(model, spec, settings, 1_000, xla=False)
        self._schedule = self._compiled.optimizer._learning_rate

    def fit(self, train: Rows, held_out: Rows, *, seed: int) -> keras.Model:
        """Trains from the start.

        Returns:
          the model with the weights of its best epoch; the next call of `fit` changes it.
        """
        training = self._settings.training
        lengths = trainer._lengths((train, held_out), self._spec, self._settings)
        batch_size = min(training.batch_size, len(train.y))
        steps = int(batches_of(train, batch_size=batch_size, lengths=lengths, pad_id=self._spec.pad_id).sum())
        self._begin_anew(steps * training.epochs, seed)
        best, numbers = _Best(), range(training.epochs + 1)
        trained_on = stacks(
            train,
            steps=STEPS_PER_CALL,
            batch_size=batch_size,
            lengths=lengths,
            seed=seed,
            epochs=numbers,
            pad_id=self._spec.pad_id,
        )
        self._compiled.fit(
            trained_on,
            steps_per_epoch=int(trained_on.cardinality()) // len(numbers),
            epochs=training.epochs,
            validation_data=in_order(held_out, length=lengths[-1]),
            callbacks=[best],
            shuffle=False,
            verbose=0,
        )
        self._compiled.set_weights(best.weights)
        return self._compiled

    def _begin_anew(self, steps: int, seed: int) -> None:
        """Weights and seeds of a new model of this seed, and an optimizer that took no step."""
        keras.utils.set_random_seed(seed)
        fresh = build_model(self._spec, self._settings.model)
        for old, new in zip(self._compiled.variables, fresh.variables, strict=True):
            old.assign(new)
        for variable in self._compiled.optimizer.variables:
            variable.assign(keras.ops.zeros_like(variable))
        self._schedule.follow(learning_rate(self._settings.training, steps))


class _Best(keras.callbacks.Callback):
    """Keeps the weights of the epoch with the lowest held-out loss, as the trainer does."""

    def __init__(self) -> None:
        super().__init__()
        self._lowest = float("inf")
        self.weights: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if logs["val_loss"] < self._lowest:
            self._lowest, self.weights = logs["val_loss"], self.model.get_weights()
