"""Releases a model that the release gate held back, because a person says so and why."""

from maskline.components.pusher import manifest
from maskline.components.pusher.serving import Version
from maskline.pipeline.local import lock
from maskline.pipeline.registry import releases
from maskline.pipeline.registry.history import History
from maskline.pipeline.registry.lookup import LAST
from maskline.pipeline.registry.releasable import releasable
from maskline.pipeline.registry.store import connect, must_exist, no_run
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError


def bless_run(settings: Settings, name: str, *, reason: str) -> Version:
    """Publishes the model of a run that ReleaseGate did not bless; the audit log keeps who, when and why.

    Only ReleaseGate can be overridden: a model that fails another gate is not what it claims to be.

    Args:
      settings: says where things lie.
      name: of the run, or `last`.
      reason: in words.

    Returns:
      the new version, which is live.

    Raises:
      InputError: no such run, no model in it, no reason, another gate blocks, ReleaseGate does not, or what
        is asked of the gates or the model is damaged.
      BusyError: a run works on the root.
    """
    if not reason.strip():
        raise InputError("--reason: say in words why the model is to be released all the same")
    must_exist(settings.metadata_file, settings.serving_dir)
    with lock.hold(settings.root):
        store = connect(settings.metadata_file)
        releases.reconcile(store, settings.serving_dir)
        history = History(settings.metadata_file, settings.serving_dir)
        run = history.latest() if name == LAST else history.run(name)
        if run is None:
            raise no_run(settings.metadata_file, settings.serving_dir)
        if not run.components:
            raise InputError(f"{settings.root}: no run '{name}'; `maskline show` names the last one")
        model = releasable(settings, run)
        if problem := manifest.unlike(model, run.checked_files):
            raise InputError(problem)
        return releases.make_live(
            store, model, settings.serving_dir,
            why=" ".join(reason.split()), model_id=run.candidate_id, override=True,
        )  # fmt: skip
