"""What is live: the Release artifact, and the versioned directory that a model server reads."""

import json
import shutil
from pathlib import Path
from typing import NamedTuple

from tfx.types.artifact import Artifact, Property, PropertyType
from tfx.utils import path_utils

from transform.features import IDENTITY_FILE


class Release(Artifact):
    """A record that a version went live. The newest one names the live version.

    Properties: `version` of the serving directory, `identity` of the model (what it was trained
    from), `model_id` of its Model artifact.
    """

    TYPE_NAME = "MasklineRelease"
    PROPERTIES = {
        "version": Property(type=PropertyType.INT),
        "identity": Property(type=PropertyType.STRING),
        "model_id": Property(type=PropertyType.INT),
    }


class Version(NamedTuple):
    """One version in the serving directory."""

    number: int
    path: Path
    identity: str


def versions(folder: Path) -> list[Version]:
    """The complete versions in a serving directory, oldest first."""
    numbers = sorted(int(path.name) for path in folder.glob("[0-9]*") if path.name.isdigit())
    return [Version(n, folder / str(n), identity_of(folder / str(n))) for n in numbers]


def identity_of(saved_model: Path) -> str:
    """The identity that a SavedModel carries; empty where another program made it."""
    try:
        return json.loads((saved_model / IDENTITY_FILE).read_text())["identity"]
    except FileNotFoundError:
        return ""


def candidate_identity(model: Artifact) -> str:
    """The identity of a Model artifact."""
    return identity_of(Path(path_utils.serving_model_path(model.uri)))


def publish(saved_model: Path, folder: Path) -> Version:
    """Copies a SavedModel into the serving directory under the next number.

    It is copied under a name that no server takes for a version, then renamed in one step, so a server
    that polls the directory never sees half a model.

    Args:
      saved_model: the exported model.
      folder: the serving directory; made where it is missing.

    Returns:
      the new version.
    """
    folder.mkdir(parents=True, exist_ok=True)
    incoming = folder / "incoming"
    shutil.rmtree(incoming, ignore_errors=True)  # left by a run that was killed
    shutil.copytree(saved_model, incoming)
    number = max([version.number for version in versions(folder)], default=0) + 1
    incoming.rename(folder / str(number))
    return Version(number, folder / str(number), identity_of(folder / str(number)))
