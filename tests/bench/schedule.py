"""Measures what a schedule costs: memory and CPU while it waits, a tick that runs nothing, one that runs.

    python -m tests.bench.schedule [PAIRS]

The last two need runs on new data, by hand and by a tick, PAIRS times in turn (default 1); 0: none of it.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.support import ANY_MODEL, REPOSITORY, command, environment

_IDLE = 60.0  # seconds


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        memory, cpu = _idle(place)
        print(f"a scheduler that waits, with --listen: {memory:.0f} MiB, {cpu:.3f} % of a CPU")
        for pair in range(pairs):
            by_hand, by_tick = (_timed(*_on_new_data(place, pair, name)) for name in ("run", "tick"))
            print(
                f"on new data, run: {by_hand}; tick: {by_tick}: {by_tick.cpu / by_hand.cpu - 1:+.1%}",
                flush=True,
            )
        if pairs:
            again = ("tick", *_on_new_data(place, pairs - 1, "tick")[1:])
            print(f"a tick with nothing to do: {min(_timed(*again) for _ in range(5))}")


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


def _on_new_data(place: Path, pair: int, name: str) -> tuple[object, ...]:
    """`maskline run` or `maskline tick` on a root and 1,000 records of its own."""
    data = place / f"data-{pair}-{name}"
    if not data.exists():
        made = command("data", "--out", data / "1", "--shards", 2, "--records", 500)
        subprocess.run(made, check=True, cwd=REPOSITORY, env=environment(), stdout=subprocess.DEVNULL)
    bars = [part for bar in (*ANY_MODEL, "data.unchanged_for=0") for part in ("--set", bar)]
    root = place / f"root-{pair}-{name}"
    return name, "--root", root, "--set", f"data.path={data}/{{SPAN}}", *bars


class Cost(NamedTuple):
    """Seconds of a command with all its processes: of a CPU, which other work hardly changes, and in all."""

    cpu: float
    all: float

    def __str__(self) -> str:
        return f"{self.all:.1f} s, {self.cpu:.2f} s of a CPU"


def _timed(*arguments: object) -> Cost:
    before, began = _of_children(), time.monotonic()
    environ = {key: value for key, value in environment().items() if key != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(command(*arguments), cwd=REPOSITORY, env=environ, check=True, capture_output=True)
    return Cost(_of_children() - before, time.monotonic() - began)


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
