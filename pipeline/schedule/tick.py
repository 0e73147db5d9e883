"""One tick: looks at schedule, data and metadata store, runs what is due, and records what was decided.

Nothing is held in memory between two ticks, so systemd, cron, Airflow or a Kubernetes CronJob can drive them
as well as our own loop. The run itself is a process of its own: a tick loads no TensorFlow.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from maskline.components.pusher import audit
from maskline.pipeline.errors import BusyError
from maskline.pipeline.local import lock
from maskline.pipeline.notify import outbox
from maskline.pipeline.schedule import disk, due, incidents, ledger
from maskline.pipeline.schedule.alone import alone
from maskline.pipeline.schedule.attempt import Clock, attempt, killed_tick, record
from maskline.pipeline.schedule.ledger import Decision, Tick
from maskline.pipeline.schedule.store import look_at_store
from maskline.pipeline.settings.schedule import CatchUp
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError, MachineError
from maskline.transform.names import Exit

Say = Callable[[str], Any]


def tick_once(
    settings: Settings,
    arguments: Sequence[str],
    *,
    clock: Clock = lambda: datetime.now(UTC),
    say: Say = print,
) -> Exit:
    """Decides what is due, runs it, and records the decision.

    Args:
      settings: as they are now.
      arguments: for `maskline run`, such as `--config FILE`.
      clock: the time, in UTC.
      say: takes one line.

    Returns:
      the last run's exit status; 0 where nothing was due, 4 where another run works.

    Raises:
      InputError: what the user gave is wrong; the decision is recorded.
    """
    disk.check_room(settings)
    status = Exit.OK
    with alone(settings.root / ledger.FOLDER / "tick") as holder:
        if holder is not None:
            # Its holder records what it does. A record of each tick that met it would grow without bound.
            say(f"busy: another tick works here (process {holder})")
            return Exit.BUSY
        incidents.guarded(lambda: incidents.begin(settings), say)
        new = []
        for decided in _decide(settings, arguments, clock):
            new.append(decided)
            record(settings.root, decided)
            say(str(decided))
            status = Exit(decided.status) if decided.status in list(Exit) else Exit.ERROR
        _pause_after_failures(settings, clock, say)
        if any(one.decision in ledger.RAN for one in new):
            _prune(settings, clock, say)
        incidents.guarded(lambda: incidents.update(settings, new, clock()), say)
        outbox.deliver(settings.root, settings.notify, clock(), say)
    return status


def _prune(settings: Settings, clock: Clock, say: Say) -> None:
    """Makes room as `schedule.keep` says; what hinders it is said, and the next run tries it again."""
    from maskline.pipeline.schedule import retention  # costs a second, which an idle tick does not have

    try:
        if (pruned := retention.prune(settings, clock())) and pruned.garbage.size:
            say(f"schedule.keep: {pruned}")
    except (InputError, MachineError, BusyError, OSError, sqlite3.Error) as error:
        say(f"schedule.keep: nothing was removed: {' '.join(str(error).split())}")


def _decide(settings: Settings, arguments: Sequence[str], clock: Clock) -> Iterator[Tick]:
    if pause := ledger.paused(settings.root):
        yield Tick(time=clock(), decision=Decision.PAUSED, why=f"by {pause.who}: {pause.why}")
        return
    if working := lock.holder(settings.root):
        why = f"a run works on the root (process {working})"
        yield Tick(time=clock(), decision=Decision.BUSY, why=why, status=Exit.BUSY)
        return
    try:
        seen = look_at_store(settings.metadata_file)
        if left := killed_tick(settings, seen, clock):
            yield left
        past = ledger.ticks(settings.root)
        found = due.due(settings, seen, past)
    except InputError as error:
        # The data are not there yet, or the settings ask for what cannot be: every tick looks again.
        yield Tick(time=clock(), decision=Decision.NO_DATA, why=str(error), status=Exit.BAD_INPUT)
        return
    if not found:
        yield Tick(time=clock(), decision=Decision.NOTHING_NEW, why="data, settings and source are as before")
        return
    missed = due.missed_ticks(settings, past, clock())
    if settings.schedule.catch_up is CatchUp.NONE and missed:
        why = f"`schedule.catch_up: none`: {missed} ticks were missed; the next span is run on"
        named = {"span": found[-1].span, "depends_on": found[-1].depends_on}
        yield Tick(time=clock(), decision=Decision.NOT_RETRAINED, why=why, **named)
        return
    for one in found:
        yield attempt(settings, arguments, one, clock)


def _pause_after_failures(settings: Settings, clock: Clock, say: Say) -> None:
    """A schedule that fails again and again waits for a person."""
    failed = ledger.failures_in_a_row(ledger.ticks(settings.root))
    if failed >= settings.schedule.max_failures and ledger.paused(settings.root) is None:
        why = f"{failed} ticks in a row failed; `maskline schedule resume` goes on"
        ledger.pause(settings.root, ledger.Pause(time=clock(), who=audit.user(), why=why, automatic=True))
        say(f"paused: {why}")
