"""Which files each artifact had when its run ended, so that one that lost some is made again. No TFX.

Noted in the metadata store with the run, not with the artifact: TFX's cache key covers an artifact's
properties. Sizes alone are compared, as a run looks at all artifacts before it begins.
"""

import json
import os
import stat
from pathlib import Path

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.transform.names import RUN_CONTEXT, RUN_FILES, ArtifactType

Files = dict[str, int]  # size in bytes, by path within the artifact
# A release's folder is the serving directory, which changes and is judged elsewhere.
_ELSEWHERE = (ArtifactType.RELEASE,)


def note(store: MetadataStore, root: Path) -> None:
    """Notes what the artifacts of each run hold that was not noted yet; call it when a run has ended."""
    known = noted(store)
    for context in store.get_contexts_by_type(RUN_CONTEXT):
        if RUN_FILES in context.custom_properties:
            continue
        new = {
            artifact.id: _files(root / artifact.uri)
            for artifact in store.get_artifacts_by_context(context.id)
            if artifact.id not in known
            and artifact.state == mlmd.Artifact.LIVE
            and artifact.type not in _ELSEWHERE
        }
        known |= new
        context.custom_properties[RUN_FILES].string_value = json.dumps(new)
        store.put_contexts([context])


def noted(store: MetadataStore) -> dict[int, Files]:
    """What was noted of each artifact, by its id; nothing for those of a run that did not end."""
    found: dict[int, Files] = {}
    for context in store.get_contexts_by_type(RUN_CONTEXT):
        text = context.custom_properties[RUN_FILES].string_value
        found |= {int(number): files for number, files in json.loads(text or "{}").items()}
    return found


def changed(folder: Path, files: Files) -> str:
    """The first file that is gone or has another size, or nothing; files of other programs are ignored."""
    for name, size in files.items():
        file = f"{folder}/{name}"  # a `Path` for each of thousands of files would take longer than the look
        try:
            found = os.stat(file)
        except OSError:
            return file
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            return file
    return ""


def _files(folder: Path) -> Files:
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): path.stat().st_size for path in found}
