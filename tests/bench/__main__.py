"""Measures maskline against the reference loop and prints a Markdown table.

Usage: python -m tests.bench [PAIRS]   (default 3: the reference and our runs, three times in turn)

Every figure is of a whole process, from start to exit; the ratios are taken within a pair, and their medians
are shown, because a machine's speed drifts. On a busy machine look at those of processor time, which say what
work there is, but not what is done side by side. Nothing here is a test.
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

from maskline.pipeline.settings.load import load
from maskline.transform.names import Exit
from tests.bench.history import many_runs

BIN = Path(sys.executable).parent
EARLIER = 200  # runs in the store before the first


class Figure(NamedTuple):
    wall: float
    cpu: float
    memory: float  # GiB: proportional set size of the process and its children, at its highest


def measure(*command: str) -> Figure:
    """Runs a command to its end; fails where it fails. A run that a gate held back has done the same work."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        peak: list[float] = [0.0]
        sampler = threading.Thread(target=_sample, args=(process.pid, peak), daemon=True)
        sampler.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (Exit.OK, Exit.BLOCKED):
            output.seek(0)
            sys.exit(f"{' '.join(command)} failed:\n{output.read().decode()}")
    sampler.join()
    figure = Figure(wall, usage.ru_utime + usage.ru_stime, peak[0])
    print(f"{' '.join(command)}: {figure}", file=sys.stderr, flush=True)
    return figure


def _sample(pid: int, peak: list[float]) -> None:
    began = time.perf_counter()
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
            # Looking takes a fortieth of a second for each process, of what is measured.
            time.sleep(0.25 if time.perf_counter() - began < 1 else 1)
    except psutil.Error:
        pass


def main(pairs: int) -> None:
    work = Path(tempfile.mkdtemp(prefix="maskline-bench-"))
    maskline, data = str(BIN / "maskline"), work / "data"
    measure(maskline, "data", "--out", str(data))
    # As many other exercises, as an export brings them the next night.
    measure(maskline, "data", "--out", str(work / "new"), "--seed", "1")
    reference, first, second, later, help_ = [], [], [], [], []
    shards = [str(data / f"shard_000{i}.tfrecords") for i in (0, 1)]
    for pair in range(pairs):
        root = work / str(pair)
        root.mkdir()
        many_runs(load(root=root), EARLIER)
        loop = (sys.executable, "-m", "tests.bench.reference_loop", *shards)
        run = (maskline, "run", "--data", str(data), "--root", str(root))
        reference.append(measure(*loop, str(work / f"logs{pair}")))
        first.append(measure(*run))
        second.append(measure(*run))
        later.append(measure(maskline, "run", "--data", str(work / "new"), "--root", str(root)))
        help_.append(measure(maskline, "--help"))
    shutil.rmtree(work)
    memory = psutil.virtual_memory().total / 2**30
    print(f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, median of {pairs} pairs\n")
    print("| whole process | wall s | CPU s | of the reference's wall | of its CPU | asked for | peak GiB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    rows = {
        "reference loop, 10 epochs of 2,000 records, batch 2": (reference, "–"),
        "`maskline run`, 10,000 records, from nothing to released": (first, "≤ 0.60"),
        f"`maskline run` again, nothing changed, {EARLIER} earlier runs in the store": (second, "below 1 s"),
        "`maskline run` on 10,000 new records, same settings": (later, "≤ 0.45"),
        "`maskline --help`": (help_, "below 0.5 s"),
    }
    for name, (figures, asked) in rows.items():
        pairs_of = list(zip(figures, reference, strict=True))
        of_wall = statistics.median(f.wall / r.wall for f, r in pairs_of)
        of_cpu = statistics.median(f.cpu / r.cpu for f, r in pairs_of)
        wall, cpu, memory = (statistics.median(column) for column in zip(*figures, strict=True))
        ratios = f"{of_wall:.3f} | {of_cpu:.3f}"
        print(f"| {name} | {wall:.1f} | {cpu:.1f} | {ratios} | {asked} | {memory:.2f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
