"""How quick `maskline predict --data` is on one core, and the memory it takes: a table for docs/speed.md.

python -m tests.bench.predict ROOT
"""

import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.support import command, environment

SIZES = (20_000, 200_000)
SHARE_BAD = 0.01


class Measured(NamedTuple):
    """One run: rows, seconds of wall and of the processor, and the highest memory in MiB."""

    rows: int
    wall: float
    cpu: float
    memory: float


def write_rows(file: Path, rows: int, *, bad: float = 0.0) -> None:
    """Exercises as lines of text; `bad` is the share whose last symbol no vocabulary knows."""
    chosen = random.Random(7)
    with open(file, "w") as out:
        for _ in range(rows):
            a, b, sign = chosen.randint(10, 99), chosen.randint(10, 99), chosen.choice("+-*")
            out.write(f"x=-{a},y={b}:y{'?' if chosen.random() < bad else sign}x\n")


def measure(root: Path, data: Path, out: Path, rows: int, *options: str) -> Measured:
    """Runs the command on the first core that this process may use."""
    core = min(os.sched_getaffinity(0))
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    call = command("predict", "--root", root, "--data", data, "--out", out, *options)
    done = subprocess.Popen(call, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            preexec_fn=lambda: os.sched_setaffinity(0, {core}))  # fmt: skip
    peak = 0.0
    while done.poll() is None:
        peak = max(peak, _memory(done.pid))
        time.sleep(0.2)
    assert done.returncode == 0, done.stderr and done.stderr.read()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(rows, time.monotonic() - began, cpu, peak)


def _memory(process: int) -> float:
    """The process's own memory in MiB, without the files that are mapped into it."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon:")), 0.0)


def main(root: Path) -> None:
    """Prints the table."""
    print("| rows | wall s | CPU s | memory MiB | rows a second of CPU beyond the smaller file |")
    print("| --- | --- | --- | --- | --- |")
    kinds = {"text lines": (0.0, ()), "1 % of them bad": (SHARE_BAD, ()), "with logits, Parquet": (
        0.0, ("--logits", "--format", "parquet"))}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for name, (bad, options) in kinds.items():
            found = []
            for rows in SIZES:
                data, out = Path(folder, "rows.txt"), Path(folder, f"out-{len(os.listdir(folder))}")
                write_rows(data, rows, bad=bad)
                found.append(measure(root, data, out, rows, *options))
            small, large = found
            speed = (large.rows - small.rows) / (large.cpu - small.cpu)
            for run, last in ((small, ""), (large, f"{speed:,.0f}")):
                print(f"| {run.rows:,} {name} | {run.wall:.1f} | {run.cpu:.1f} | {run.memory:.0f} | {last} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
