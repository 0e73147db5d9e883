"""What systemd and cron are given: read by their own programs where they are installed."""

import os
import re
import shutil
import subprocess
from datetime import datetime
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from maskline.pipeline.schedule.calendar import on_calendar
from maskline.pipeline.schedule.units import crontab, service, timer
from maskline.pipeline.settings.schedule import times
from tests.support import maskline

HOSTILE = Path("/data/it's 50% $HOME")


def test_percent_and_dollar_signs_reach_the_command():
    text = service(
        Path("/bin/maskline"),
        ["schedule", "--root", str(HOSTILE)],
        root=HOSTILE,
        folder=Path("/tmp"),
        user="me",
        grace=60,
    )
    assert 'ExecStart=/bin/maskline schedule --root "/data/it\'s 50%% $$HOME"\n' in text
    assert "TimeoutStopSec=90\n" in text
    line = crontab("0 3 * * *", Path("/bin/maskline"), ["tick"], folder=HOSTILE)
    assert line == "0 3 * * * cd '/data/it'\"'\"'s 50\\% $HOME' && /bin/maskline tick\n"


needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")


@needs_systemd
def test_systemd_accepts_the_service(tmp_path):
    unit = tmp_path / "maskline.service"
    text = service(Path("/bin/true"), ["schedule", "--root", str(HOSTILE)], root=HOSTILE, folder=Path("/tmp"),
                   user="root", grace=60)  # fmt: skip
    unit.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_systemd_accepts_the_timer_and_its_service(tmp_path):
    text = service(Path("/bin/true"), ["tick"], root=HOSTILE, folder=Path("/tmp"), user="root", grace=60,
                   once=True)  # fmt: skip
    (tmp_path / "maskline-tick.service").write_text(text)
    unit = tmp_path / "maskline-tick.timer"
    for made in (timer(on_calendar="*-*-* 03:0:0 Europe/Berlin", jitter=5), timer(every=21600, jitter=0)):
        unit.write_text(made)
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize(
    "cron",
    ["0 3 * * *", "*/15 * * * *", "15 30 2 * * *", "0 6-18/4 * * *", "5,35 1 1 * *", "0 0 1 jan,jul *",
     "0 12 * * 1-5", "0 12 * * sun,3", "30 4 */2 * *", "0 0 * * 7"],
)  # fmt: skip
def test_systemd_s_times_are_those_of_cron(cron):
    expression = on_calendar(cron, "Europe/Berlin")
    zone = ZoneInfo("Europe/Berlin")
    begin = datetime(2026, 11, 27, tzinfo=zone)
    at = "--base-time=2026-11-26 23:00:00 UTC"
    asked = ["systemd-analyze", "calendar", "--iterations=6", at, expression]
    done = subprocess.run(asked, capture_output=True, text=True, env={**os.environ, "TZ": "Europe/Berlin"})
    assert done.returncode == 0, done.stderr
    found = re.findall(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) CES?T", done.stdout)
    expected = [f"{time:%Y-%m-%d %H:%M:%S}" for time in islice(times(cron, begin), 6)]
    assert found[:6] == expected


@pytest.mark.parametrize("cron", ["0 3 1 * 1", "0 3 L * *", "0 3 * * 1#2"])
def test_what_systemd_cannot_say_is_not_said_otherwise(cron):
    assert on_calendar(cron, "UTC") is None


def test_timer_that_cannot_be_written_is_refused(tmp_path):
    done = maskline("schedule", "--systemd", "timer", "--root", tmp_path, "--set", "schedule.cron=0 3 1 * 1")
    assert done.returncode == 2
    assert done.stderr.startswith("maskline: --systemd timer: systemd cannot say schedule.cron '0 3 1 * 1'")
    done = maskline("schedule", "--every", "6h", "--systemd", "timer", "--root", tmp_path)
    assert "OnUnitActiveSec=21600\n" in done.stdout
