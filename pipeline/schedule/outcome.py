"""What became of a run, in words and figures: from its exit status, and from what the store recorded."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from maskline.pipeline.schedule.child import Ended
from maskline.pipeline.schedule.ledger import Decision
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError, MachineError
from maskline.transform.names import Exit

_WORDS = 600  # characters of a reason that are recorded
_MEANS: Mapping[int, tuple[Decision, str]] = {
    Exit.OK: (Decision.RELEASED, "the run succeeded; `maskline show` has the details"),
    Exit.BLOCKED: (Decision.NOT_BLESSED, "a gate said no; the live model stays, `maskline show` says why"),
    Exit.BAD_INPUT: (Decision.REFUSED, "the run refused its input; its log says what and what to do"),
    Exit.BUSY: (Decision.BUSY, "another run works on the root"),
    Exit.HANGUP: (Decision.INTERRUPTED, "the run was told to end; the next tick goes on with it"),
    Exit.INTERRUPTED: (Decision.INTERRUPTED, "the run was interrupted; the next tick goes on with it"),
    Exit.TERMINATED: (Decision.INTERRUPTED, "the run was told to end; the next tick goes on with it"),
}


class RunOutcome(NamedTuple):
    """The decision and why, and what `ledger.Tick` keeps of the run besides."""

    decision: Decision
    why: str
    facts: Mapping[str, Any] = {}


def outcome_of(settings: Settings, ended: Ended, *, before: str, live: int, attempt: int) -> RunOutcome:
    """Says what became of a run.

    Args:
      settings: the run's.
      ended: how its process ended.
      before: name of the newest run before it, so that one that came to nothing is not mistaken for it.
      live: the version that was live before it; 0 for none.
      attempt: its number at the same data and settings, from 1.
    """
    decision, why = _MEANS.get(ended.status, (Decision.FAILED, ""))
    if ended.timed_out or decision is Decision.FAILED:
        return RunOutcome(Decision.FAILED, _failure(settings, ended, attempt))
    if decision is Decision.REFUSED:
        return RunOutcome(decision, ended.last_line.removeprefix("maskline: ")[:_WORDS] or why)
    if decision in (Decision.RELEASED, Decision.NOT_BLESSED):
        return _recorded(settings, RunOutcome(decision, why), before, live)
    return RunOutcome(decision, why)


def recorded(settings: Settings, *, before: str) -> RunOutcome:
    """What became of a run that came to its end and whose tick did not; as `outcome`."""
    from maskline.pipeline.registry.history import History

    run = History(settings.metadata_file, settings.serving_dir, read_only=True).latest()
    status = run.exit if run else Exit.OK
    return _recorded(settings, RunOutcome(*_MEANS.get(status, (Decision.FAILED, ""))), before)


def _recorded(settings: Settings, known: RunOutcome, before: str, live: int = 0) -> RunOutcome:
    """The same with what the metadata store knows; as it was where the store cannot be read."""
    from maskline.pipeline.registry.history import History  # a tick that runs nothing does without

    if not settings.metadata_file.exists():
        return known
    try:
        run = History(settings.metadata_file, settings.serving_dir, read_only=True).latest()
    except (InputError, MachineError):
        return known
    if run is None or run.run == before:
        if known.decision is Decision.RELEASED:
            return RunOutcome(Decision.NOTHING_NEW, "the run found that nothing changed")
        return known
    facts: dict[str, Any] = {}
    if run.ingest:
        facts = {"rows": run.ingest.rows_in, "quarantined": sum(run.ingest.quarantined.values())}
    if known.decision is Decision.NOT_BLESSED:
        decision = Decision.BLOCKED if run.blocked else Decision.NOT_BLESSED
        return RunOutcome(decision, "; ".join(run.why)[:_WORDS] or known.why, facts)
    version = run.released_version or run.live_version or 0
    if version and version == live:
        return RunOutcome(
            Decision.NOTHING_NEW, f"the run made the model of version {version}, which is live", facts
        )
    accuracy = run.metrics.get("candidate", {}).get("accuracy")
    figures = f", right on {accuracy:.1%} of its held-out rows" if accuracy is not None else ""
    return RunOutcome(known.decision, f"version {version} is live{figures}", {**facts, "version": version})


def _failure(settings: Settings, ended: Ended, attempt: int) -> str:
    how = f"was ended by signal {-ended.status}" if ended.status < 0 else f"ended with status {ended.status}"
    if ended.timed_out:
        how = f"took longer than schedule.max_run_hours ({settings.schedule.max_run_hours:g})"
    left = settings.schedule.attempts - attempt
    after = f"{left} more attempts" if left else "no more attempts until something changes"
    said = f": {ended.last_line.removeprefix('maskline: ')[:_WORDS]}" if ended.last_line else ""
    return f"the run {how} (attempt {attempt}){said}; {after}"
