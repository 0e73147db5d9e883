"""Makes the trials of a sweep, one after the other, and notes them. Imports Keras."""

import gc
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from maskline.pipeline import signals
from maskline.pipeline.settings.load import Loaded
from maskline.pipeline.tune.ledger import Ledger, Trial
from maskline.pipeline.tune.proposals import as_they_are, comparable_value, next_values
from maskline.pipeline.tune.space import with_values
from maskline.pipeline.tune.stopping import Watch
from maskline.trainer.dataset import Rows
from maskline.trainer.fit import fit
from maskline.trainer.settings import TrainerSettings
from maskline.transform.errors import InputError


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
      folder: of the sweep; one that was killed goes on in the same folder, from its last checkpoint.
      trials: number of them, those of earlier calls included.
      minutes: of this call; infinite for no limit.
      say: told what happens.
    """
    ledger, until = Ledger(folder), time.monotonic() + 60 * minutes
    space = loaded.settings.tune
    # Tracing makes so many objects that all of those imported so far would be looked through again and again.
    gc.freeze()
    if ledger.trials:
        say(f"{len(ledger.ended)} trials were made before; the sweep goes on where it was")
    while time.monotonic() < until:
        trial = ledger.unfinished
        if trial is None:
            number = len(ledger.trials) + 1
            if number > trials:
                break
            values = None if ledger.trials else as_they_are(loaded)
            values = values or next_values(space, ledger.trials, number)
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
    return {n: comparable_value(v.item() if hasattr(v, "item") else v) for n, v in values.items()}


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
    watch = Watch(others, lambda: time.monotonic() > until, trial, ledger.note)
    place = folder / f"trial-{trial.number}"
    try:
        settings = with_values(loaded, trial.values)
        training = settings.training.for_seed(settings.training.seed)
        history = fit(
            *rows, settings.sequence,
            TrainerSettings(model=settings.model, training=training),
            log_dir=place / "logs", checkpoints=place / "checkpoints", callbacks=[watch], trial=True,
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
