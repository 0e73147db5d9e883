"""Settings of scheduled retraining on one machine."""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import model_validator

from maskline.transform.settings import Section, refusal, setting
from maskline.transform.shown import shown

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"(\d{1,6})([smhd])")


class Overlap(StrEnum):
    """What becomes of a tick that is due while a run works."""

    SKIP = "skip"
    ONE = "one"


class CatchUp(StrEnum):
    """Which spans a tick runs on that no tick has seen."""

    LATEST = "latest"
    ALL = "all"
    NONE = "none"


class KeepSettings(Section):
    """What stays on the disk after a scheduled run; never less than the live version was made from."""

    versions: int = setting(10, "the newest released versions", unit="versions", ge=1, le=100_000)
    runs: int = setting(30, "the newest runs, with all that they made", unit="runs", ge=1, le=100_000)
    days: float = setting(90, "what is older goes, whatever its number", unit="days", gt=0, le=36_500)
    gib: float = setting(
        20, "size of the root; where it is larger, old runs go first, then old versions", unit="GiB", gt=0,
        le=1_000_000,
    )  # fmt: skip


class RetrainingSettings(Section):
    """When to look for new data, and how long a run and its retries may take."""

    cron: str = setting(
        "",
        "when a tick is due, in five fields, or in six with seconds first; empty: `--every` or `--watch`",
        max_length=200,
    )
    timezone: str = setting(
        "UTC", "the zone of `cron`, such as `Europe/Berlin`; it knows summer time", max_length=100
    )
    overlap: Overlap = setting(
        Overlap.SKIP, "a tick that is due while a run works is dropped, or one is kept for afterwards"
    )
    catch_up: CatchUp = setting(
        CatchUp.LATEST,
        "after missed ticks, run on the latest span, on all missed spans in order, or wait for the next span",
    )
    max_catch_up: int = setting(
        31, "at most this number of missed spans in one tick", unit="spans", ge=1, le=10_000
    )
    jitter: float = setting(
        0, "wait a random time up to this before each tick", unit="seconds", ge=0, le=86_400
    )
    max_run_hours: float = setting(24, "a run that takes longer is ended", unit="hours", gt=0, le=10_000)
    grace: float = setting(
        60, "a run that is told to end has so long before it is killed", unit="seconds", ge=0, le=86_400
    )
    attempts: int = setting(3, "number of attempts at the same data and settings", unit="runs", ge=1, le=100)
    backoff: float = setting(
        300, "before the second attempt; each later one waits twice as long", unit="seconds", ge=0, le=86_400
    )
    max_failures: int = setting(
        5,
        "after this number of failed ticks in a row the schedule pauses itself",
        unit="ticks",
        ge=1,
        le=1000,
    )
    retrain: str = setting(
        "always",
        "on a new span, train `always`, `on_drift`, `on_decay`, or `every 7 spans`; other spans are "
        "scored and recorded",
        pattern=r"^(always|on_drift|on_decay|every [1-9][0-9]{0,4} spans?)$",
    )
    max_decay: float = setting(
        0.02,
        "for `on_decay`: train where the live model lost more accuracy than this since its release",
        unit="accuracy",
        ge=0,
        le=1,
    )
    max_age: float = setting(
        0, "alarm when the live model is older than this; 0: never", unit="hours", ge=0, le=1e6
    )
    max_silence: float = setting(
        0, "alarm when no new data came for so long; 0: never", unit="hours", ge=0, le=1e6
    )
    min_live_accuracy: float = setting(
        0,
        "alarm when the live model is right on a smaller share of a new span, before it was trained on",
        unit="accuracy",
        ge=0,
        le=1,
    )
    keep: KeepSettings = KeepSettings()

    @model_validator(mode="after")
    def _can_fire(self) -> Self:
        try:
            zone = ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError):
            raise refusal(
                "timezone", f"{shown(self.timezone)} is not a time zone; Europe/Berlin is one"
            ) from None
        if not self.cron:
            return self
        try:
            next(times(self.cron, datetime.now(zone)))
        except CronSimError as error:
            raise refusal(
                "cron", f"{shown(self.cron)}: {error}; five fields are minute hour day month weekday"
            ) from None
        except StopIteration:
            raise refusal("cron", f"{shown(self.cron)} never fires") from None
        return self


def times(cron: str, after: datetime) -> "CronTimes":
    """The times after `after` at which a cron line is due, without end.

    Args:
      cron: five fields, or six with seconds first.
      after: with a time zone, which is that of the line.

    Raises:
      CronSimError: a field is malformed.
    """
    return CronTimes(cron, after)


class CronTimes:
    """An iterator over the times of a cron line; see `times`.

    Hours that come twice or never are treated as Debian's cron does: a line for a fixed hour is due once, a
    line for every hour in each hour that passes. cronsim does so for five fields alone, so a fixed
    second is added here.
    """

    def __init__(self, cron: str, after: datetime) -> None:
        fields = cron.split()
        self._offset = timedelta()
        if len(fields) == 6 and fields[0].isdecimal() and int(fields[0]) < 60:
            self._offset = timedelta(seconds=int(fields.pop(0)))
        self._times = CronSim(" ".join(fields), _later(after, -self._offset))

    def __iter__(self) -> "CronTimes":
        return self

    def __next__(self) -> datetime:
        return _later(next(self._times), self._offset)


def _later(moment: datetime, by: timedelta) -> datetime:
    """On the clock that never jumps: in a zone, Python adds to what a clock on the wall shows."""
    return (moment.astimezone(UTC) + by).astimezone(moment.tzinfo)


def read_duration(text: str) -> timedelta | None:
    """Reads `90s`, `15m`, `6h` or `1d`; None for anything else and for nothing at all."""
    match = _DURATION.fullmatch(text)
    found = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else timedelta()
    return found or None
