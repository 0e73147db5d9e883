"""What a tick has to run on: the newest span, spans that were missed or cut short, or nothing."""

from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from maskline.components.ingest import spans
from maskline.components.ingest.spans import Span
from maskline.pipeline.local import inputs
from maskline.pipeline.local.depends import depends_on, short_digest
from maskline.pipeline.schedule import ledger
from maskline.pipeline.schedule.ledger import Decision, Tick
from maskline.pipeline.schedule.store import Seen
from maskline.pipeline.settings.schedule import CatchUp, times
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError

CUT_SHORT = (Decision.INTERRUPTED, Decision.FAILED)


class Due(NamedTuple):
    """What one run would be on.

    Attributes:
      span: in words; empty for a plain folder.
      option: of `maskline run` that asks for it.
      depends_on: a digest of data, settings and source.
      number: of the span; None for a plain folder.
      shards: of the span.
      problem: why no run can be on it, as where a span holds no shard; empty for most.
    """

    span: str
    option: tuple[str, ...]
    depends_on: str
    number: int | None = None
    shards: tuple[Path, ...] = ()
    problem: str = ""


def due(settings: Settings, seen: Seen, past: Sequence[Tick]) -> list[Due]:
    """The spans to run on, the oldest first; none where nothing changed.

    Args:
      settings: as they are now.
      seen: what the metadata store knows.
      past: all ticks, oldest first.

    Raises:
      InputError: no span is complete, or the settings ask for what is not there.
    """
    data = settings.data
    if not spans.is_pattern(data.path) or data.span != spans.LATEST:
        latest = one(settings, data.span, ())
        return [] if seen.unchanged(latest.depends_on) else [latest]
    found = spans.find(data.path, **data.complete)
    newest = spans.select(data.path, found, spans.LATEST)
    latest = _of_span(settings, newest, ())
    chosen: list[Due] = []
    if settings.schedule.catch_up is CatchUp.ALL and (limit := settings.schedule.max_catch_up - 1):
        missed = _missed(settings, found.complete.values(), seen, past, newest)[-limit:]
        chosen = [_of_span(settings, s, ("--span", spans.span_name(data.path, s.number))) for s in missed]
    return chosen if seen.unchanged(latest.depends_on) else [*chosen, latest]


def _of_span(settings: Settings, span: Span, option: tuple[str, ...]) -> Due:
    """What a run on a span would be; one that cannot be read hinders no other."""
    try:
        return one(settings, span.number, option)
    except InputError as error:
        words = inputs.in_words(settings.data, span)
        return Due(words, option, short_digest(words, str(error)), span.number, problem=str(error))


def _missed(
    settings: Settings, complete: Collection[Span], seen: Seen, past: Sequence[Tick], newest: Span
) -> list[Span]:
    """Older spans that no run has ingested, or whose run was cut short; none before the first run."""
    if not seen.spans:
        return []
    first = min(seen.spans)[0]
    last = {tick.span: tick.decision for tick in past if tick.decision in ledger.RAN}
    accounted = {
        tick.span for tick in past if tick.decision in (Decision.NOT_RETRAINED, Decision.REFUSED)
    } - {span for span, decision in last.items() if decision in CUT_SHORT}

    def is_missed(span: Span) -> bool:
        words = inputs.in_words(settings.data, span)
        if last.get(words) in CUT_SHORT:
            return True
        return (span.number, span.version) not in seen.spans and words not in accounted

    older = [s for s in complete if first < s.number < newest.number]
    return sorted(span for span in older if is_missed(span))


def one(settings: Settings, span: int | str, option: tuple[str, ...]) -> Due:
    """What a run on one span would be.

    Raises:
      InputError: as `due`.
    """
    data = settings.data.model_copy(update={"span": span})
    window, _ = inputs.find_data(data)
    newest = window[-1]
    run_settings = settings.model_copy(update={"data": newest.data})
    schema = inputs.read_schema(data.schema_file, settings.sequence)
    return Due(
        newest.name,
        option,
        depends_on(run_settings, schema, [delivery.listing.digest for delivery in window]),
        newest.listing.span if spans.is_pattern(data.path) else None,
        tuple(newest.listing.paths),
    )


def newer(settings: Settings, seen: Seen, number: int) -> int:
    """How many complete spans up to `number` are newer than all that were ingested."""
    complete = spans.find(settings.data.path, **settings.data.complete).complete
    known = max((span for span, _ in seen.spans), default=-1)
    return len([span for span in complete if known < span <= number])


def missed_ticks(settings: Settings, past: Sequence[Tick], now: datetime) -> int:
    """How many times of the cron line passed since the last tick without one; 0 where no line is set."""
    if not settings.schedule.cron or not past:
        return 0
    zone = ZoneInfo(settings.schedule.timezone)
    passed = islice(times(settings.schedule.cron, past[-1].time.astimezone(zone)), 1000)
    return max(0, sum(1 for _ in _until(passed, now)) - 1)


def _until(moments: "islice[datetime]", now: datetime) -> "list[datetime]":
    found = []
    for moment in moments:
        if moment > now:
            break
        found.append(moment)
    return found
