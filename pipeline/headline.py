"""One sentence on a run for who must decide: released or not, why, and how good. Pure words, no terminal."""

from typing import NamedTuple

from maskline.components.evaluation.quality import quality
from maskline.components.verdict import Check
from maskline.pipeline.registry.record import DONE, Run
from maskline.transform.names import Node

GOOD, BAD, OPEN = "green", "red", "yellow"
_WENT_ON, _FAILED = ("RUNNING", "CANCELED"), "FAILED"


class Headline(NamedTuple):
    """The first line, and the color that says the same."""

    text: str
    colour: str


def headline(run: Run, *, working: int | None = None, epoch: int = 0, cause: str = "") -> Headline:
    """Says what became of a run.

    Args:
      run: as recorded.
      working: id of the process that works on the root, if this run is the last one.
      epoch: after which an interrupted training continues; 0 where it begins anew.
      cause: of a failure, in words.
    """
    if not run.ended:
        return _unfinished(run, working, epoch, cause)
    if run.blocked:
        checks = ", ".join(_named(check) for check in run.verdicts[Node.DATA_GATE].blocking)
        return Headline(f"Not released: DataGate blocked the data ({checks}); nothing was trained.", BAD)
    good = f" {quality(run.evaluation)}" if run.evaluation else ""
    if run.override:
        released = f"Released as version {run.override.version} although {_failed_gates(run)} blocked it."
        return Headline(released + good, OPEN)
    if not run.blessed and run.is_live:
        which = f"This very model is live, as version {run.live_version}, and stays live"
        return Headline(f"{which}, but it breaks a rule of today: {_reasons(run)}.{good}", BAD)
    if not run.blessed:
        return Headline(f"Not released: {_reasons(run)}.{good}", BAD)
    if run.released_version is None:
        live = f" Live is version {run.live_version}." if run.live_version else ""
        return Headline(f"All gates passed, and this model was released before.{live}{good}", GOOD)
    later = ""
    if run.live_problem:
        return Headline(f"Released as version {run.released_version}, but {run.live_problem}.", BAD)
    if run.live_version != run.released_version:
        later = f" Version {run.live_version} is live now."
    return Headline(f"Released as version {run.released_version}.{later}{good}", GOOD)


def _unfinished(run: Run, working: int | None, epoch: int, cause: str) -> Headline:
    undone = [c.name for c in run.components if c.state not in DONE]
    if working:
        now = f": {', '.join(undone)}" if undone else ""
        return Headline(f"Running in process {working}{now}.", OPEN)
    failed = [c.name for c in run.components if c.state == _FAILED]
    if cause:
        return Headline(f"Failed: {cause.rstrip('.')}. Nothing was released.", BAD)
    if failed:
        return Headline(f"Failed: {', '.join(failed)} did not finish. Nothing was released.", BAD)
    at = [c.name for c in run.components if c.state in _WENT_ON]
    where = f" while {', '.join(at)} {'was' if len(at) == 1 else 'were'} at work" if at else ""
    after = ""
    if Node.TRAINER in at:
        after = f" after epoch {epoch}" if epoch else " with the first epoch"
    return Headline(f"Interrupted{where}. `maskline run` continues{after}.", OPEN)


def _reasons(run: Run) -> str:
    blocking = [check for verdict in run.verdicts.values() for check in verdict.blocking]
    if not blocking:
        return "no gate blessed it"
    more = f" (and {len(blocking) - 1} more)" if len(blocking) > 1 else ""
    return f"{blocking[0]}{more}"


def _named(check: Check) -> str:
    return f"{check.name} of {check.subject}" if check.subject else check.name


def _failed_gates(run: Run) -> str:
    return ", ".join(gate for gate, verdict in run.verdicts.items() if not verdict.passed) or "a gate"
