"""Writes what the story delivers: daily spans of sample records, and spans that are not as they should be."""

import subprocess
import sys
from pathlib import Path

from tests.soak.story import CORRUPT, DRIFTED, DUPLICATE, EMPTY, LATE, MISSING, Day
from tests.support import REPOSITORY, environment

RECORDS = 500


def deliver(folder: Path, day: Day, before: Day | None) -> None:
    """What has arrived when the day begins; a late span comes with the next day's."""
    if before and LATE in before.events:
        _span(folder, before)
    if not {LATE, MISSING} & set(day.events):
        _span(folder, day)
    if DUPLICATE in day.events and before:
        _write(folder / f"{before.date}" / "v2", seed=1000 + before.number)


def _span(folder: Path, day: Day) -> None:
    place = folder / f"{day.date}" / "v1"
    if EMPTY in day.events:
        place.mkdir(parents=True, exist_ok=True)
        return
    _write(place, seed=day.number, max_value=3 if DRIFTED in day.events else 20)
    if CORRUPT in day.events:
        shard = sorted(place.iterdir())[-1]
        shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])


def _write(place: Path, *, seed: int, max_value: int = 20) -> None:
    command = ["data", "--out", place, "--shards", 2, "--records", RECORDS // 2, "--seed", seed]
    if place.exists():
        return
    subprocess.run(
        [sys.executable, "-m", "maskline.pipeline.cli", *map(str, command), "--max-value", str(max_value)],
        check=True, cwd=REPOSITORY, env=environment(), capture_output=True,
    )  # fmt: skip
