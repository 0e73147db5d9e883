"""What is live, and what is wrong with it: the question that the release gate asks before it compares."""

from collections.abc import Callable
from pathlib import Path

from maskline.components.pusher import audit, proof
from maskline.components.pusher.contents import Contents, look
from maskline.transform.names import MANIFEST_FILE


def problem(folder: Path, contents: Contents, *, recorded: int = 0) -> str:
    """Why the model that should be live cannot be served and compared with.

    Args:
      folder: the serving directory.
      contents: what lies in it.
      recorded: the last version that the metadata store has a record of; 0 for none.

    Returns:
      one line that names the file, or an empty string where the live model is as it was released or none
      was ever released.
    """
    newest = contents.live.number if contents.live else 0
    damaged = [d for d in contents.damaged if d.number > newest]
    if damaged:
        return f"{damaged[-1].path}: the live version {damaged[-1].number} is damaged: {damaged[-1].why}"
    for foreign in contents.foreign:
        if foreign.number is not None and foreign.number > newest:
            return f"{foreign.path}: a server takes it for the live version, but {foreign.why}"
    last = max([recorded, *(change.to for change in audit.changes(folder))], default=0)
    if last > newest:
        return f"{folder / str(last)}: version {last} was live, and is not there any more"
    return ""


def comparable(folder: Path, *, recorded: int, prove: Callable[[Path], str] = proof.problem) -> str:
    """Checks every file of what is live, as a run does before it compares its candidate with it.

    A version without a manifest, which an earlier release of maskline published, is loaded and asked.

    Args:
      folder: the serving directory.
      recorded: see `problem`.
      prove: says why a version cannot be served, or nothing.

    Returns:
      why the live model cannot be compared with, or an empty string.
    """
    contents = look(folder, thorough=True)
    found = problem(folder, contents, recorded=recorded)
    live = contents.live
    if not found and live and not (live.path / MANIFEST_FILE).exists():
        why = prove(live.path)
        found = f"{live.path}: the live version {live.number} cannot be served: {why}" if why else ""
    return found


def way_on(contents: Contents, *, local: bool = True) -> str:
    """What to do about a live model that has a problem; `local` where runs are started by `maskline run`."""
    good = contents.live
    back = "put it back from a backup"
    if good:
        command = "maskline rollback" if local else "maskline rollback --metadata URL"
        back += f", or `{command}` makes version {good.number} live again"
    accept = "; `maskline run --accept-unknown-live` releases without a comparison"
    return back + accept if local else back
