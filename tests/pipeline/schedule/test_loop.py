"""The loop: when it ticks, with a clock of the test's own, and how it ends."""

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from maskline.pipeline.errors import BusyError
from maskline.pipeline.schedule import loop
from maskline.pipeline.schedule.alone import alone
from maskline.pipeline.schedule.loop import When, run_schedule
from maskline.pipeline.settings.load import load
from maskline.transform.errors import InputError
from maskline.transform.names import Exit
from tests.support import GOOD, PATIENCE, environment, write_shard

START = datetime(2026, 11, 27, 2, 59, tzinfo=UTC)


class Days:
    """A clock that the loop's waiting moves, and ticks that take as long as a test says."""

    def __init__(self, folder: Path, monkeypatch, *options, takes=0.0, until=timedelta(days=3), path="data"):
        self.folder, self.options, self.path = folder, options, path
        self.now, self.end, self.takes = START, START + until, takes
        self.ticks: list[datetime] = []
        self.said: list[str] = []
        self.status = int(Exit.OK)
        self.before_wait = lambda: None
        monkeypatch.setattr(loop, "_tick", self._tick)

    def _tick(self, settings, arguments, stopped, wait):
        self.ticks.append(self.now)
        self.now += timedelta(seconds=self.takes)
        self.end_in_time()
        return self.status

    def read(self):
        return load(None, ["data.unchanged_for=0", *self.options], root=self.folder / "root",
                    data=self.folder / self.path)  # fmt: skip

    def wait(self, seconds):
        self.before_wait()
        self.now += timedelta(seconds=seconds)
        self.end_in_time()

    def end_in_time(self):
        if self.now >= self.end:
            signal.raise_signal(signal.SIGTERM)

    def go(self, when=None):
        return run_schedule(
            self.read, when or When(), [], say=self.said.append, clock=lambda: self.now, wait=self.wait
        )

    @property
    def times(self):
        return [f"{time:%d %H:%M}" for time in self.ticks]


def test_cron_line_ticks_at_its_times_and_sigterm_ends_it(tmp_path, monkeypatch):
    days = Days(tmp_path, monkeypatch, "schedule.cron=0 3 * * *")
    assert days.go() == 143
    assert days.times == ["27 03:00", "28 03:00", "29 03:00"]
    assert days.said[0] == "next tick at 2026-11-27 03:00:00 UTC"


def test_zone_counts(tmp_path, monkeypatch):
    days = Days(tmp_path, monkeypatch, "schedule.cron=0 3 * * *", "schedule.timezone=America/New_York")
    days.go()
    assert days.times == ["27 08:00", "28 08:00", "29 08:00"]


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [("skip", ["27 03:00", "27 05:00", "27 07:00"]), ("one", ["27 03:00", "27 04:30"])],
)
def test_ticks_that_are_due_while_a_run_works_never_pile_up(tmp_path, monkeypatch, overlap, expected):
    options = ("schedule.cron=0 * * * *", f"schedule.overlap={overlap}")
    days = Days(
        tmp_path, monkeypatch, *options, takes=5400, until=timedelta(hours=5 if overlap == "skip" else 2)
    )
    days.go()
    assert days.times[: len(expected)] == expected


def test_clock_that_jumps_makes_no_double_and_no_row_of_ticks(tmp_path, monkeypatch):
    days = Days(tmp_path, monkeypatch, "schedule.cron=0 * * * *", until=timedelta(hours=9))
    jumps = iter([timedelta(hours=5), timedelta(minutes=-90)])

    def jump():
        if len(days.ticks) in (1, 2) and days.now.minute == 30:
            days.now += next(jumps, timedelta())

    days.before_wait = jump
    days.go()
    assert days.ticks[0].hour == 3
    assert all(b - a >= timedelta(minutes=-90) for a, b in zip(days.ticks, days.ticks[1:], strict=False))
    assert len(days.ticks) <= 6


def test_every_counts_from_the_end_of_the_last_tick(tmp_path, monkeypatch):
    days = Days(tmp_path, monkeypatch, takes=60, until=timedelta(hours=1))
    days.go(When(every=timedelta(minutes=20)))
    assert days.times == ["27 03:19", "27 03:40"]


def test_watch_ticks_at_once_and_then_for_each_new_complete_span(tmp_path, monkeypatch):
    days = Days(tmp_path, monkeypatch, until=timedelta(minutes=20), path="spans/{SPAN}")
    write_shard(tmp_path / "spans/1/a.tfrecords", [GOOD])

    def deliver():
        if days.now >= START + timedelta(minutes=10):
            write_shard(tmp_path / "spans/2/a.tfrecords", [GOOD])

    days.before_wait = deliver
    days.go(When(watch=True))
    assert len(days.ticks) == 2
    assert days.ticks[0] == START
    assert days.ticks[1] - START < timedelta(minutes=11)


def test_settings_are_read_again_and_wrong_ones_are_not_taken(tmp_path, monkeypatch):
    days = Days(tmp_path, monkeypatch, "schedule.cron=0 3 * * *", until=timedelta(days=2))

    def edit():
        if days.ticks:
            days.options = ("schedule.cron=nonsense",)

    days.before_wait = edit
    days.go()
    assert days.times == ["27 03:00", "28 03:00"]
    assert any(
        line.startswith("the settings cannot be used, and those of before stay in force")
        for line in days.said
    )


def test_wrong_settings_at_the_start_and_a_second_scheduler_are_refused(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"schedule\.cron"):
        Days(tmp_path, monkeypatch, "schedule.cron=nonsense").go()
    days = Days(tmp_path, monkeypatch, "schedule.cron=0 3 * * *")
    with (
        alone(days.read().root / "schedule" / "scheduler"),
        pytest.raises(BusyError, match=r"another scheduler.*process"),
    ):
        days.go()


def test_busy_root_is_tried_again_soon_where_one_tick_is_kept(tmp_path, monkeypatch):
    days = Days(
        tmp_path, monkeypatch, "schedule.cron=0 3 * * *", "schedule.overlap=one", until=timedelta(minutes=3)
    )
    days.status = int(Exit.BUSY)
    days.go()
    assert days.ticks[1] - days.ticks[0] == timedelta(seconds=30)


def test_scheduler_s_own_process_ends_at_sigterm_and_holds_little(tmp_path):
    command = [sys.executable, "-m", "maskline.pipeline.cli", "schedule", "--root", str(tmp_path / "root"),
               "--every", "1d", "--set", f"data.path={tmp_path}"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("next tick at ")
        status = Path(f"/proc/{process.pid}/status").read_text()
        modules = Path(f"/proc/{process.pid}/maps").read_text()
        assert "tensorflow" not in modules
        assert int(status.split("VmRSS:")[1].split()[0]) < 80 * 1024, "KiB"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE) == 143
    finally:
        process.kill()
        process.communicate()
