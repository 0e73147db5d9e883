"""Looks at a root: what is wrong, and what each command would do about it. Changes nothing."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.components.ingest import spans
from maskline.components.pusher import audit, proof, serving
from maskline.components.pusher.contents import leftovers, look
from maskline.pipeline.local import inputs
from maskline.pipeline.registry import files, garbage, inventory, live, releases, store
from maskline.pipeline.settings.sections import DataSettings, Settings
from maskline.transform.errors import InputError
from maskline.transform.names import AUDIT_FILE, VERSION

_ROOM = 200 << 20  # bytes that a run on the sample data needs with room to spare


class Problem(NamedTuple):
    """One thing that is wrong: where, what, and what to do or what the next command does about it."""

    place: Path
    what: str
    then: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}; {self.then}"


def examine(settings: Settings, *, prove: Callable[[Path], str] = proof.problem) -> list[Problem]:
    """Looks at store, audit log, versions, artifacts, data, leftovers and free space.

    Args:
      settings: says where things lie.
      prove: says why a version cannot be served, or nothing; by default the live one is loaded and asked.
    """
    if not settings.root.is_dir():
        return [Problem(settings.root, "there is no such root", "`maskline run` makes it")]
    records, broken = _store(settings)
    return [
        *broken,
        *_audit_log(settings.serving_dir),
        *_serving(settings.serving_dir, records, prove),
        *_unrecorded(settings, records),
        *_artifacts(settings.root, records),
        *_data(settings.data),
        *_leftovers(settings),
        *_space(settings.root),
    ]


def _store(settings: Settings) -> tuple[MetadataStore | None, list[Problem]]:
    file = settings.metadata_file
    rebuild = "`maskline doctor --repair` rebuilds the releases from what is served"
    if not file.exists():
        return None, [Problem(file, "the metadata store is missing", rebuild)]
    try:
        return store.connect(file, read_only=True), []
    except InputError as error:
        what = str(error).removeprefix(f"{file}: ").split("; ")[0]
        return None, [
            Problem(file, what, f"commands that need it end with status 2; put it back, or {rebuild}")
        ]


def _audit_log(folder: Path) -> Iterator[Problem]:
    for problem in audit.problems(folder):
        place, _, what = problem.partition(": ")
        yield Problem(Path(place), what.split("; ")[0], "the line is skipped; put the log back from a backup")
    if audit.is_torn(folder):
        yield Problem(
            folder / AUDIT_FILE, "the last line was not written to its end", "the next run cuts it off"
        )
    for change in serving.unlogged(folder):
        yield Problem(
            folder / str(change.to), f"version {change.to} is not in the audit log", "the next run adds it"
        )


def _serving(folder: Path, records: MetadataStore | None, prove: Callable[[Path], str]) -> Iterator[Problem]:
    contents = look(folder, thorough=True)
    problem = live.problem(folder, contents, recorded=_recorded(records))
    if problem:
        place, _, what = problem.partition(": ")
        yield Problem(Path(place), what, f"nothing is released until then: {live.way_on(contents)}")
    for damaged in contents.damaged:
        if not problem.startswith(f"{damaged.path}: "):
            yield Problem(
                damaged.path,
                f"version {damaged.number} is damaged: {damaged.why}",
                "`maskline rollback` refuses it; put it back from a backup",
            )
    for foreign in contents.foreign:
        if not problem.startswith(f"{foreign.path}: "):
            yield Problem(foreign.path, f"is no released version: {foreign.why}", "every command ignores it")
    if contents.live and not problem and (why := prove(contents.live.path)):
        yield Problem(contents.live.path, f"the live version cannot be served: {why}", live.way_on(contents))


def _recorded(records: MetadataStore | None) -> int:
    known = releases.releases(records) if records else []
    return max((release.properties[VERSION].int_value for release in known), default=0)


def _unrecorded(settings: Settings, records: MetadataStore | None) -> Iterator[Problem]:
    """A version that the store does not know."""
    if records is None:
        return
    known = {release.properties[VERSION].int_value for release in releases.releases(records)}
    for version in serving.versions(settings.serving_dir):
        if version.number not in known:
            what = f"version {version.number} is not recorded in the metadata store"
            yield Problem(version.path, what, "the next run, or `maskline doctor --repair`, records it")


def _artifacts(root: Path, records: MetadataStore | None) -> Iterator[Problem]:
    noted = inventory.noted(records) if records else {}
    for artifact in records.get_artifacts() if records else ():
        if artifact.state == mlmd.Artifact.LIVE and (
            lost := files.missing(artifact.type, root / artifact.uri, noted.get(artifact.id))
        ):
            what = f"of the artifact {artifact.type} this is gone or damaged"
            yield Problem(Path(lost), what, "the next run makes it again where it is needed")


def _data(data: DataSettings) -> Iterator[Problem]:
    """What the next run would read: shards, or spans of which some may be incomplete."""
    refused = "`maskline run` ends with status 2 until then; nothing else needs the data"
    place = ""
    try:
        inputs.find_data(data)
    except InputError as error:
        place, _, what = str(error).partition(": ")
        yield Problem(Path(place), what, refused)
    if spans.is_pattern(data.path):
        with suppress(InputError):  # told above
            found = spans.find(data.path, **data.complete)
            for span, why in found.waiting.items():
                if str(span.folder) == place:
                    continue
                yield Problem(span.folder, f"is not complete: {why}", "the next run leaves it out")
            for stray in found.strays:
                yield Problem(stray, "is beside the spans but is not a span", "every run ignores it")


def _leftovers(settings: Settings) -> Iterator[Problem]:
    then = "`maskline doctor --repair` removes it"
    for path in leftovers(settings.serving_dir):
        yield Problem(path, "a killed command left it", then)
    if (settings.root / garbage.TRASH).is_dir():
        what = "a killed `maskline gc` left it"
        yield Problem(settings.root / garbage.TRASH, what, then)


def _space(root: Path) -> Iterator[Problem]:
    with suppress(OSError):
        free = shutil.disk_usage(root).free
        if free < _ROOM:
            what = f"{free / 1e6:,.0f} MB are free on its disk"
            yield Problem(root, what, "a run may end with status 1; make room, or `maskline gc --keep 1`")
