"""Stops a trial that others are better than. Imports Keras."""

from collections.abc import Callable
from typing import Any

import keras

from maskline.pipeline.tune.ledger import Trial

_ONE_OF = 3  # trials goes on, after epoch 1 and after each that is three times as late as the one before


class Watch(keras.callbacks.Callback):
    """Ends a training than which too many others are better, or for which no time is left.

    Successive halving without waiting for the others (ASHA; Li et al., 2020, "A System for Massively Parallel
    Hyperparameter Tuning"), in the variant that stops: after epochs 1, 3, 9, 27 and so on, a trial goes on
    only if its lowest loss so far is among the best third of those that trials had by this epoch. Where fewer
    than six are known, it must be the best.

    Args:
      others: losses by epoch of the trials that have ended.
      over: whether the time is over.
      trial: the one at work. Where a killed sweep goes on with it, it has the losses of its first epochs.
      note: is told of it after each epoch.
    """

    def __init__(
        self,
        others: list[tuple[float, ...]],
        over: Callable[[], bool],
        trial: Trial,
        note: Callable[[Trial], None] = lambda _: None,
    ) -> None:
        super().__init__()
        self._others, self._over, self._trial, self._note = others, over, trial, note
        self.losses = list(trial.losses)
        self.state = "done"

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Takes the figures of an epoch, and decides."""
        self.losses[epoch:] = [float(logs["val_loss"])]
        self._note(self._trial.model_copy(update={"losses": tuple(self.losses)}))
        if self._over():
            self.state = "over"
        elif self.is_worse(epoch + 1):
            self.state = "stopped"
        if self.state != "done":
            self.model.stop_training = True

    def is_worse(self, epochs: int) -> bool:
        """Whether it is to end after `epochs`, because too many of the others were better by then."""
        rung = 1
        while rung < epochs:
            rung *= _ONE_OF
        if rung != epochs:
            return False
        by_now = [min(losses[:epochs]) for losses in self._others if len(losses) >= epochs]
        better = sum(loss <= min(self.losses) for loss in by_now)
        return better >= max(1, (len(by_now) + 1) // _ONE_OF)
