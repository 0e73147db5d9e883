"""Trains once with each seed, and keeps the model of the lowest held-out loss."""

import logging
from collections.abc import Callable
from pathlib import Path

import keras

from maskline.trainer.dataset import Rows
from maskline.trainer.fit import fit
from maskline.trainer.settings import TrainerSettings
from maskline.trainer.warm_start import Predecessor
from maskline.transform.features import SequenceSpec
from maskline.transform.learned import Learned, OfSeed

logger = logging.getLogger(__name__)


def fit_seeds(
    train: Rows,
    held_out: Rows,
    spec: SequenceSpec,
    settings: TrainerSettings,
    *,
    log_dir: Path,
    checkpoints: Path,
    start_from: Predecessor | None = None,
    after_first_epoch: Callable[[keras.Model], None] | None = None,
) -> tuple[keras.Model, list[dict[str, float]], Learned]:
    """Fits with each of `training.seeds`, or with `training.seed` alone. Arguments are those of `fit`.

    With several seeds, nothing is called after a first epoch, as nobody knows yet which model is kept.

    A killed training goes on where it was: seeds that have come to their end are read from checkpoints.

    Returns:
      the model and the history of the seed that is kept, and what became of all seeds.

    Raises:
      InputError: see `fit`.
    """
    training = settings.training
    found: list[OfSeed] = []
    best: tuple[keras.Model, list[dict[str, float]]] | None = None
    for seed in training.seeds or (training.seed,):
        places = log_dir, checkpoints
        if training.seeds:
            logger.info("seed %d, of %d seeds", seed, len(training.seeds))
            places = log_dir / f"seed-{seed}", checkpoints / f"seed-{seed}"
        one = settings.model_copy(update={"training": training.for_seed(seed)})
        model, history = fit(
            train, held_out, spec, one, log_dir=places[0], checkpoints=places[1], start_from=start_from,
            after_first_epoch=None if len(training.seeds) > 1 else after_first_epoch,
        )  # fmt: skip
        found.append(OfSeed.of(seed, history, planned=training.epochs, best=training.best_weights))
        if best is None or Learned.best_of(found).seed == seed:
            best = model, history
    assert best
    return *best, Learned.best_of(found)
