"""The loop: when it ticks, with a clock of the test's own, and how it ends."""

import re
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from maskline.pipeline.notify import outbox
from maskline.pipeline.notify.message import Message
from maskline.pipeline.schedule import ledger, loop, retention, status
from maskline.pipeline.schedule.alone import alone
from maskline.pipeline.schedule.events import watched
from maskline.pipeline.schedule.in_force import InForce
from maskline.pipeline.schedule.ledger import Decision, Tick
from maskline.pipeline.schedule.loop import When, run_schedule
from maskline.pipeline.settings.load import load
from maskline.pipeline.settings.notify import MessageKind
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
        monkeypatch.setattr(loop._Loop, "_tick", lambda _: self._tick())

    def _tick(self):
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
        line.startswith("the settings cannot be used, and the earlier settings stay in force")
        for line in days.said
    )


def test_wrong_settings_at_the_start_and_a_second_scheduler_are_refused(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"schedule\.cron"):
        Days(tmp_path, monkeypatch, "schedule.cron=nonsense").go()
    days = Days(tmp_path, monkeypatch, "schedule.cron=0 3 * * *")
    with (
        alone(days.read().root / "schedule" / "scheduler"),
        pytest.raises(InputError, match=r"another scheduler.*process"),
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


def test_sighup_reads_the_settings_at_once(tmp_path, monkeypatch):
    days = Days(tmp_path, monkeypatch, "schedule.cron=0 3 * * *", until=timedelta(days=2))

    def edit():
        if days.now.hour == 12 and len(days.ticks) == 1 and len(days.options) == 1:
            days.options = ("schedule.cron=0 15 * * *", "schedule.overlap=one")
            signal.raise_signal(signal.SIGHUP)

    days.before_wait = edit
    days.go()
    assert days.times == ["27 03:00", "27 15:00", "28 15:00"]
    assert "the settings were read again" in days.said


def test_ticks_go_on_with_the_settings_of_before_while_the_file_is_wrong(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text("root: root\nschedule: {cron: '0 3 * * *', jitter: 1}\nnotify: {command: [cat]}\n")
    said = []
    force = InForce(lambda: load(file), ["--config", str(file)], said.append)
    good = force.settings
    file.write_text("schedule: {cron: [")
    force.again(START)
    assert force.settings == good
    assert said[0].startswith("the settings cannot be used, and the earlier settings stay in force: ")
    assert load(Path(force.arguments[1])) == good, "a tick that reads the copy has the same settings"
    force.again(START)
    waiting = [entry.message.kind for entry in outbox.waiting(good.root)]
    assert waiting == ["settings"], "one message, and not one for each tick"
    file.write_text("root: root\nschedule: {cron: '0 4 * * *'}\nnotify: {command: [cat]}\n")
    force.again(START)
    assert force.settings.schedule.cron == "0 4 * * *"
    assert force.arguments == ["--config", str(file)]
    assert [entry.message.kind for entry in outbox.waiting(good.root)] == ["settings", "recovered"]


def test_messages_that_wait_are_sent_between_ticks(tmp_path, monkeypatch):
    out = tmp_path / "out"
    days = Days(
        tmp_path, monkeypatch, "schedule.cron=0 3 * * *", f"notify.command=[sh, -c, 'cat >> {out}']",
        until=timedelta(hours=3),
    )  # fmt: skip
    settings = days.read()
    message = Message.of(settings.root, MessageKind.FAILED, "x", START + timedelta(hours=1))
    outbox.put(settings.root, settings.notify, message)
    days.go()
    assert message.id in out.read_text()
    assert not outbox.waiting(settings.root)


def test_file_event_ends_the_wait_of_a_watch(tmp_path):
    (tmp_path / "spans").mkdir()
    came = threading.Event()
    with watched(tmp_path / "spans/{SPAN}", came.set, print):
        write_shard(tmp_path / "spans/1/a.tfrecords", [GOOD])
        assert came.wait(timeout=60)


def test_folder_that_is_not_there_is_polled(tmp_path):
    said = []
    with watched(tmp_path / "none/{SPAN}", lambda: None, said.append):
        pass
    assert said == [f"{tmp_path}/none: no file events (No such file or directory); looking every 30 s"]


def test_status_line_tells_the_last_decision(tmp_path, monkeypatch):
    days = Days(tmp_path, monkeypatch, "schedule.cron=0 3 * * *", until=timedelta(days=2))
    tick = Tick(time=START, decision=Decision.BLOCKED, why="x", span="7", status=3)
    ledger.append(days.read().root, tick)
    days.go()
    assert days.said == [
        f"next tick at 2026-11-{day} 03:00:00 UTC; last: span 7 blocked" for day in (27, 28, 29)
    ]


def test_status_line_of_a_watch_is_said_once_where_nothing_happens(tmp_path, monkeypatch):
    (tmp_path / "spans").mkdir()
    days = Days(tmp_path, monkeypatch, until=timedelta(hours=1), path="spans/{SPAN}")
    days.go(When(watch=True))
    assert days.said.count("waiting for a new span") == 1


def test_on_a_terminal_the_status_line_is_redrawn_in_one_place(tmp_path, monkeypatch):
    shown = StringIO()
    terminal = Console(file=shown, force_terminal=True, width=60, legacy_windows=False)
    monkeypatch.setattr(status, "Console", lambda: terminal)
    days = Days(tmp_path, monkeypatch, "schedule.cron=0 3 * * *", until=timedelta(days=1))
    ledger.append(days.read().root, Tick(time=START, decision=Decision.NOTHING_NEW, why="x"))
    days.go()
    assert not [line for line in days.said if line.startswith("next tick")]
    drawn = [part for part in re.split(r"\r|\x1b\[[?\d]+[a-zA-Z]", shown.getvalue()) if "next tick" in part]
    assert drawn[0].strip() == "next tick at 2026-11-27 03:00:00 UTC; last: nothing new"
    assert drawn[-1].strip().startswith("next tick at 2026-11-28 03:00:00 UTC")
    assert len(drawn) > 23 * 60  # each minute
    assert shown.getvalue().endswith("\x1b[2K")  # nothing of it stays


def test_bound_that_is_too_small_ends_the_scheduler_at_the_start(tmp_path, monkeypatch):
    days = Days(tmp_path, monkeypatch, "schedule.cron=0 3 * * *", "schedule.keep.gib=1e-9")

    def refuse(settings):
        raise InputError("schedule.keep.gib: too small")

    monkeypatch.setattr(retention, "check", refuse)
    (days.read().root / "x").parent.mkdir(parents=True)
    (days.read().root / "x").write_bytes(b"xx")
    with pytest.raises(InputError, match=r"schedule\.keep\.gib"):
        days.go()
    assert days.ticks == []
