"""What became of the month: a table of days, and whether all was as it must be."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

from maskline.components.pusher import audit
from maskline.components.pusher.contents import look
from maskline.pipeline.registry.releases import of_type, releases
from maskline.pipeline.registry.store import connect
from maskline.pipeline.schedule import disk, ledger
from maskline.pipeline.schedule.ledger import Decision, Tick
from maskline.pipeline.settings.load import load
from maskline.pipeline.settings.sections import Settings
from maskline.transform.names import VERSION, ArtifactType
from tests.soak.month import BERLIN, Month
from tests.soak.story import LATE, Day, expected

_FINAL = (Decision.RELEASED, Decision.NOT_BLESSED, Decision.BLOCKED, Decision.REFUSED)


def table(found: Month) -> Iterator[str]:
    """One line for each day, as Markdown."""
    past = ledger.ticks(found.root)
    yield "| day | special | decisions | live model on the new span | live |"
    yield "| --- | --- | --- | --- | --- |"
    version = 0
    for day in found.story[: found.done]:
        ticks = [t for t in past if t.time.astimezone(BERLIN).date() == day.date]
        version = max([version, *(t.version for t in ticks)])
        scores = ", ".join(f"{t.accuracy:.1%}" for t in ticks if t.accuracy is not None)
        events, number = ", ".join(day.events) or "–", f"{version or '–'}"
        cells = [f"{day.date}", events, _decisions(ticks), scores or "–", number]
        yield f"| {' | '.join(cells)} |"


def _decisions(ticks: list[Tick]) -> str:
    words = []
    for tick in ticks:
        span = tick.span[5:].replace(" version ", " v") if tick.span else ""
        words.append(f"{span} {tick.decision}".strip())
    return "; ".join(words) or "no tick"


def problems(found: Month) -> Iterator[str]:
    """What is not as it must be; nothing where the month was good."""
    settings = load(found.config)
    past = ledger.ticks(found.root)
    yield from _spans(past, found.story[: found.done])
    yield from _ticks(past, found.story[: found.done])
    yield from _state(settings)
    yield from _messages(found, settings)


def _spans(past: list[Tick], story: list[Day]) -> Iterator[str]:
    late = story[-1] if LATE in story[-1].events else None  # it comes with the next day
    final = [tick for tick in past if tick.decision in _FINAL]
    counted = Counter(tick.span for tick in final)
    for span, decision in expected(story).items():
        if late and span.startswith(f"{late.date}"):
            continue
        if counted[span] != 1:
            yield f"span {span} is accounted for {counted[span]} times"
        for tick in final:
            if tick.span == span and tick.decision not in decision:
                yield f"span {span} is {tick.decision}, expected was {decision}"
    for span in set(counted) - set(expected(story)):
        yield f"span {span} was never delivered"


def _ticks(past: list[Tick], story: list[Day]) -> Iterator[str]:
    """Two ticks a day by the clock on the wall, also where summer time ends."""
    for day in story:
        hours = {t.time.astimezone(BERLIN).hour for t in past if t.time.astimezone(BERLIN).date() == day.date}
        if not hours <= {2, 3, 14, 15}:
            yield f"{day.date}: ticks at {sorted(hours)} o'clock"
        if not hours & {14, 15}:
            yield f"{day.date}: no tick at half past two in the afternoon"


def _state(settings: Settings) -> Iterator[str]:
    contents = look(settings.serving_dir, thorough=True)
    if contents.notes or not contents.live:
        yield f"serving directory: {contents.notes or 'nothing is live'}"
        return
    logged = [change.to for change in audit.changes(settings.serving_dir)]
    store = connect(settings.metadata_file, read_only=True)
    recorded = [release.properties[VERSION].int_value for release in releases(store)]
    if logged != sorted(set(logged)) or logged[-1] != contents.live.number:
        yield f"the audit log says {logged}, live is {contents.live.number}"
    if recorded[-1] != contents.live.number or set(recorded) != set(logged):
        yield f"the metadata store says {recorded}, the audit log {logged}"
    done = subprocess.run(
        [sys.executable, "-m", "maskline.components.pusher.ask", str(contents.live.path)], capture_output=True
    )
    if done.returncode:
        yield f"the live version does not load: {done.stdout.decode()}"
    if not of_type(store, ArtifactType.EXAMPLES):
        yield "the metadata store knows no data"
    if disk.size(settings.root) > settings.schedule.keep.gib * disk.GIB:
        yield f"the root takes {disk.size(settings.root):,} bytes"


def _messages(found: Month, settings: Settings) -> Iterator[str]:
    lines = found.told.read_text().splitlines() if found.told.exists() else []
    told = [json.loads(line) for line in lines]
    twice = [m["text"] for m in told if [o["id"] for o in told].count(m["id"]) > 1]
    if twice:
        yield f"messages were sent twice: {twice}"
    released = [m for m in told if m["kind"] == "released"]
    versions = len(audit.changes(settings.serving_dir))
    waiting = list((settings.root / "schedule/outbox").glob("[0-9]*.json"))
    if len(released) + len(waiting) < versions:
        yield f"{versions} versions went live, {len(released)} messages said so"


def summary(found: Month) -> Iterator[str]:
    """Figures of the month in words."""
    settings = load(found.config)
    past = ledger.ticks(found.root)
    counts = Counter(tick.decision for tick in past)
    lines = found.told.read_text().splitlines() if found.told.exists() else []
    kinds = Counter(json.loads(line)["kind"] for line in lines)
    decided = ", ".join(f"{number} {decision}" for decision, number in counts.most_common())
    yield f"{found.done} days, {len(past)} decisions: {decided}"
    yield f"{len(lines)} messages: " + ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
    taken = disk.size(found.root) / 1e6
    yield f"the root takes {taken:.1f} MB, the bound is {settings.schedule.keep.gib:g} GiB"
    killed = {int(file.name.removeprefix("killed-")): file for file in found.folder.glob("killed-*")}
    for number, file in sorted(killed.items()):
        yield f"kill -9 on day {number}: {file.read_text()}"
