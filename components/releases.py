"""The metadata store's record of what went live. The directory of versions itself is `serving`."""

from pathlib import Path

from tfx.types.artifact import Artifact, Property, PropertyType
from tfx.utils import path_utils

from components.serving import identity_of


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


def candidate_identity(model: Artifact) -> str:
    """The identity of a Model artifact."""
    return identity_of(Path(path_utils.serving_model_path(model.uri)))
