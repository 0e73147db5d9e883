"""Which files an artifact must have to be of any use. No TFX."""

from fnmatch import fnmatch
from pathlib import Path

from pydantic_core import from_json

from maskline.pipeline.registry.inventory import Files, changed
from maskline.transform.names import (
    EVALUATION_FILE,
    GOLDEN_ROWS_FILE,
    HISTORY_FILE,
    IDENTITY_FILE,
    QUARANTINE_REPORT_FILE,
    VERDICT_FILE,
    ArtifactType,
)

# Patterns by artifact type; each must match at least one file that is not empty.
NEEDED = {
    ArtifactType.EXAMPLES: ("Split-*/*",),
    ArtifactType.STATISTICS: ("Split-*/FeatureStats.pb",),
    ArtifactType.MODEL: ("Format-Serving/saved_model.pb", f"Format-Serving/{IDENTITY_FILE}"),
    ArtifactType.EVALUATION: (EVALUATION_FILE,),
    ArtifactType.VERDICT: (VERDICT_FILE,),
    ArtifactType.QUARANTINE: (QUARANTINE_REPORT_FILE,),
    ArtifactType.TRAINING_HISTORY: (HISTORY_FILE,),
    ArtifactType.GOLDEN_ROWS: (GOLDEN_ROWS_FILE,),
    "Schema": ("schema.pbtxt",),
    "TransformGraph": ("transform_fn/saved_model.pb", "transformed_metadata/schema.pbtxt"),
}
# Records whose properties say all; a release's folder is the serving directory, which is judged elsewhere.
_WITHOUT_FILES = (ArtifactType.RELEASE,)


def missing(kind: str, folder: Path, noted: Files | None = None) -> str:
    """What an artifact lacks.

    Args:
      kind: the name of its type.
      folder: where its files lie.
      noted: which files it had when its run ended, where that is known.

    Returns:
      the folder, file or pattern that is gone, empty, of another size or, where it is JSON, cannot be read;
      or nothing.
    """
    if kind in _WITHOUT_FILES:
        return ""
    if not folder.is_dir():
        return str(folder)
    if noted and (lost := changed(folder, noted)):
        return lost
    for pattern in NEEDED.get(kind, ()):
        # A run looks at the artifacts of all earlier ones: files that were noted are not searched for again.
        found = [folder / name for name, size in (noted or {}).items() if size and fnmatch(name, pattern)]
        found = found or [path for path in folder.glob(pattern) if path.is_file() and path.stat().st_size]
        if not found:
            return str(folder / pattern)
        for path in found:
            if path.suffix == ".json" and not _is_json(path):
                return str(path)
    return ""


def _is_json(path: Path) -> bool:
    try:
        from_json(path.read_bytes())  # a run reads a thousand of them, and this takes half the time of `json`
    except ValueError:
        return False
    return True
