"""Measures maskline against the reference loop and prints a Markdown table.

Usage: python -m tests.bench [PAIRS]   (default 3: reference, run, second run, three times in turn)

Every figure is of a whole process, from start to exit; the ratio is taken within a pair, and its median
is shown, because a machine's speed drifts. Nothing here is a test.
"""

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import psutil

BIN = Path(sys.executable).parent


class Figure(NamedTuple):
    wall: float
    cpu: float
    memory: float  # GiB: proportional set size of the process and its children, at its highest


def measure(*command: str) -> Figure:
    """Runs a command to its end; fails where it fails."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        peak: list[float] = [0.0]
        sampler = threading.Thread(target=_sample, args=(process.pid, peak), daemon=True)
        sampler.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            sys.exit(f"{' '.join(command)} failed:\n{output.read().decode()}")
    sampler.join()
    return Figure(wall, usage.ru_utime + usage.ru_stime, peak[0])


def _sample(pid: int, peak: list[float]) -> None:
    try:
        root = psutil.Process(pid)
        while root.is_running() and root.status() != psutil.STATUS_ZOMBIE:
            total = 0
            for process in (root, *root.children(recursive=True)):
                try:
                    total += process.memory_full_info().pss
                except psutil.Error:
                    continue
            peak[0] = max(peak[0], total / 2**30)
            time.sleep(0.25)
    except psutil.Error:
        pass


def main(pairs: int) -> None:
    work = Path(tempfile.mkdtemp(prefix="maskline-bench-"))
    maskline, data = str(BIN / "maskline"), work / "data"
    measure(maskline, "data", "--out", str(data))
    reference, first, second, help_ = [], [], [], []
    shards = [str(data / f"shard_000{i}.tfrecords") for i in (0, 1)]
    for pair in range(pairs):
        root = work / str(pair)
        loop = (sys.executable, "-m", "tests.bench.reference_loop", *shards)
        run = (maskline, "run", "--data", str(data), "--root", str(root))
        reference.append(measure(*loop, str(work / f"logs{pair}")))
        first.append(measure(*run))
        second.append(measure(*run))
        help_.append(measure(maskline, "--help"))
        print(f"pair {pair + 1} of {pairs} done", file=sys.stderr)
    shutil.rmtree(work)
    memory = psutil.virtual_memory().total / 2**30
    print(f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, median of {pairs} pairs\n")
    print("| whole process | wall s | CPU s | of the reference's wall | asked for | peak GiB |")
    print("| --- | --- | --- | --- | --- | --- |")
    rows = {
        "reference loop, 10 epochs of 2,000 records, batch 2": (reference, "–"),
        "`maskline run`, 10,000 records, from nothing to released": (first, "≤ 0.50"),
        "`maskline run` again, nothing changed": (second, "≤ 0.25"),
        "`maskline --help`": (help_, "below 0.5 s"),
    }
    for name, (figures, asked) in rows.items():
        ratio = statistics.median(f.wall / r.wall for f, r in zip(figures, reference, strict=True))
        wall, cpu, memory = (statistics.median(column) for column in zip(*figures, strict=True))
        print(f"| {name} | {wall:.1f} | {cpu:.1f} | {ratio:.3f} | {asked} | {memory:.2f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
