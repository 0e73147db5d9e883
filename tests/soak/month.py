"""Lives through the month, day by day; it can be ended after any day and goes on there."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO
from zoneinfo import ZoneInfo

import psutil

from tests.soak.clock import set_time
from tests.soak.deliveries import deliver
from tests.soak.receiver import Receiver
from tests.soak.story import BROKEN, DOWN, FULL, KILLED, REBOOT, Day, month
from tests.support import REPOSITORY, environment

BERLIN = ZoneInfo("Europe/Berlin")
_SETTINGS = """\
root: root
data: {path: "data/{YYYY}-{MM}-{DD}/v{VERSION}", unchanged_for: 0}
model: {width: 8, hidden: [16]}
training: {epochs: 3}
evaluation: {slices: [], baselines: [majority]}
release_gate: {min_accuracy: 0.05, min_gain: -1, margin: 1, loss_margin: 1000, answer_margin: 1}
data_gate: {max_drift: 0.02}
schedule:
  cron: "30 2,14 * * *"
  timezone: Europe/Berlin
  catch_up: all
  backoff: 3600
  min_live_accuracy: 0.1
  keep: {versions: 5, runs: 8, days: 90, gib: 0.5}
notify:
  webhook: {url: "http://127.0.0.1:PORT/hook", secret: "env:SOAK_KEY"}
"""


class Month:
    """A folder with the data, the root and the clock of the month.

    Args:
      folder: made where it is missing; a month that was begun there goes on.
      story: its days.
      options: more settings, as YAML.
    """

    def __init__(self, folder: Path, story: Sequence[Day] = (), options: str = "") -> None:
        self.story = list(story) or month()
        self.folder, self.root = folder, folder / "root"
        self.config, self.clock = folder / "soak.yaml", folder / "clock"
        self.told, self._state = folder / "told.jsonl", folder / "state.json"
        folder.mkdir(parents=True, exist_ok=True)
        if not self._state.exists():
            with Receiver(0, self.told) as receiver:
                port = receiver.port
            self.config.write_text(_SETTINGS.replace("PORT", str(port)) + options)
            self._save(0, port)
        self.done, self.port = json.loads(self._state.read_text()).values()

    def _save(self, done: int, port: int) -> None:
        self._state.write_text(json.dumps({"done": done, "port": port}))

    def live(self, minutes: float) -> bool:
        """Lives through the next days until some minutes have passed; True where the month is over."""
        until = time.monotonic() + 60 * minutes
        for day in self.story[self.done :]:
            if time.monotonic() > until:
                return False
            began = time.monotonic()
            self._day(day, self.story[day.number - 2] if day.number > 1 else None)
            self.done = day.number
            self._save(self.done, self.port)
            took = time.monotonic() - began
            print(f"day {day.number} {day.date} {', '.join(day.events)}: {took:.0f} s", flush=True)
        return True

    def _day(self, day: Day, before: Day | None) -> None:
        deliver(self.folder / "data", day, before)
        midnight = datetime(day.date.year, day.date.month, day.date.day, tzinfo=BERLIN)
        set_time(self.clock, midnight.astimezone(UTC))
        end = (midnight + timedelta(days=1)).astimezone(UTC)  # the next midnight on the wall
        webhook = nullcontext() if DOWN in day.events else Receiver(self.port, self.told)
        disk = full_disk(self.root) if FULL in day.events else nullcontext()
        with webhook, disk as room, self._log(day) as log:
            if BROKEN in day.events:
                self._plan(midnight, end)
            while self._now() < end:
                scheduler = self._start(log, end)
                if {KILLED, REBOOT} & set(day.events) and not (self.folder / f"killed-{day.number}").exists():
                    self._kill(scheduler, day)
                while scheduler.poll() is None:
                    time.sleep(0.2)
                    if room and self._now() > midnight.astimezone(UTC) + timedelta(hours=8):
                        room.unlink(missing_ok=True)  # somebody has made room before the second tick
                assert scheduler.returncode in (143, -signal.SIGKILL), f"ended with {scheduler.returncode}"
                _no_process_left(self.folder)

    def _now(self) -> datetime:
        return datetime.fromisoformat(self.clock.read_text())

    @contextmanager
    def _log(self, day: Day) -> Iterator[IO[bytes]]:
        (self.folder / "logs").mkdir(exist_ok=True)
        with open(self.folder / "logs" / f"{day.date}.log", "ab") as file:
            yield file

    def _start(self, log: IO[bytes], end: datetime) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "tests.soak.scheduler", self.clock, self.config, end.isoformat()]
        environ = environment() | {"SOAK_KEY": "a key", "SOAK_FOLDER": str(self.folder)}
        return subprocess.Popen([*map(str, command)], cwd=REPOSITORY, env=environ, stdout=log, stderr=log)

    def _plan(self, midnight: datetime, end: datetime) -> None:
        """The settings file is broken from one o'clock until an hour before midnight."""
        shutil.copy(self.config, self.folder / "good.yaml")
        (self.folder / "broken.yaml").write_text("schedule: {cron: [")
        begin = (midnight + timedelta(hours=1)).astimezone(UTC)
        plan = [[begin.isoformat(), "broken.yaml"], [(end - timedelta(hours=1)).isoformat(), "good.yaml"]]
        (self.folder / "plan.json").write_text(json.dumps(plan))

    def _kill(self, scheduler: "subprocess.Popen[bytes]", day: Day) -> None:
        """Kills a process of the schedule, or all of them, at a moment of the first run."""
        chance = random.Random(day.number)
        while not (self.root / "schedule/running.json").exists():
            time.sleep(0.1)
        time.sleep(chance.uniform(1, 25))
        family = psutil.Process(scheduler.pid).children(recursive=True)
        victims = [scheduler, *family] if REBOOT in day.events else [chance.choice([scheduler, *family])]
        for victim in victims:
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                os.kill(victim.pid, signal.SIGKILL)
        whom = "the scheduler among them" if scheduler in victims else "not the scheduler"
        words = f"{len(victims)} of {1 + len(family)} processes, {whom}"
        (self.folder / f"killed-{day.number}").write_text(words)


def _no_process_left(folder: Path) -> None:
    """No process of the month outlives its scheduler."""
    until = time.monotonic() + 120
    while found := [p.pid for p in psutil.process_iter(["environ"]) if _is_ours(p, folder)]:
        assert time.monotonic() < until, f"orphans: {found}"
        time.sleep(0.5)


def _is_ours(process: psutil.Process, folder: Path) -> bool:
    environ = process.info["environ"] or {}
    return environ.get("SOAK_FOLDER") == str(folder) and process.status() != psutil.STATUS_ZOMBIE


@contextmanager
def full_disk(root: Path) -> Iterator[Path]:
    """Puts a root on a file system of its own that is full; gives the file that fills it. Needs root.

    That file lies beside the root, so that it does not count as the root's own.
    """
    disk, kept = root.with_name("disk"), root.with_name("root.kept")
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600m", "none", disk], check=True)
    try:
        subprocess.run(["cp", "-a", root, disk / "root"], check=True)
        filler = disk / "filler"
        with open(filler, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - (256 << 10))
        subprocess.run(["mount", "--bind", disk / "root", root], check=True)
        try:
            yield filler
        finally:
            subprocess.run(["umount", root], check=True)
        root.rename(kept)
        subprocess.run(["cp", "-a", disk / "root", root], check=True)
        shutil.rmtree(kept)
    finally:
        subprocess.run(["umount", disk], check=True)
        disk.rmdir()
