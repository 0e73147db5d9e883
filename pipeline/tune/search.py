"""Proposes settings with KerasTuner, trains with them, and stops what is worse than most. Imports Keras."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import keras

from maskline.pipeline import signals
from maskline.pipeline.settings.load import Loaded
from maskline.pipeline.settings.tune import TuneRange, TuneSpace
from maskline.pipeline.tune.ledger import Ledger, Trial
from maskline.pipeline.tune.space import as_type, with_values
from maskline.trainer.dataset import Rows
from maskline.trainer.fit import fit
from maskline.trainer.settings import TrainerSettings
from maskline.transform.errors import InputError

_ENOUGH = 3  # trials that must have ended before one is compared with them
_FIRST = 2  # epochs that every trial gets


class Watch(keras.callbacks.Callback):
    """Ends a training that is worse than most, or for which no time is left.

    The median rule of Vizier (Golovin et al., 2017, section 3.2.2): a trial ends when its lowest loss so far
    is above the median of the mean losses that the others had by the same epoch.

    Args:
      others: losses by epoch of the trials that have ended.
      over: whether the time is over.
    """

    def __init__(self, others: list[tuple[float, ...]], over: Callable[[], bool]) -> None:
        super().__init__()
        self._others, self._over = others, over
        self.losses: list[float] = []
        self.state = "done"

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Takes the figures of an epoch, and decides."""
        self.losses.append(float(logs["val_loss"]))
        if self._over():
            self.state = "over"
        elif self.is_worse(epoch + 1):
            self.state = "stopped"
        if self.state != "done":
            self.model.stop_training = True

    def is_worse(self, epochs: int) -> bool:
        """Whether most of the others were better by this epoch."""
        if epochs < _FIRST or len(self._others) < _ENOUGH:
            return False
        means = [sum(part) / len(part) for losses in self._others if (part := losses[:epochs])]
        return min(self.losses) > median(means)


def next_values(space: TuneSpace, trials: Mapping[int, Trial], number: int) -> dict[str, Any] | None:
    """The values to try next, by Gaussian processes over what was tried; the same for the same trials.

    Returns:
      values by setting; None where every combination has been tried.
    """
    from keras_tuner import HyperParameters, Objective
    from keras_tuner.engine.trial import Trial as Known
    from keras_tuner.oracles import BayesianOptimizationOracle

    places = HyperParameters()
    for name, tried in space.items():
        if not isinstance(tried, TuneRange):
            places.Choice(name, list(range(len(tried))), ordered=False)
        elif isinstance(as_type(name, tried.min), int):
            sampling = "log" if tried.log else "linear"
            places.Int(name, int(tried.min), int(tried.max), sampling=sampling)
        else:
            places.Float(name, tried.min, tried.max, sampling="log" if tried.log else "linear")
    oracle = BayesianOptimizationOracle(
        objective=Objective("val_loss", "min"), hyperparameters=places, seed=1000 * number, max_trials=None
    )
    for trial in trials.values():
        chosen = places.copy()
        chosen.values = {n: _place(space[n], value) for n, value in trial.values.items()}
        known = Known(chosen, str(trial.number), "COMPLETED" if trial.losses else "INVALID")
        known.score = trial.loss
        oracle.trials[known.trial_id] = known
        oracle._tried_so_far.add(oracle._compute_values_hash(chosen.values))
    values = oracle.populate_space(str(number)).get("values")
    if values is None or oracle._duplicate(values):
        values = oracle._random_values()
    return None if values is None else {name: _value(space[name], at) for name, at in values.items()}


def _place(tried: Any, value: Any) -> Any:
    return value if isinstance(tried, TuneRange) else [_plain(one) for one in tried].index(_plain(value))


def _value(tried: Any, place: Any) -> Any:
    return place if isinstance(tried, TuneRange) else tried[place]


def search(
    loaded: Loaded,
    rows: tuple[Rows, Rows],
    folder: Path,
    *,
    trials: int,
    minutes: float,
    say: Callable[[str], None],
) -> Ledger:
    """Runs trials until there are as many as asked for, or the time is over.

    Args:
      loaded: the settings, which name what to try.
      rows: of the train and the eval split.
      folder: of the sweep; one that was killed goes on in the same folder where it was, within its epoch.
      trials: number of them, those of earlier calls included.
      minutes: of this call; infinite for no limit.
      say: told what happens.
    """
    ledger, until = Ledger(folder), time.monotonic() + 60 * minutes
    space = loaded.settings.tune
    if ledger.trials:
        say(f"{len(ledger.ended)} trials were made before; the sweep goes on where it was")
    while time.monotonic() < until:
        trial = ledger.unfinished
        if trial is None:
            number = len(ledger.trials) + 1
            if number > trials:
                break
            values = next_values(space, ledger.trials, number)
            if values is None:
                say("every combination of these values has been tried")
                break
            trial = Trial(number=number, values=_listed(values))
            ledger.note(trial)
        ended = _train(loaded, trial, rows, folder, ledger, until)
        ledger.note(ended)
        signals.check()
        say(f"trial {ended.number} of {trials}: {in_words(ended)}")
    return ledger


def _listed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {n: _plain(v.item() if hasattr(v, "item") else v) for n, v in values.items()}


def _plain(value: Any) -> Any:
    """As the ledger gives it back, where a tuple is a list."""
    return [*value] if isinstance(value, tuple) else value


def in_words(trial: Trial) -> str:
    """What became of a trial, and with which values."""
    values = ", ".join(f"{name}={value}" for name, value in trial.values.items())
    if trial.state == "refused":
        return f"refused ({trial.why}) with {values}"
    early = {"stopped": ", stopped early", "over": ", stopped as the time is over"}.get(trial.state, "")
    return f"held-out loss {trial.loss:.4f}, accuracy {trial.accuracy:.3f}{early}, with {values}"


def _train(
    loaded: Loaded, trial: Trial, rows: tuple[Rows, Rows], folder: Path, ledger: Ledger, until: float
) -> Trial:
    began = time.monotonic()
    others = [other.losses for other in ledger.ended if other.losses]
    watch = Watch(others, lambda: time.monotonic() > until)
    place = folder / f"trial-{trial.number}"
    try:
        settings = with_values(loaded, trial.values)
        training = settings.training.for_seed(settings.training.seed)
        history = fit(
            *rows, settings.sequence,
            TrainerSettings(model=settings.model, training=training),
            log_dir=place / "logs", checkpoints=place / "checkpoints", callbacks=[watch],
        )[1]  # fmt: skip
    except InputError as error:
        return trial.model_copy(update={"state": "refused", "why": str(error)})
    best = min(history, key=lambda entry: entry["val_loss"])
    return trial.model_copy(
        update={
            "state": watch.state,
            "losses": tuple(entry["val_loss"] for entry in history),
            "accuracy": best["val_accuracy"],
            "seconds": round(time.monotonic() - began, 1),
        }
    )
