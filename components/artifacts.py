"""Artifact types of ours, beside those that live with the one component that makes them."""

from tfx.dsl.io import fileio
from tfx.types.artifact import Artifact, Property, PropertyType

from maskline.components.verdict import FILE, Verdict

# Custom property of the Examples that the ingest made, and of no others: rows read, good and bad.
ROWS_READ = "rows_read"


class VerdictArtifact(Artifact):
    """A gate's verdict: `verdict.json`, and `passed` (1 or 0) for conditions in the pipeline."""

    TYPE_NAME = "MasklineVerdict"
    PROPERTIES = {"passed": Property(type=PropertyType.INT)}

    def write(self, verdict: Verdict) -> None:
        """Writes the verdict into the artifact's folder and sets `passed`."""
        fileio.makedirs(self.uri)
        with fileio.open(f"{self.uri}/{FILE}", "w") as file:
            file.write(verdict.model_dump_json(indent=1))
        self.passed = int(verdict.passed)


class QuarantineArtifact(Artifact):
    """Rows that were set aside: shards `rows-*.tfrecord.gz`, and `report.json` that counts them.

    Properties: the `span` and `version` of the ingest they come from, as on its Examples.
    """

    TYPE_NAME = "MasklineQuarantine"
    PROPERTIES = {
        "span": Property(type=PropertyType.INT),
        "version": Property(type=PropertyType.INT),
    }
