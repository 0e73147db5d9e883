"""One attempt at a span: whether it is time, the live model's score, the run, and what became of it."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from maskline.components.ingest import spans
from maskline.components.pusher.contents import Version, versions
from maskline.pipeline.local import inputs
from maskline.pipeline.schedule import child, intent, ledger
from maskline.pipeline.schedule.child import Ended
from maskline.pipeline.schedule.due import Due, newer
from maskline.pipeline.schedule.intent import Intent
from maskline.pipeline.schedule.ledger import Decision, Tick
from maskline.pipeline.schedule.outcome import RunOutcome, outcome_of, recorded
from maskline.pipeline.schedule.policy import reason_to_skip
from maskline.pipeline.schedule.scoring import Scoring
from maskline.pipeline.schedule.store import Seen, look_at_store
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError
from maskline.transform.names import Exit

Clock = Callable[[], datetime]


def attempt(settings: Settings, arguments: Sequence[str], due: Due, clock: Clock) -> Tick:
    """Runs on one span, unless it failed too often or too lately, or `schedule.retrain` leaves it out.

    Args:
      settings: as they are now.
      arguments: for `maskline run`.
      due: what to run on.
      clock: the time, in UTC.
    """
    past = ledger.ticks(settings.root)
    named = {"span": due.span, "depends_on": due.depends_on}
    failed = ledger.attempts(past, due.depends_on)
    if not_now := _not_now(settings, due, past, failed, clock()):
        return not_now
    if due.problem:
        return Tick(
            time=clock(), decision=Decision.REFUSED, why=due.problem, status=Exit.BAD_INPUT, **named
        )  # fmt: skip
    began, before = clock(), look_at_store(settings.metadata_file)
    scoring = None
    live = versions(settings.serving_dir)[-1:]
    if live and due.number is not None and _is_unseen(due, before, past):
        scoring = _scoring(settings, live[0], due, past)
        why = reason_to_skip(
            settings, live[0], scoring.result, newer(settings, before, due.number)
        )  # fmt: skip
        if why:
            return Tick(
                time=clock(), decision=Decision.NOT_RETRAINED, why=why, **named, **_scored(scoring)
            )  # fmt: skip
    intent.write(settings.root, Intent(**named, before=before.run, began=began))
    ended = run(settings, [*arguments, *due.option])
    found = outcome_of(
        settings, ended, before=before.run, live=live[0].number if live else 0, attempt=len(failed) + 1
    )
    status = Exit.ERROR if found.decision is Decision.FAILED else ended.status
    seconds = round((clock() - began).total_seconds(), 1)
    facts = {**named, **found.facts, **_scored(scoring)}
    return Tick(time=clock(), decision=found.decision, why=found.why, status=status, seconds=seconds, **facts)


def record(root: Path, tick: Tick) -> None:
    """Records what was decided; from then on nothing is left of what an attempt was about to run."""
    ledger.append(root, tick)
    intent.clear(root)


def killed_tick(settings: Settings, seen: Seen, clock: Clock) -> Tick | None:
    """Accounts for what a killed tick or backfill began; None where nothing was left."""
    left = intent.read(settings.root)
    if left is None:
        return None
    found = RunOutcome(Decision.INTERRUPTED, "its tick was killed; the run goes on with the next one")
    if seen.unchanged(left.depends_on):
        found = recorded(settings, before=left.before)
    return Tick(
        time=clock(), decision=found.decision, why=found.why, span=left.span, depends_on=left.depends_on,
        status=Exit.OK, **found.facts,
    )  # fmt: skip


def run(settings: Settings, arguments: Sequence[str]) -> Ended:
    """Runs `maskline run`, as long as the settings allow."""
    limits = settings.schedule
    return child.run(["run", *arguments], hours=limits.max_run_hours, grace=limits.grace)


def _not_now(
    settings: Settings, due: Due, past: Sequence[Tick], failed: Sequence[Tick], now: datetime
) -> Tick | None:
    """The decision where this is not the time for an attempt."""

    def decided(decision: Decision, why: str, status: Exit) -> Tick:
        named = {"span": due.span, "depends_on": due.depends_on}
        return Tick(time=now, decision=decision, why=why, status=status, **named)

    mine = [tick for tick in past if tick.depends_on == due.depends_on]
    last = next((t for t in reversed(mine) if t.decision in (*ledger.RAN, Decision.NOT_RETRAINED)), None)
    if last and last.decision is Decision.REFUSED:
        why = "the same data and settings were refused; nothing changed since"
        return decided(Decision.NOTHING_NEW, why, Exit.BAD_INPUT)
    if last and last.decision is Decision.NOT_RETRAINED:
        return decided(Decision.NOTHING_NEW, "schedule.retrain left it out; nothing changed since", Exit.OK)
    if len(failed) >= settings.schedule.attempts:
        why = f"{len(failed)} attempts failed; it is tried again when data, settings or source change"
        return decided(Decision.GAVE_UP, why, Exit.ERROR)
    if failed:
        ready = failed[-1].time + timedelta(seconds=settings.schedule.backoff * 2 ** (len(failed) - 1))
        if now < ready:
            why = f"attempt {len(failed) + 1} is due at {ready:%Y-%m-%d %H:%M:%S} UTC"
            return decided(Decision.WAITING, why, Exit.ERROR)
    return None


def _is_unseen(due: Due, seen: Seen, past: Sequence[Tick]) -> bool:
    """Whether no model was trained on a span: nobody ingested it, or only ticks that were cut short did."""
    if due.number not in {number for number, _ in seen.spans}:
        return True
    name = _without_version(due.span)
    mine = [tick for tick in past if _without_version(tick.span) == name]
    done = (Decision.RELEASED, Decision.NOT_BLESSED, Decision.BLOCKED)
    return bool(mine) and not any(tick.asked or tick.decision in done for tick in mine)


def _without_version(span: str) -> str:
    return span.split(" version ")[0]


def _scoring(settings: Settings, live: Version, due: Due, past: Sequence[Tick]) -> Scoring:
    """Begins to score the live model; beside a run it is done long before the training begins."""
    before: Sequence[Path] = ()
    if settings.schedule.retrain == "on_drift":
        trained = next((t.span for t in reversed(past) if t.decision is Decision.RELEASED), "")
        before = _shards_of(settings, trained)
    return Scoring(live.number, live.path, due.shards, settings.sequence, before)


def _shards_of(settings: Settings, words: str) -> Sequence[Path]:
    """The shards of a span that is named as in the ledger; none where it is gone."""
    data = settings.data
    for span in spans.find(data.path, **data.complete).complete.values():
        if _without_version(words) == spans.span_name(data.path, span.number):
            try:
                [*_, found], _ = inputs.find_data(
                    data.model_copy(update={"span": span.number, "window": 1, "allow_fewer": True})
                )
            except InputError:
                return ()
            return list(found.listing.paths)
    return ()


def _scored(scoring: Scoring | None) -> dict[str, Any]:
    score = scoring.result() if scoring else None
    return {"scored": score.version, "right": score.right, "asked": score.rows} if score else {}
