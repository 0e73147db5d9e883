"""Our artifact types. Their names and the keys of their properties stand in `transform.names`."""

import json

from tfx.dsl.io import fileio
from tfx.types.artifact import Artifact, Property, PropertyType
from tfx.utils import path_utils

from maskline.components.verdict import Verdict
from maskline.transform.names import (
    IDENTITY,
    IDENTITY_FILE,
    MODEL_ID,
    PASSED,
    SPAN,
    VERDICT_FILE,
    VERSION,
    ArtifactType,
)


class VerdictArtifact(Artifact):
    """A gate's verdict: `verdict.json`, and `passed` (1 or 0) for conditions in the pipeline."""

    TYPE_NAME = ArtifactType.VERDICT
    PROPERTIES = {PASSED: Property(type=PropertyType.INT)}

    def write(self, verdict: Verdict) -> None:
        """Writes the verdict into the artifact's folder and sets `passed`."""
        fileio.makedirs(self.uri)
        with fileio.open(f"{self.uri}/{VERDICT_FILE}", "w") as file:
            file.write(verdict.model_dump_json(indent=1))
        self.passed = int(verdict.passed)


class QuarantineArtifact(Artifact):
    """Rows that were set aside: shards `rows-*.tfrecord.gz`, and `report.json` that counts them.

    Properties: the `span` and `version` of the ingest they come from, as on its Examples.
    """

    TYPE_NAME = ArtifactType.QUARANTINE
    PROPERTIES = {
        SPAN: Property(type=PropertyType.INT),
        VERSION: Property(type=PropertyType.INT),
    }


class TrainingHistory(Artifact):
    """`history.json`: rows, parameters, identity, and the losses of each epoch."""

    TYPE_NAME = ArtifactType.TRAINING_HISTORY


class GoldenRows(Artifact):
    """`golden.tfrecord.gz`: raw eval examples with the logits of the model before it was exported.

    Records are tf.Examples with `example` (the serialized raw tf.Example) and `logits` (floats).
    """

    TYPE_NAME = ArtifactType.GOLDEN_ROWS


class Release(Artifact):
    """A record that a version went live. The newest one names the live version.

    Properties: `version` of the serving directory, `identity` of the model (what it was trained
    from), `model_id` of its Model artifact.
    """

    TYPE_NAME = ArtifactType.RELEASE
    PROPERTIES = {
        VERSION: Property(type=PropertyType.INT),
        IDENTITY: Property(type=PropertyType.STRING),
        MODEL_ID: Property(type=PropertyType.INT),
    }


def candidate_identity(model: Artifact) -> str:
    """The identity of a Model artifact, which may lie in a bucket; empty where another program made it."""
    file = f"{path_utils.serving_model_path(model.uri)}/{IDENTITY_FILE}"
    if not fileio.exists(file):
        return ""
    with fileio.open(file) as opened:
        return json.loads(opened.read())["identity"]
