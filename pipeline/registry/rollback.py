"""The way back: makes an earlier version live again. It needs the directory and the audit log alone."""

from collections.abc import Callable
from pathlib import Path

from ml_metadata.metadata_store import MetadataStore

from maskline.components.pusher import audit, proof, serving
from maskline.components.pusher.contents import Contents, look
from maskline.components.pusher.serving import Version
from maskline.pipeline.registry import live, releases
from maskline.transform.errors import InputError


def roll_back(
    store: MetadataStore | None,
    folder: Path,
    number: int | None,
    reason: str = "",
    *,
    local: bool = True,
    prove: Callable[[Path], str] = proof.problem,
) -> tuple[Version, int]:
    """Makes an earlier model live again by publishing it under the next number, as a server expects.

    Args:
      store: the metadata store, for writing; hold the root's lock. Without it, the next run records it.
      folder: the serving directory.
      number: the version to go back to; None is the one that was live before the live model first was, or
        the newest good one where the live model is damaged or gone.
      reason: for the audit log.
      local: see `releases.reconcile`.
      prove: says why a version cannot be served, or nothing; by default it is loaded and asked.

    Returns:
      the new version, and the number that it had before.

    Raises:
      InputError: there is no such version, it is the live model, it is damaged or does not answer as it
        did when it was released, or the directory cannot be written. What was live is live.
    """
    if store is None:
        serving.repair(folder)
    else:
        releases.reconcile(store, folder, local=local)
    contents = look(folder, thorough=True)
    earlier = _earlier(folder, contents)
    source = _chosen(folder, contents, earlier, number, prove)
    if why_not := prove(source.path):
        others = [version for version in reversed(earlier) if version.number != source.number]
        raise InputError(
            f"{source.path}: version {source.number} cannot go live: {why_not}; {_next_good(others, prove)}"
        )
    why = f"rolled back to version {source.number}" + (f": {reason}" if reason else "")
    model_id = 0 if store is None else releases.model_of(store, source, folder, local=local)
    return releases.make_live(store, source.path, folder, why=why, model_id=model_id), source.number


def _earlier(folder: Path, contents: Contents) -> list[Version]:
    """The good versions that one may go back to without naming one, oldest first."""
    newest = contents.live
    if newest is None:
        return []
    if live.problem(folder, contents):
        return contents.versions
    own = [c.to for c in audit.changes(folder) if c.identity == newest.identity]
    return [v for v in contents.versions if v.number < min([*own, newest.number])]


def _chosen(
    folder: Path, contents: Contents, earlier: list[Version], number: int | None, prove: Callable[[Path], str]
) -> Version:
    newest = contents.live
    if newest is None:
        what = contents.damaged[-1] if contents.damaged else None
        hint = f"version {what.number} is damaged ({what.why}); put it back from a backup" if what else ""
        raise InputError(
            f"{folder}: there is no version to go back to; {hint or 'no model was released yet'}"
        )
    if number is None:
        if not earlier:
            raise InputError(
                f"{folder}: no version is left from before the live model, version {newest.number}"
            )
        return earlier[-1]
    for damaged in contents.damaged:
        if damaged.number == number:
            raise InputError(
                f"{damaged.path}: version {number} is damaged: {damaged.why}; "
                f"{_next_good(contents.versions[::-1], prove)}"
            )
    found = [v for v in contents.versions if v.number == number]
    if not found:
        raise InputError(
            f"{folder}: no version {number}; there are {', '.join(str(v.number) for v in contents.versions)}"
        )
    if found[0].identity == newest.identity and not live.problem(folder, contents):
        raise InputError(f"{folder}: version {number} is the live model already, as version {newest.number}")
    return found[0]


def _next_good(candidates: list[Version], prove: Callable[[Path], str]) -> str:
    """Names the first version that can be served."""
    for version in candidates:
        if not prove(version.path):
            return f"version {version.number} is good: `maskline rollback {version.number}`"
    return "no other version is good; put one back from a backup"
