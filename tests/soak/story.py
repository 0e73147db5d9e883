"""The month: what is delivered on each day, and what goes wrong, most of it in the first half."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

FIRST = date(2026, 10, 16)
DAYS = 30  # summer time ends in Europe on 2026-10-25, the tenth of them
KILLED, REBOOT = "kill -9", "reboot"
LATE, MISSING, DUPLICATE = "late", "missing", "duplicate"
DRIFTED, CORRUPT, EMPTY = "drifted", "corrupt", "empty"
FULL, DOWN, BROKEN, CLOCK = "disk full", "webhook down", "settings broken", "summer time ends"

_EVENTS = {
    2: (MISSING,), 3: (LATE,), 5: (DUPLICATE, DOWN), 6: (DRIFTED, DOWN), 7: (CORRUPT, DOWN),
    8: (EMPTY, DOWN), 9: (KILLED, DOWN), 10: (CLOCK, BROKEN, DOWN), 11: (REBOOT, DOWN), 12: (FULL,),
    13: (KILLED,), 14: (KILLED,),
}  # fmt: skip
_SIX = {
    1: (KILLED, DOWN), 2: (MISSING,), 3: (CORRUPT,), 4: (EMPTY,), 5: (MISSING, BROKEN), 6: (MISSING,),
}  # fmt: skip


class Day(NamedTuple):
    """The number of the day, from 1, and what is special about it."""

    number: int
    events: tuple[str, ...]

    @property
    def date(self) -> date:
        return FIRST + timedelta(self.number - 1)


def month() -> list[Day]:
    """All thirty days."""
    return [Day(number, _EVENTS.get(number, ())) for number in range(1, DAYS + 1)]


def six_days() -> list[Day]:
    """Six days with one training."""
    return [Day(number, events) for number, events in _SIX.items()]


def expected(story: Sequence[Day]) -> dict[str, str]:
    """Span in words → the decision that accounts for it, once."""
    found = {}
    for day in story:
        if MISSING in day.events:
            continue
        decision = "not blessed or released"
        for event, other in ((DRIFTED, "blocked"), (CORRUPT, "refused"), (EMPTY, "refused")):
            decision = other if event in day.events else decision
        found[f"{day.date} version 1"] = decision
        if DUPLICATE in day.events:
            found[f"{day.date - timedelta(1)} version 2"] = "not blessed or released"
    return found
