"""Finds a run that a person names, and the files beside its record."""

from maskline.pipeline.registry.history import History
from maskline.pipeline.registry.record import Run
from maskline.pipeline.registry.store import RunStore, must_exist, no_run
from maskline.pipeline.settings.sections import Settings
from maskline.transform.answers import AnswerSummary
from maskline.transform.errors import InputError
from maskline.transform.names import ANSWERS_FILE

LAST = "last"


def find_run(settings: Settings, name: str | None = None, store: RunStore | None = None) -> tuple[Run, bool]:
    """A run by its name, by the beginning of its name, or the last one; and whether it is the last one.

    Args:
      settings: say where things lie.
      name: of the run, or its beginning.
      store: that of a cluster, in place of the root's own.

    Raises:
      InputError: there is no such run, or several begin like that.
    """
    if store is None:
        must_exist(settings.metadata_file, settings.serving_dir)
    history = History(settings.metadata_file, settings.serving_dir, read_only=True, store=store)
    last = history.latest()
    if last is None and store is not None:
        raise InputError("the cluster's metadata store holds no run; `maskline kubeflow submit` starts one")
    if last is None:
        raise no_run(settings.metadata_file, settings.serving_dir)
    if name in (None, LAST, last.run):
        return last, True
    names = [other for other in history.names() if other.startswith(str(name))]
    exact = [other for other in names if other == name] or names
    if len(exact) != 1:
        many = f"several runs begin with '{name}': {', '.join(exact[:5])}"
        none = f"no run '{name}'; the last one is {last.run}"
        raise InputError(f"{settings.root}: {many if exact else none}")
    return history.run(exact[0]), exact[0] == last.run


def read_answers(run: Run) -> AnswerSummary:
    """What the training noted of its rows.

    Raises:
      InputError: the run trained no model, or the file is gone.
    """
    file = run.training / ANSWERS_FILE if run.training else None
    if file is None or not file.exists():
        raise InputError(f"run {run.run}: no answers are recorded; it trained no model, or they were removed")
    return AnswerSummary.model_validate_json(file.read_text(encoding="utf-8"))


def checkpointed_epoch(settings: Settings) -> int:
    """The last whole epoch of the training that was stopped last; 0 where none left a checkpoint."""
    found = [path for path in settings.root.glob("checkpoints/*/*") if path.name.isdigit()]
    return int(max(found, key=lambda path: path.stat().st_mtime).name) if found else 0
