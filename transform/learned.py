"""What a training kept, what it wasted, and how far its seeds lie apart. No TensorFlow."""

from collections.abc import Iterator, Mapping
from statistics import stdev

from pydantic import BaseModel, ConfigDict

# Of as many standard deviations of one model a margin is wide enough for two; see `maskline margins`.
DEVIATIONS = 3
FEWEST = 3  # seeds; of two, a standard deviation says next to nothing


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True)


class OfSeed(_Form):
    """One training. `epoch` is the one that is kept, from 1; `seconds` are those of all epochs."""

    seed: int
    epoch: int
    trained: int
    planned: int
    loss: float
    accuracy: float
    seconds: float
    wasted: float

    @classmethod
    def of(cls, seed: int, history: list[dict[str, float]], *, planned: int, best: bool) -> "OfSeed":
        """From the history of a training; `best` where the epoch of the lowest loss is kept, not the last."""
        losses = [entry["val_loss"] for entry in history]
        kept = losses.index(min(losses)) + 1 if best else len(losses)
        return cls(
            seed=seed,
            epoch=kept,
            trained=len(history),
            planned=planned,
            loss=history[kept - 1]["val_loss"],
            accuracy=history[kept - 1]["val_accuracy"],
            seconds=sum(entry["seconds"] for entry in history),
            wasted=sum(entry["seconds"] for entry in history[kept:]),
        )


class Learned(_Form):
    """Of all seeds, in their order; `seed` is the one whose model is kept: that of the lowest loss."""

    seed: int
    seeds: tuple[OfSeed, ...]

    @classmethod
    def best_of(cls, seeds: list[OfSeed]) -> "Learned":
        """Chooses by the held-out loss, the first where several have the same."""
        return cls(seed=min(seeds, key=lambda one: one.loss).seed, seeds=tuple(seeds))

    @property
    def chosen(self) -> OfSeed:
        """The training whose model is kept."""
        return next(one for one in self.seeds if one.seed == self.seed)

    def sentences(self) -> Iterator[str]:
        """Which epoch is kept and what was wasted; with several seeds, how far they lie apart."""
        one = self.chosen
        after, rest = one.trained - one.epoch, one.planned - one.trained
        told = f"The weights of epoch {one.epoch} of {one.planned} are kept; "
        told += (
            f"{_epochs(after)} after it wasted {one.wasted:.1f} of {one.seconds:.1f} s"
            if after
            else ("no epoch was wasted")
        )
        yield told + (f", and early stopping saved {_epochs(rest)}." if rest else ".")
        if len(self.seeds) < 2:
            return
        losses, accuracies = ([getattr(s, name) for s in self.seeds] for name in ("loss", "accuracy"))
        spread = f"loss {min(losses):.4f} to {max(losses):.4f}, accuracy {_span(accuracies)}"
        if len(self.seeds) >= FEWEST:
            spread += f" (standard deviations {stdev(losses):.4f} and {stdev(accuracies):.4f})"
        yield (
            f"Of {len(self.seeds)} seeds, {self.seed} has the lowest loss on the eval split, and its model "
            f"is kept; over all seeds: {spread}."
        )

    def too_narrow(self, margins: Mapping[str, float]) -> Iterator[str]:
        """Says which margins of the release gate are narrower than what another seed explains.

        Args:
          margins: `margin`, of the accuracy, and `loss_margin`.
        """
        if len(self.seeds) < FEWEST:
            return
        for name, figure in (("margin", "accuracy"), ("loss_margin", "loss")):
            needed = DEVIATIONS * stdev(getattr(one, figure) for one in self.seeds)
            if margins[name] < needed:
                yield (
                    f"release_gate.{name} is {margins[name]:g}, and {DEVIATIONS} standard deviations of the "
                    f"{figure} over seeds are {needed:.4f}: another seed may be held back"
                )


def _epochs(count: int) -> str:
    return f"{count} epoch{'' if count == 1 else 's'}"


def _span(shares: list[float]) -> str:
    return f"{min(shares):.4f} to {max(shares):.4f}"
