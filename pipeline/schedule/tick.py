"""One tick: looks at schedule, data and metadata store, runs what is due, and records what was decided.

Nothing is held in memory between two ticks, so systemd, cron, Airflow or a Kubernetes CronJob can drive them
as well as our own loop. The run itself is a process of its own: a tick loads no TensorFlow.
"""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from maskline.components.ingest import spans
from maskline.components.pusher import audit
from maskline.pipeline.local import inputs, lock
from maskline.pipeline.local.depends import depends_on
from maskline.pipeline.schedule import ledger
from maskline.pipeline.schedule.alone import alone
from maskline.pipeline.schedule.ledger import Decision, Tick
from maskline.pipeline.schedule.store import Seen, look_at_store
from maskline.pipeline.settings.schedule import CatchUp
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError
from maskline.transform.names import Exit

_MEANS: Mapping[int, tuple[Decision, str]] = {
    Exit.OK: (Decision.RELEASED, "the run succeeded; `maskline show` has the details"),
    Exit.BLOCKED: (
        Decision.NOT_BLESSED,
        "a gate said no; the live model stays, and `maskline show` says why",
    ),
    Exit.BAD_INPUT: (Decision.REFUSED, "the run refused its input; its log says what and what to do"),
    Exit.BUSY: (Decision.BUSY, "another run works on the root"),
    Exit.INTERRUPTED: (Decision.INTERRUPTED, "the run was interrupted; the next tick goes on with it"),
    Exit.TERMINATED: (Decision.INTERRUPTED, "the run was told to end; the next tick goes on with it"),
}

Clock = Callable[[], datetime]


class Due(NamedTuple):
    """What one run would be on: the span in words, the option that asks for it, and what it depends on."""

    span: str
    option: tuple[str, ...]
    depends_on: str


def tick_once(
    settings: Settings,
    arguments: Sequence[str],
    *,
    clock: Clock = lambda: datetime.now(UTC),
    say: Any = print,
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
    status = Exit.OK
    with alone(settings.root / ledger.FOLDER / "tick") as holder:
        if holder is not None:
            # Its holder records what it does. A record of each tick that met it would grow without bound.
            say(f"busy: another tick works here (process {holder})")
            return Exit.BUSY
        for decided in _decide(settings, arguments, clock):
            ledger.append(settings.root, decided)
            say(str(decided))
            status = Exit(decided.status) if decided.status in list(Exit) else Exit.ERROR
        _pause_after_failures(settings, clock, say)
    return status


def _decide(settings: Settings, arguments: Sequence[str], clock: Clock) -> Iterator[Tick]:
    if pause := ledger.paused(settings.root):
        yield Tick(time=clock(), decision=Decision.PAUSED, why=f"by {pause.who}: {pause.why}")
        return
    if working := lock.holder(settings.root):
        why = f"a run works on the root (process {working})"
        yield Tick(time=clock(), decision=Decision.BUSY, why=why, status=Exit.BUSY)
        return
    try:
        due = _due(settings, look_at_store(settings.metadata_file))
    except InputError as error:
        # The data are not there yet, or the settings ask for what cannot be: every tick looks again.
        yield Tick(time=clock(), decision=Decision.NO_DATA, why=str(error), status=Exit.BAD_INPUT)
        return
    if not due:
        yield Tick(time=clock(), decision=Decision.NOTHING_NEW, why="data, settings and source are as before")
    for one in due:
        yield _attempt(settings, arguments, one, clock)


def _due(settings: Settings, seen: Seen) -> list[Due]:
    """The spans to run on, the oldest first; none where nothing changed."""
    data = settings.data
    latest = _one(settings, settings.data.span, ())
    if seen.unchanged(latest.depends_on):
        return []
    if not spans.is_pattern(data.path) or data.span != spans.LATEST or not seen.spans:
        return [latest]
    complete = spans.find(data.path, **data.complete).complete
    newest = complete[max(complete)]
    if settings.schedule.catch_up is CatchUp.NONE and (newest.number, newest.version) in seen.spans:
        return [latest]
    if settings.schedule.catch_up is not CatchUp.ALL:
        return [latest]
    missed = [
        span
        for number, span in sorted(complete.items())
        if number > min(seen.spans)[0] and (number, span.version) not in seen.spans and number < newest.number
    ]
    chosen = missed[-settings.schedule.max_catch_up + 1 :] if settings.schedule.max_catch_up > 1 else []
    return [
        *(_one(settings, s.number, ("--span", spans.span_name(data.path, s.number))) for s in chosen),
        latest,
    ]


def _one(settings: Settings, span: int | str, option: tuple[str, ...]) -> Due:
    data = settings.data.model_copy(update={"span": span})
    window, _ = inputs.find_data(data)
    one = settings.model_copy(update={"data": window[-1].data})
    schema = inputs.read_schema(data.schema_file, settings.sequence)
    return Due(
        window[-1].name, option, depends_on(one, schema, [delivery.listing.digest for delivery in window])
    )


def _attempt(settings: Settings, arguments: Sequence[str], due: Due, clock: Clock) -> Tick:
    """Runs on one span, unless it failed too often or too lately."""
    past = ledger.ticks(settings.root)
    named = {"span": due.span, "depends_on": due.depends_on}
    if past and _refused(past, due.depends_on):
        why = "the same data and settings were refused; nothing changed since"
        return Tick(time=clock(), decision=Decision.NOTHING_NEW, why=why, status=Exit.BAD_INPUT, **named)
    failed = ledger.attempts(past, due.depends_on)
    if len(failed) >= settings.schedule.attempts:
        why = f"{len(failed)} attempts failed; it is tried again when data, settings or source change"
        return Tick(time=clock(), decision=Decision.GAVE_UP, why=why, status=Exit.ERROR, **named)
    if failed:
        ready = failed[-1].time + timedelta(seconds=settings.schedule.backoff * 2 ** (len(failed) - 1))
        if clock() < ready:
            why = f"attempt {len(failed) + 1} is due at {ready:%Y-%m-%d %H:%M:%S} UTC"
            return Tick(time=clock(), decision=Decision.WAITING, why=why, status=Exit.ERROR, **named)
    began = clock()
    status, timed_out = run_process(settings, [*arguments, *due.option])
    failure = (Decision.FAILED, _failure(status, settings, len(failed) + 1, timed_out=timed_out))
    decision, why = failure if timed_out else _MEANS.get(status, failure)
    status = Exit.ERROR if timed_out or status < 0 else status
    seconds = round((clock() - began).total_seconds(), 1)
    return Tick(time=clock(), decision=decision, why=why, status=status, seconds=seconds, **named)


def _refused(past: Sequence[Tick], depends_on: str) -> bool:
    ran = [tick for tick in past if tick.decision in ledger.RAN]
    return bool(ran) and ran[-1].decision is Decision.REFUSED and ran[-1].depends_on == depends_on


def _failure(status: int, settings: Settings, attempt: int, *, timed_out: bool) -> str:
    how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
    if timed_out:
        how = f"took longer than schedule.max_run_hours ({settings.schedule.max_run_hours:g})"
    left = settings.schedule.attempts - attempt
    after = f"{left} more attempts" if left else "no more attempts until something changes"
    return f"the run {how} (attempt {attempt}); {after}"


def run_process(settings: Settings, arguments: Sequence[str]) -> tuple[int, bool]:
    """Runs `maskline run` in a process of its own, within `schedule.max_run_hours`.

    It is told to end when its time is over or when this process is, and killed after `schedule.grace`.

    Returns:
      its exit status, negative for the signal that ended it; and whether its time was over.
    """
    process = subprocess.Popen([sys.executable, "-m", "maskline.pipeline.cli", "run", *arguments])
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        return process.wait(timeout=settings.schedule.max_run_hours * 3600), False
    except subprocess.TimeoutExpired:
        return _end(process, settings.schedule.grace), True
    except KeyboardInterrupt:  # the terminal has told the run as well
        return _end(process, settings.schedule.grace), False
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(process: subprocess.Popen[bytes], grace: float) -> int:
    process.terminate()
    try:
        return process.wait(timeout=grace)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _pause_after_failures(settings: Settings, clock: Clock, say: Any) -> None:
    """A schedule that fails again and again waits for a person."""
    failed = ledger.failures_in_a_row(ledger.ticks(settings.root))
    if failed >= settings.schedule.max_failures and ledger.paused(settings.root) is None:
        why = f"{failed} ticks in a row failed; `maskline schedule resume` goes on"
        ledger.pause(settings.root, ledger.Pause(time=clock(), who=audit.user(), why=why))
        say(f"paused: {why}")
