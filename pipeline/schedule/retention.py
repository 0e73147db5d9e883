"""What stays on the disk after a scheduled run, by `schedule.keep`. Never the audit log, never what is live.

Only what `maskline gc` would remove goes; here, policy says how much of it.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from ml_metadata.metadata_store import MetadataStore

from maskline.components.pusher import audit
from maskline.components.pusher.contents import Version, versions
from maskline.pipeline.local import lock
from maskline.pipeline.registry import compaction, garbage
from maskline.pipeline.registry.garbage import Garbage
from maskline.pipeline.registry.record import OF_SPAN
from maskline.pipeline.registry.store import connect, settle
from maskline.pipeline.schedule import ledger
from maskline.pipeline.schedule.disk import GIB, size
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError
from maskline.transform.names import RUN_CONTEXT


class Pruned(NamedTuple):
    """What went, and the size of the root before and after, in bytes."""

    garbage: Garbage
    before: int
    after: int

    def __str__(self) -> str:
        return f"removed {self.garbage}; the root takes {self.after / 1e6:,.1f} MB"


def prune(settings: Settings, now: datetime) -> Pruned | None:
    """Removes what `schedule.keep` does not ask for; None where there is no run yet.

    Raises:
      InputError: the live version is damaged, or it alone needs more than `schedule.keep.gib`.
      BusyError: another process works on the root.
      MachineError, OSError, sqlite3.Error: the machine refused.
    """
    if not settings.metadata_file.exists():
        return None
    with lock.hold(settings.root):
        store = connect(settings.metadata_file)
        settle(store, settings.root)
        before = size(settings.root)
        found, runs = _chosen(store, settings, now, before)
        kept = [run.name for run in garbage.kept_runs(store, settings, _staying(settings, found), last=runs)]
        garbage.remove(store, settings, found)
        del store  # SQLite compacts a file that nobody else has open
        compaction.forget(settings.metadata_file, kept)
    ledger.prune(settings.root, now - timedelta(days=settings.schedule.keep.days))
    after = size(settings.root)
    bound = int(settings.schedule.keep.gib * GIB)
    if after > bound:
        raise _too_small(settings, after)
    return Pruned(found, before, after)


def check(settings: Settings) -> None:
    """Refuses a bound that the live version alone exceeds, before anything runs.

    Raises:
      InputError: names what is needed.
    """
    if not settings.metadata_file.exists():
        return
    bound = int(settings.schedule.keep.gib * GIB)
    before = size(settings.root)
    if before <= bound:
        return
    with lock.hold(settings.root):
        least = garbage.find(connect(settings.metadata_file), settings, keep=1)
    if before - least.size > bound:
        raise _too_small(settings, before - least.size)


def _too_small(settings: Settings, needed: int) -> InputError:
    return InputError(
        f"schedule.keep.gib: {settings.schedule.keep.gib:g} GiB are less than the {needed / GIB:.3g} GiB "
        f"that the live version and the last run need in {settings.root}; set it higher"
    )


def _chosen(store: MetadataStore, settings: Settings, now: datetime, before: int) -> tuple[Garbage, int]:
    """What goes, and how many of the last runs stay: as few as the bound of the size needs."""
    keep = settings.schedule.keep
    oldest = now - timedelta(days=keep.days)
    young = {change.to for change in audit.changes(settings.serving_dir) if change.time >= oldest}
    there = [version.number for version in versions(settings.serving_dir)]
    number = max(1, min(keep.versions, len([one for one in there if one in young])))
    contexts = [run for run in store.get_contexts_by_type(RUN_CONTEXT) if OF_SPAN not in run.name]
    recent = [run for run in contexts if run.create_time_since_epoch / 1000 >= oldest.timestamp()]
    runs = max(1, min(keep.runs, len(recent)))
    while True:
        found = garbage.find(store, settings, keep=number, keep_runs=runs)
        if before - found.size <= keep.gib * GIB or (number, runs) == (1, 1):
            return found, runs
        if runs > 1:
            runs //= 2
        else:
            number = max(1, number // 2)


def _staying(settings: Settings, found: Garbage) -> list[Version]:
    gone = set(found.versions)
    return [version for version in versions(settings.serving_dir) if version.number not in gone]
