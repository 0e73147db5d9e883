"""Six days of the simulated month, with one training: real scheduler, ticks and runs. `make soak` has all."""

import pytest

from tests.soak.month import Month
from tests.soak.report import problems, table
from tests.soak.story import six_days

pytestmark = pytest.mark.slow


def test_six_days_go_by_as_they_must(tmp_path):
    month = Month(tmp_path / "month", six_days())
    assert month.live(minutes=60)
    days = list(table(month))[2:]
    assert list(problems(month)) == [], "\n".join(days)
    assert (tmp_path / "month/killed-1").exists()
    assert "released" in days[0]
    assert "refused" in days[2]
    assert "refused" in days[3]
    log = (tmp_path / "month/logs" / f"{six_days()[4].date}.log").read_text()
    assert "the earlier settings stay in force" in log
    assert "nothing new" in log  # a tick ran while the file was wrong
    told = (tmp_path / "month/told.jsonl").read_text()
    assert told.count('"kind": "released"') == 1  # of the first day, when nobody listened
