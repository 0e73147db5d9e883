"""Goes through spans of the past in order: each is ingested and judged, and only the newest is trained on.

What lies between is needed for windows, for drift, and for the record; a model of it would be old news. The
plan follows from the data and the metadata store, so that a backfill can be ended at any moment and goes on.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from maskline.components.ingest import spans
from maskline.pipeline.errors import BusyError
from maskline.pipeline.local import inputs
from maskline.pipeline.schedule import child, ledger
from maskline.pipeline.schedule.alone import alone
from maskline.pipeline.schedule.attempt import Clock, attempt, killed_tick, record
from maskline.pipeline.schedule.due import CUT_SHORT, one
from maskline.pipeline.schedule.ledger import Decision, Tick
from maskline.pipeline.schedule.outcome import outcome_of
from maskline.pipeline.schedule.store import Seen, look_at_store
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError
from maskline.transform.names import Exit

_MOST = 10_000  # spans in one backfill
# For a span that is only ingested, whatever the window of the training.
_ALONE = ("--only-ingest", "--set", "data.window=1", "--set", "data.allow_fewer=true")
_ENDS = (Decision.FAILED, Decision.INTERRUPTED, Decision.BUSY)


class Todo(StrEnum):
    """What is done with a span."""

    INGEST = "ingest"
    TRAIN = "ingest, train, release if the gates allow it"
    DONE = "nothing: ingested before"
    MISSING = "nothing: it is not there, or not complete"


class Step(NamedTuple):
    """One span: its number, what people call it, and what is done with it."""

    number: int
    span: str
    todo: Todo

    def __str__(self) -> str:
        return f"{self.span:<24} {self.todo}"


def plan(settings: Settings, seen: Seen, past: Sequence[Tick], *, first: str, last: str) -> list[Step]:
    """The spans from `first` to `last`, numbers or dates, in order.

    Raises:
      InputError: the data have no spans, `first` or `last` is not one, or none between is complete.
    """
    data = settings.data
    if not spans.is_pattern(data.path):
        raise InputError(f"{data.path}: has no spans; a backfill needs {{SPAN}} or a date in data.path")
    start, end = (spans.span_number(data.path, text) for text in (first, last))
    if end < start or end - start >= _MOST:
        raise InputError(f"--from {first} --to {last}: give the earlier one first, at most {_MOST:,} spans")
    complete = spans.find(data.path, **data.complete).complete
    between = [number for number in complete if start <= number <= end]
    if not between:
        raise InputError(f"{data.path}: no span from {first} to {last} is complete")
    cut_short = {tick.span: tick.decision in CUT_SHORT for tick in past if tick.decision in ledger.RAN}

    def todo(number: int) -> Todo:
        if number not in complete:
            return Todo.MISSING
        span = complete[number]
        done = (number, span.version) in seen.spans and not cut_short.get(inputs.in_words(data, span), False)
        if number == max(complete):
            released = [t.span for t in past if t.decision in (Decision.RELEASED, Decision.NOT_BLESSED)]
            return Todo.DONE if done and inputs.in_words(data, span) in released else Todo.TRAIN
        return Todo.DONE if done else Todo.INGEST

    def words(number: int) -> str:
        found = complete.get(number)
        return inputs.in_words(data, found) if found else spans.span_name(data.path, number)

    return [Step(number, words(number), todo(number)) for number in range(start, end + 1)]


def backfill(
    settings: Settings,
    arguments: Sequence[str],
    steps: Sequence[Step],
    *,
    clock: Clock = lambda: datetime.now(UTC),
    say: Callable[[str], Any] = print,
) -> Exit:
    """Does the steps, and records each; what a gate or the ingest refuses is passed over.

    Args:
      settings: as they are now.
      arguments: for `maskline run`.
      steps: of `plan`.
      clock: the time, in UTC.
      say: takes one line.

    Returns:
      the exit status of the last run.

    Raises:
      BusyError: a tick works on the root.
    """
    status = Exit.OK
    with alone(settings.root / ledger.FOLDER / "tick") as holder:
        if holder is not None:
            raise BusyError(f"{settings.root}: a tick works here (process {holder}); try again later")
        if left := killed_tick(settings, look_at_store(settings.metadata_file), clock):
            record(settings.root, left)
            say(str(left))
        for tick in _ticks(settings, arguments, steps, clock):
            record(settings.root, tick)
            say(str(tick))
            status = Exit(tick.status) if tick.status in list(Exit) else Exit.ERROR
            if tick.decision in _ENDS:
                break
    return status


def _ticks(
    settings: Settings, arguments: Sequence[str], steps: Sequence[Step], clock: Clock
) -> Iterator[Tick]:
    for step in steps:
        option = ("--span", spans.span_name(settings.data.path, step.number))
        if step.todo is Todo.INGEST:
            yield _ingest(settings, [*arguments, *option, *_ALONE], step, clock)
        elif step.todo is Todo.TRAIN:
            yield attempt(settings, arguments, one(settings, step.number, option), clock)


def _ingest(settings: Settings, arguments: Sequence[str], step: Step, clock: Clock) -> Tick:
    began, before = clock(), look_at_store(settings.metadata_file)
    limits = settings.schedule
    ended = child.run(["run", *arguments], hours=limits.max_run_hours, grace=limits.grace)
    found = outcome_of(settings, ended, before=before.run, live=0, attempt=limits.attempts)
    decision, why = found.decision, found.why
    if ended.status == Exit.OK and not ended.timed_out:
        decision, why = Decision.INGESTED, "ingested, and the data gate let it pass"
    elif ended.status == Exit.BLOCKED:
        decision = Decision.BLOCKED
    status = Exit.ERROR if decision is Decision.FAILED else ended.status
    seconds = round((clock() - began).total_seconds(), 1)
    facts = {key: value for key, value in found.facts.items() if key != "version"}
    return Tick(
        time=clock(), decision=decision, why=why, span=step.span, status=status, seconds=seconds, **facts
    )  # fmt: skip
