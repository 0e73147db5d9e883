"""The metadata store's record of what went live. The directory of versions itself is `serving`."""

import json

from tfx.dsl.io import fileio
from tfx.types.artifact import Artifact, Property, PropertyType
from tfx.utils import path_utils

from maskline.transform.features import IDENTITY_FILE


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
    """The identity of a Model artifact, which may lie in a bucket; empty where another program made it."""
    file = f"{path_utils.serving_model_path(model.uri)}/{IDENTITY_FILE}"
    if not fileio.exists(file):
        return ""
    with fileio.open(file) as opened:
        return json.loads(opened.read())["identity"]
