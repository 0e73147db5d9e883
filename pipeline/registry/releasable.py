"""Whether a person may release a run's model. Imports neither TFX nor ml-metadata."""

from pathlib import Path

from maskline.components.pusher.serving import identity_of, versions
from maskline.pipeline.registry.record import Run
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError
from maskline.transform.names import Node

_GATES = (Node.DATA_GATE, Node.MODEL_CHECKS, Node.RELEASE_GATE)


def releasable(settings: Settings, run: Run) -> Path:
    """Where the run's model lies, if a person may release it.

    Raises:
      InputError: says why not.
    """
    ran = {component.name for component in run.components}
    for gate in _GATES:
        if gate in ran and gate not in run.verdicts:
            place = next((path for path in run.lost if f"/{gate}/" in path), gate)
            raise InputError(f"{place}: the verdict is gone or damaged; `maskline run` gives it again")
    others = [
        gate for gate, verdict in run.verdicts.items() if gate != Node.RELEASE_GATE and not verdict.passed
    ]
    if others:
        why = run.verdicts[others[0]].blocking[0]
        raise InputError(
            f"run {run.run}: {others[0]} cannot be overridden ({why}); only {Node.RELEASE_GATE} can"
        )
    if run.candidate is None or Node.RELEASE_GATE not in run.verdicts:
        raise InputError(
            f"run {run.run}: made no model that {Node.RELEASE_GATE} judged; run it to its end first"
        )
    if run.blessed:
        raise InputError(
            f"run {run.run}: {Node.RELEASE_GATE} blessed its model; `maskline rollback` brings one back"
        )
    if not run.candidate.exists():
        raise InputError(f"run {run.run}: its model is gone from {run.candidate}; train it again")
    live = versions(settings.serving_dir)[-1:]
    if live and live[0].identity == identity_of(run.candidate):
        raise InputError(f"run {run.run}: its model is live already, as version {live[0].number}")
    return run.candidate
