"""Measures what a schedule costs: memory and CPU while it waits, a tick that runs nothing, one that runs.

    python -m tests.bench.schedule [TICKS]

The last two need ticks on new data, TICKS times (default 1); 0: none of it. A tick starts `maskline run` as a
process of its own, so what it adds is its time before that begins and after that has ended. Two runs differ
by more than that, since the machine does.
"""

import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.support import ANY_MODEL, REPOSITORY, command, environment

_IDLE = 60.0  # seconds
_ENVIRONMENT = {key: value for key, value in environment().items() if key != "PYTHONDONTWRITEBYTECODE"}


def main() -> None:
    ticks = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        memory, cpu = _idle(place)
        print(f"a scheduler that waits, with --listen: {memory:.0f} MiB, {cpu:.3f} % of a CPU")
        for number in range(ticks):
            print(_tick(*_on_new_data(place, number)), flush=True)
        if ticks:
            again = _on_new_data(place, ticks - 1)
            clock, cpu = min(_timed(*again) for _ in range(5))
            print(f"a tick with nothing to do: {clock:.2f} s, {cpu:.2f} s of a CPU")


def _idle(place: Path) -> tuple[float, float]:
    """MiB and percent of a CPU of a scheduler that waits for its next tick."""
    asked = command(
        "schedule", "--every", "1d", "--listen", "127.0.0.1:0", "--root", place / "idle"
    )  # fmt: skip
    process = subprocess.Popen(asked, cwd=REPOSITORY, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("next tick"):
            pass
        found = psutil.Process(process.pid)
        before, began = sum(found.cpu_times()[:2]), time.monotonic()
        time.sleep(_IDLE)
        used = sum(found.cpu_times()[:2]) - before
        return found.memory_info().rss / (1 << 20), 100 * used / (time.monotonic() - began)
    finally:
        process.terminate()
        process.communicate()


def _on_new_data(place: Path, number: int) -> tuple[object, ...]:
    """`maskline tick` on a root and 1,000 records of its own."""
    data = place / f"data-{number}"
    if not data.exists():
        made = command("data", "--out", data / "1", "--shards", 2, "--records", 500)
        subprocess.run(made, check=True, cwd=REPOSITORY, env=environment(), stdout=subprocess.DEVNULL)
    bars = [part for bar in (*ANY_MODEL, "data.unchanged_for=0") for part in ("--set", bar)]
    return "tick", "--root", place / f"root-{number}", "--set", f"data.path={data}/{{SPAN}}", *bars


class Added(NamedTuple):
    """Seconds of a run, and what its tick added on the clock and in processor time of its own."""

    run: float
    clock: float
    cpu: float

    def __str__(self) -> str:
        return (
            f"a tick on new data: {self.clock:.2f} s beside its run's {self.run:.1f} s, "
            f"{self.clock / self.run:+.1%}; {self.cpu:.2f} s of a CPU"
        )


def _tick(*arguments: object) -> Added:
    """Runs a tick, and looks a hundred times a second whether its run works."""
    began, seen, cpu = time.monotonic(), [], 0.0
    with psutil.Popen(
        command(*arguments), cwd=REPOSITORY, env=_ENVIRONMENT, stdout=subprocess.DEVNULL
    ) as tick:
        while tick.poll() is None:
            with suppress(psutil.Error):
                cpu = sum(tick.cpu_times()[:2])
                if any(child.status() != psutil.STATUS_ZOMBIE for child in tick.children()):
                    seen.append(time.monotonic())
            time.sleep(0.01)
    assert tick.returncode == 0, arguments
    run = seen[-1] - seen[0]
    return Added(run, time.monotonic() - began - run, cpu)


def _timed(*arguments: object) -> tuple[float, float]:
    before, began = _of_children(), time.monotonic()
    subprocess.run(command(*arguments), cwd=REPOSITORY, env=_ENVIRONMENT, check=True, capture_output=True)
    return time.monotonic() - began, _of_children() - before


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
