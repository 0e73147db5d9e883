"""What an evaluation measured: the form of `metrics.json`. Imports neither TFX nor TensorFlow."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from maskline.components.evaluation.paired import Pairs
from maskline.transform.names import EVALUATION_FILE

CANDIDATE = "candidate"
# The model that is live, and the most accurate of all that were released.
BASELINE, BEST = "baseline", "best"
OVERALL = ""


class ClassCounts(BaseModel):
    """Rows whose label is a class, rows answered with it, and rows where both are so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    answered: int
    right: int


class Unread(BaseModel):
    """Rows that count as wrong for a model that was trained on another vocabulary, length or features.

    `rows` it cannot read; of the others, it does not know the label of `labels`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    labels: int

    def __str__(self) -> str:
        return (
            f"it cannot read {self.rows:,} rows and does not know the label of {self.labels:,}, "
            "which count as wrong for it"
        )


class SliceReport(BaseModel):
    """One slice, `operator=+` say; all rows are the slice `""`.

    `metrics`, `standard_errors` and `classes` by model, `pairs` by the model that the candidate is
    compared with, `unread` by the model that was trained on another vocabulary, length or features.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    rows: int
    metrics: dict[str, dict[str, float]]
    standard_errors: dict[str, dict[str, float]] = {}
    pairs: dict[str, Pairs] = {}
    unread: dict[str, Unread] = {}
    classes: dict[str, dict[str, ClassCounts]] = {}


class Report(BaseModel):
    """All slices, that of all rows first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slices: tuple[SliceReport, ...]

    @property
    def overall(self) -> SliceReport:
        """All rows."""
        return self.slices[0]

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """Overall metrics by model, and `change` from the live model to the candidate."""
        models = dict(self.overall.metrics)
        if BASELINE in models:
            candidate, baseline = models[CANDIDATE], models[BASELINE]
            models["change"] = {name: candidate[name] - baseline[name] for name in candidate}
        return models


def read(folder: Path) -> Report:
    """Reads the report in an evaluation's folder."""
    return Report.model_validate_json((folder / EVALUATION_FILE).read_text(encoding="utf-8"))
