"""When ticks are due: hours that come twice or never, and lines that never fire."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest

from maskline.pipeline.settings.load import load
from maskline.pipeline.settings.schedule import read_duration, times
from maskline.transform.errors import InputError

BERLIN = ZoneInfo("Europe/Berlin")


def due(cron, after, count):
    return [time.isoformat() for time in islice(times(cron, after), count)]


@pytest.mark.parametrize("cron", ["30 2 * * *", "0 30 2 * * *"])
def test_fixed_hour_that_comes_twice_is_due_once(cron):
    assert due(cron, datetime(2026, 10, 24, 12, tzinfo=BERLIN), 3) == [
        "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00", "2026-10-27T02:30:00+01:00",
    ]  # fmt: skip


@pytest.mark.parametrize("cron", ["30 2 * * *", "0 30 2 * * *"])
def test_fixed_hour_that_never_comes_is_not_missed(cron):
    assert due(cron, datetime(2026, 3, 28, 12, tzinfo=BERLIN), 2) == [
        "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00",
    ]  # fmt: skip


def test_every_hour_is_every_hour_that_passes():
    found = [
        datetime.fromisoformat(t) for t in due("30 * * * *", datetime(2026, 10, 25, 0, tzinfo=BERLIN), 5)
    ]
    assert {b - a for a, b in pairwise(found)} == {timedelta(hours=1)}


def test_seconds_come_first():
    assert due("15 0 3 * * *", datetime(2026, 11, 27, tzinfo=UTC), 1) == ["2026-11-27T03:00:15+00:00"]


def test_durations():
    assert read_duration("90s") == timedelta(seconds=90)
    assert read_duration("6h") == timedelta(hours=6)
    assert [read_duration(text) for text in ("", "0h", "6", "h", "-1h", "1.5h", "6 h", "9" * 30 + "d")] == [
        None
    ] * 8


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("cron", "61 * * * *", "Bad minute"),
        ("cron", "0 3 * *", "five fields are minute hour day month weekday"),
        ("cron", "0 0 30 2 *", "day-of-month"),  # the 30th of February
        ("cron", "every day", "five fields"),
        ("timezone", "Mars/One", "is not a time zone"),
        ("timezone", "../../etc/passwd", "is not a time zone"),
        ("timezone", "", "is not a time zone"),
        ("max_run_hours", "0", "must be a number above 0"),
        ("overlap", "three", "skip"),
    ],
)
def test_wrong_schedule_is_refused_when_it_is_read(tmp_path, key, value, words):
    with pytest.raises(InputError, match=r"schedule\." + key) as refused:
        load(None, [f"schedule.{key}={value}"], root=tmp_path)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
