"""Repairs of a root what can be repaired without losing anything; `doctor` says what is wrong with it."""

from datetime import datetime

from maskline.components.pusher import audit, serving
from maskline.components.pusher.contents import leftovers
from maskline.pipeline.registry import garbage, releases, store
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError
from maskline.transform.names import AUDIT_FILE, VERSION


def repair_root(settings: Settings) -> list[str]:
    """Repairs what can be repaired without losing anything; hold the root's lock.

    A store that cannot be read is moved aside. The releases that the store does not know are recorded from
    the directory and the audit log, artifacts that are gone are marked, leftovers of killed commands are
    removed. A version is never removed.

    Returns:
      what was done, a line each.

    Raises:
      MachineError: the serving directory cannot be written.
    """
    done = []
    try:
        opened = store.connect(settings.metadata_file)
    except InputError:
        aside = settings.metadata_file.with_name(
            f"metadata.damaged-{datetime.now():%Y-%m-%dT%H-%M-%S}.sqlite"
        )
        settings.metadata_file.rename(aside)
        done.append(f"{settings.metadata_file}: moved to {aside.name}; a new store begins")
        opened = store.connect(settings.metadata_file)
    before = {release.id for release in releases.releases(opened)}
    log = settings.serving_dir / AUDIT_FILE
    if audit.is_torn(settings.serving_dir):
        done.append(f"{log}: its last line was not written to its end and was cut off")
    for change in serving.unlogged(settings.serving_dir):
        done.append(f"{log}: version {change.to} was added, as it was found in the directory")
    for path in leftovers(settings.serving_dir):
        done.append(f"{path}: finished or removed what a killed command left")
    gone = store.settle(opened, settings.root)
    done += [f"{settings.root / artifact.uri}: recorded as gone; a run makes it again" for artifact in gone]
    releases.reconcile(opened, settings.serving_dir)
    done += [
        f"{settings.serving_dir / str(release.properties[VERSION].int_value)}: recorded in the store"
        for release in releases.releases(opened)
        if release.id not in before
    ]
    if (settings.root / garbage.TRASH).is_dir():
        garbage.empty_trash(settings.root)
        done.append(f"{settings.root / garbage.TRASH}: removed what `maskline gc` had begun to remove")
    return done
