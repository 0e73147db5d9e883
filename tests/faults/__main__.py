"""Tries the matrix and writes the table: `make chaos`.

    python -m tests.faults FOLDER [--seconds N] [--part K --parts N] [--again] [WORD …]

FOLDER keeps the roots that are damaged and what was found, so that a call goes on where the one before was
stopped, and tries what was red again. With words, only cells whose names hold one of them are tried; with
`--again` also those that were green. After N seconds no further cell is begun. Parts share the work among
processes. Each call prints the table and writes it into docs/faults.md; with `--seconds 0` it does nothing
else.
"""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.faults.commands import COMMANDS, Done, call, draw_reports, preload
from tests.faults.damage import OF_MOUNTS, lost, may_mount
from tests.faults.forks import versions_asked_in_forks
from tests.faults.looks import Looks
from tests.faults.matrix import SETTINGS, Home, Result, cells, look, things, try_cell, undamaged
from tests.faults.memo import Memo
from tests.faults.results import Results
from tests.faults.table import table, write

_SETTINGS = """
root: root
data: {{path: data}}
model: {{width: 16, kernel: 0, normalize: false, hidden: [32]}}
training: {{epochs: 1, batch_size: 16, seed: {seed}, learning_rate: {rate}}}
release_gate: {{min_accuracy: {bar}, min_gain: -1}}
"""
# A version that was released; one that was blessed on purpose; and a model that learned nothing, which the
# comparison with the live model alone keeps from being released, though a person may release it.
_STEPS = (
    (0, 0.003, 0.0, "run", 0),
    (1, 0.003, 0.999, "run", 3),
    (1, 0.003, 0.999, "bless", 0),
    (2, 1e-7, 0.0, "run", 3),
)
LOOKS_AT_ALL = ("gc", "run")


def prepare(home: Home) -> None:
    """Makes the root that each cell damages a copy of."""
    home.folder.mkdir(parents=True)
    call(home.folder, "data", "--out", "data", "--shards", "4", "--records", "500")
    for seed, rate, bar, command, status in _STEPS:
        (home.folder / SETTINGS).write_text(_SETTINGS.format(seed=seed, rate=rate, bar=bar))
        done = home.call(command)
        assert done.status == status, done.out + done.err


def main(folder: Path, words: list[str], *, again: bool, seconds: float, part: int, parts: int) -> int:
    """Tries cells and writes the table; gives 1 where one is red or was not tried."""
    if seconds:
        with versions_asked_in_forks():
            _try(folder, words, again=again, until=time.monotonic() + seconds, part=part, parts=parts)
    everything = list(cells(Home(folder / "master")))
    results = Results(folder / "results.jsonl")  # with those of the other parts
    found = [results.found[cell] for cell in everything if cell in results.found]
    lines = list(table(found, list(COMMANDS), total=len(everything)))
    print(*lines, sep="\n")
    write(lines)
    red = [result for result in found if result.problems]
    print(f"{len(found)} of {len(everything)} cells, {len(red)} red")
    if not may_mount():
        print("only root can mount: read-only and full file systems were not tried")
    return int(bool(red) or len(found) < len(everything))


def _try(folder: Path, words: list[str], *, again: bool, until: float, part: int, parts: int) -> None:
    memo = Memo(folder / "memo")
    preload()
    memo.install()
    # One place for each part: what ExampleGen made is found again by the path of its shards.
    master, home = folder / "master", Home(folder / f"home-{part}")
    if not master.exists():
        prepare(home)
        subprocess.run(["cp", "-a", home.folder, master], check=True)
    results = Results(folder / "results.jsonl")
    possible = [cell for cell in cells(Home(master)) if cell.state not in OF_MOUNTS or may_mount()]
    named = things(Home(master))
    usual: dict[str, Done] = {}
    seen: dict[str, Looks | None] = {}
    for number, cell in enumerate(possible):
        wanted = not words or any(word in cell.name for word in words)
        done = cell in results.found and not results.found[cell].problems and not again
        if not wanted or done or number % parts != part or time.monotonic() > until:
            continue
        if cell.command not in usual:
            usual[cell.command] = undamaged(master, home, cell.command)
            seen[cell.command] = None if cell.command in LOOKS_AT_ALL else look(master, home, cell.command)
        memo.on = cell.state not in OF_MOUNTS  # there the executors' own words are asked for
        draw_reports(drawn=cell.state in (lost.__name__, *OF_MOUNTS))
        looks = seen[cell.command]
        path = home.folder / named[cell.thing].relative_to(master)
        if looks and not looks.at(path):
            result = Result(cell, usual[cell.command].status, "", [], tried=False)
        else:
            result = try_cell(master, home, cell, usual[cell.command])
            print(cell.name, result.status, *(f"✗ {p}" for p in result.problems), sep="  ", flush=True)
        results.add(result)
    shutil.rmtree(home.folder, ignore_errors=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("folder", type=lambda text: Path(text).resolve())
    parser.add_argument("--again", action="store_true")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1)
    given = parser.parse_intermixed_args()
    sys.exit(main(**vars(given)))
