"""Measures what a run imports before its first node, by package, and prints a Markdown table.

Usage: python -m tests.bench.imports

CPU seconds are those of a process that imports and does nothing else; of the others, Python's own clock
(`-X importtime`), which is wall time, so run it on a machine that does nothing else. Nothing here is a test.
"""

import re
import resource
import subprocess
import sys
from collections import defaultdict

# What `pipeline/local/run.py` imports before the first node.
RUN = """
import maskline.pipeline.cli, maskline.pipeline.local.run
from maskline.pipeline.imports import lean_imports
with lean_imports():
    import maskline.pipeline.local.fit
    import maskline.pipeline.dag, maskline.pipeline.local.window, maskline.pipeline.local.runner
"""
_LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")
_ROWS = 12


def cpu() -> float:
    """CPU seconds of a process that imports what a run does, as a run does it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", RUN], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def by_package() -> dict[str, float]:
    """Seconds within each package's own modules; two names deep where many packages share the first."""
    call = [sys.executable, "-X", "importtime", "-c", RUN]
    told = subprocess.run(call, check=True, capture_output=True, text=True).stderr
    found: dict[str, float] = defaultdict(float)
    for spent, module in _LINE.findall(told):
        parts = module.split(".")
        name = ".".join(parts[: 3 if parts[:2] == ["google", "cloud"] else 1])
        found[name] += int(spent) / 1e6
    return found


def main() -> None:
    """Prints the table."""
    cpu()  # reads the files, so that the next ones find them in memory
    print(f"Import of what a run needs: {min(cpu() for _ in range(3)):.1f} s of CPU\n")
    found = by_package()
    print("| package | seconds | share |\n| --- | --- | --- |")
    total = sum(found.values())
    for package, seconds in sorted(found.items(), key=lambda item: -item[1])[:_ROWS]:
        print(f"| {package} | {seconds:.2f} | {seconds / total:.0%} |")
    cloud = sum(seconds for package, seconds in found.items() if package.startswith("google.cloud"))
    print(f"| all of google.cloud | {cloud:.2f} | {cloud / total:.0%} |")


if __name__ == "__main__":
    main()
