"""Tries the matrix and writes the table: `make chaos`.

    python -m tests.faults FOLDER [WORD …]

FOLDER is for the roots that are damaged. With words, only cells whose names hold one of them are tried, and
nothing is written.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.faults.commands import COMMANDS, call
from tests.faults.damage import may_mount
from tests.faults.matrix import SETTINGS, Home, Result, cells, try_cell, undamaged
from tests.faults.table import write

_SETTINGS = """
root: root
data: {{path: data}}
training: {{epochs: 1, seed: {seed}}}
release_gate: {{min_accuracy: {bar}}}
"""


def preload() -> None:
    """Imports what the commands import, so that each cell is spared it. No TensorFlow op runs here."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow  # noqa: F401

    import maskline.pipeline.dag
    import maskline.pipeline.local.runner
    import maskline.pipeline.registry.garbage  # noqa: F401


def prepare(home: Home) -> None:
    """A version that was released, one that was blessed on purpose, and a blocked run that can be blessed."""
    home.folder.mkdir(parents=True)
    call(home.folder, "data", "--out", "data", "--shards", "4", "--records", "500")
    steps = ((0, 0.05, "run", 0), (1, 0.99, "run", 3), (1, 0.99, "bless", 0), (2, 0.99, "run", 3))
    for seed, bar, command, status in steps:
        (home.folder / SETTINGS).write_text(_SETTINGS.format(seed=seed, bar=bar))
        done = home.call(command)
        assert done.status == status, done.out + done.err


def main(folder: Path, words: Sequence[str]) -> int:
    """Tries cells; gives 1 where one is red."""
    if not may_mount():
        print("not root: read-only and full file systems are not tried")
    preload()
    master, home = folder / "master", Home(folder / "home")
    if not master.exists():
        prepare(home)
        subprocess.run(["cp", "-a", home.folder, master], check=True)
    usual = {command: undamaged(master, home, command) for command in COMMANDS}
    results: list[Result] = []
    for thing, state, command in cells(Home(master)):
        name = f"{thing}: {state}: {command}"
        if words and not any(word in name for word in words):
            continue
        if state in ("read-only", "full") and not may_mount():
            continue
        result = try_cell(master, home, thing, state, command, usual[command])
        results.append(result)
        print(
            name, result.done.status, *(f"✗ {problem}" for problem in result.problems), sep="  ", flush=True
        )
    if not words:
        write(results, list(COMMANDS))
    red = [result for result in results if result.problems]
    print(f"{len(results)} cells, {len(red)} red")
    return int(bool(red))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
