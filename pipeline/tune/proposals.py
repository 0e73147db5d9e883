"""What to try next: settings as they are, values at random, and what a Gaussian process expects most of."""

import warnings
from collections.abc import Mapping
from math import log
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern, WhiteKernel

from maskline.pipeline.settings.load import Loaded
from maskline.pipeline.settings.tune import TuneRange, TuneSpace
from maskline.pipeline.tune.ledger import Trial
from maskline.pipeline.tune.space import as_type

_AT_RANDOM = 2  # trials for each setting, before a Gaussian process proposes
_CANDIDATES = 2000  # of which it takes the most promising
_SCALES = (0.3, 10.0)  # of the process in each setting, whose values lie between 0 and 1
_NOISE = (1e-4, 1.0)  # variance, of that of all losses
_TINY = 1e-6  # nats; a lower loss has no logarithm that would mean something


def as_they_are(loaded: Loaded) -> dict[str, Any] | None:
    """The values that the settings have before the sweep; None where they are not among those to try."""
    values: dict[str, Any] = {}
    for name, tried in loaded.settings.tune.items():
        section, _, key = name.partition(".")
        value = getattr(getattr(loaded.settings, section), key)
        if isinstance(tried, TuneRange):
            fits = isinstance(value, int | float) and tried.min <= value <= tried.max
        else:
            fits = comparable_value(value) in [comparable_value(one) for one in tried]
        if not fits:
            return None
        values[name] = value
    return values


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
    epochs = _comparable(trials, max(_AT_RANDOM * len(space), 3))
    for trial in trials.values():
        chosen = places.copy()
        chosen.values = {n: _place(space[n], value) for n, value in trial.values.items()}
        comparable = 0 < epochs <= len(trial.losses)
        known = Known(chosen, str(trial.number), "COMPLETED" if comparable else "INVALID")
        # The logarithm, as a loss of 30 says no more than one of 3.
        known.score = log(max(min(trial.losses[:epochs]), _TINY)) if comparable else 0.0
        oracle.trials[known.trial_id] = known
        oracle._tried_so_far.add(oracle._compute_values_hash(chosen.values))
    values = _promising(oracle) if epochs else None
    if values is None or oracle._duplicate(values):
        values = oracle._random_values()
    return None if values is None else {name: _value(space[name], at) for name, at in values.items()}


def _comparable(trials: Mapping[int, Trial], enough: int) -> int:
    """The most epochs by which enough trials can be compared; 0 where too few have been made."""
    lengths = sorted((len(trial.losses) for trial in trials.values()), reverse=True)
    return lengths[enough - 1] if len(lengths) >= enough else 0


def _promising(oracle: Any) -> dict[str, Any]:
    """Of many random values, those of the lowest bound by a Gaussian process.

    KerasTuner's own way to them, `populate_space`, asks for one place at a time, thousands of times, which
    takes longer than a short training.
    """
    places, losses = oracle._vectorize_trials()
    # With scales as short as KerasTuner's may become, and no noise, trials tell nothing of other places.
    scales = Matern(np.ones(places.shape[1]), _SCALES, nu=2.5)
    process = GaussianProcessRegressor(
        scales + WhiteKernel(0.01, _NOISE), normalize_y=True, n_restarts_optimizer=2, random_state=oracle.seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # few trials leave some scales at a bound
        process.fit(places, losses)
    some = np.random.default_rng(oracle.seed).uniform(size=(_CANDIDATES, places.shape[1]))
    mean, deviation = process.predict(some, return_std=True)
    values: dict[str, Any] = oracle._vector_to_values(some[np.argmin(mean - oracle.beta * deviation)])
    return values


def _place(tried: Any, value: Any) -> Any:
    return (
        value
        if isinstance(tried, TuneRange)
        else [comparable_value(one) for one in tried].index(comparable_value(value))
    )


def _value(tried: Any, place: Any) -> Any:
    return place if isinstance(tried, TuneRange) else tried[place]


def comparable_value(value: Any) -> Any:
    """As the ledger gives it back, where a tuple is a list."""
    return [*value] if isinstance(value, tuple) else value
