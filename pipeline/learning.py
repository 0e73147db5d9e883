"""How a training goes, by the lines that it logs: a bar with the time left, and a curve that stays. Pure."""

import re
from typing import NamedTuple

# As `maskline.trainer.progress` logs an epoch.
_EPOCH = re.compile(
    r"epoch (?P<number>\d+)/(?P<all>\d+): loss (?P<loss>[\d.]+), held-out loss (?P<held_out>[\d.]+), "
    r"held-out accuracy (?P<accuracy>[\d.]+)"
)
_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDEST = 40  # characters of a curve


class _Epoch(NamedTuple):
    number: int
    of: int
    loss: float
    held_out: float
    accuracy: float
    at: float


class Learning:
    """What a training has told of its epochs.

    Args:
      began: seconds on a clock that only goes forward.
    """

    def __init__(self, began: float) -> None:
        self._began = began
        self._epochs: list[_Epoch] = []

    def hear(self, line: str, now: float) -> None:
        """Takes a line, and passes over those that tell of no epoch."""
        if found := _EPOCH.search(line):
            number, of = int(found["number"]), int(found["all"])
            loss, held_out, accuracy = (float(found[name]) for name in ("loss", "held_out", "accuracy"))
            self._epochs.append(_Epoch(number, of, loss, held_out, accuracy, now))

    @property
    def done(self) -> tuple[int, int] | None:
        """Epochs that are done, and all of them; None before the first."""
        return (self._epochs[-1].number, self._epochs[-1].of) if self._epochs else None

    def seconds_left(self, now: float) -> float | None:
        """By the mean of the epochs after the first, which also compiles; None where two are not done."""
        if len(self._epochs) < 2:
            return None
        first, last = self._epochs[0], self._epochs[-1]
        each = (last.at - first.at) / (last.number - first.number)
        return max(0.0, each * (last.of - last.number) - (now - last.at))

    def words(self, now: float) -> str:
        """The last epoch in words, as `epoch 3/12: loss 1.6073, held-out 1.5835, about 40 s left`."""
        if not self._epochs:
            return ""
        last, left = self._epochs[-1], self.seconds_left(now)
        told = f"epoch {last.number}/{last.of}: loss {last.loss:.4f}, held-out {last.held_out:.4f}"
        return told if left is None else f"{told}, about {left:.0f} s left"

    def curve(self, width: int) -> list[str]:
        """Lines that show the whole training, at most `width` characters each; none for a single epoch."""
        if len(self._epochs) < 2:
            return []
        return [
            _line(name, [getattr(epoch, figure) for epoch in self._epochs], width)
            for name, figure in (
                ("loss", "loss"),
                ("held-out loss", "held_out"),
                ("held-out accuracy", "accuracy"),
            )
        ]


def _line(name: str, values: list[float], width: int) -> str:
    before, after = f"  {name:<18}{values[0]:.4f} ", f" {values[-1]:.4f}"
    room = min(_WIDEST, width - len(before) - len(after))
    return f"{before}{_sparkline(values, max(0, room))}{after}"


def _sparkline(values: list[float], width: int) -> str:
    """Each value as a block, the higher the higher; some are left out where there is no room for all."""
    if len(values) > width:
        places = [round(i * (len(values) - 1) / max(1, width - 1)) for i in range(width)]
        values = [values[place] for place in places]
    low, high = min(values, default=0.0), max(values, default=0.0)
    step = (high - low) / (len(_BLOCKS) - 1) or 1.0
    return "".join(_BLOCKS[round((value - low) / step)] for value in values)
