"""What an evaluation measured: the form of `metrics.json`. Imports neither TFX nor TensorFlow."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from maskline.components.evaluation.paired import Pairs
from maskline.transform.names import EVAL, EVALUATION_FILE, TEST
from maskline.transform.versioned import Versioned

CANDIDATE = "candidate"
# The model that is live, and the most accurate of all that were released.
LIVE, BEST = "live", "best"
# What a model has to beat: the most frequent answer, and a linear model on counts of ids.
MAJORITY, LINEAR = "majority", "linear"
BASELINES = (MAJORITY, LINEAR)
OVERALL = ""
LOWER_IS_BETTER = ("loss", "calibration_error", "edit_distance")


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClassCounts(_Form):
    """Rows whose label is an answer, rows that a model gave this answer, and rows where both are so."""

    rows: int
    answered: int
    right: int

    @property
    def recall(self) -> float:
        """Share of the rows with this label that got this answer; 0 without rows."""
        return self.right / self.rows if self.rows else 0.0

    @property
    def precision(self) -> float:
        """Share of these answers that are right; 0 where it was never given."""
        return self.right / self.answered if self.answered else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.right / (self.rows + self.answered) if self.rows + self.answered else 0.0


class AtThreshold(_Form):
    """The confusion matrix of two answers, where the positive one is given from a probability on."""

    threshold: float
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int


class LossDifference(_Form):
    """Mean of the candidate's loss less another model's on the same rows, and its standard error, in nats."""

    mean: float
    standard_error: float


class Unread(_Form):
    """Rows that count as wrong for a model that was trained on another vocabulary, length or features.

    `rows` it cannot read; of the others, it does not know the label of `labels`.
    """

    rows: int
    labels: int

    def __str__(self) -> str:
        return (
            f"it cannot read {self.rows:,} rows and does not know the label of {self.labels:,}, "
            "which count as wrong for it"
        )


class ReliabilityBin(_Form):
    """Rows whose answer's probability is from `low` to `high`: its mean, and the share that is right."""

    low: float
    high: float
    rows: int
    probability: float
    right: float


class ConfusionCell(_Form):
    """Rows with a label that got an answer; cells without rows are left out."""

    label: str
    answer: str
    rows: int


class SliceReport(_Form):
    """One slice, `operator=+` say; all rows are the slice `""`.

    By model: `metrics`, `standard_errors`, `classes` (by answer) and `at_threshold`. By the model that the
    candidate is compared with: `pairs`, `answers` (pairs of the rows with each label) and `losses`. `unread`
    is given for a model that was trained on another vocabulary, length or features.
    """

    name: str
    rows: int
    metrics: dict[str, dict[str, float]]
    standard_errors: dict[str, dict[str, float]] = {}
    pairs: dict[str, Pairs] = {}
    answers: dict[str, dict[str, Pairs]] = {}
    losses: dict[str, LossDifference] = {}
    unread: dict[str, Unread] = {}
    classes: dict[str, dict[str, ClassCounts]] = {}
    at_threshold: dict[str, AtThreshold] = {}


class EvaluationReport(Versioned, _Form):
    """All slices, that of all rows first.

    `positive` is the rarer of two answers, empty where there are more. `reliability` has the bins of the
    calibration error that hold rows, by model; `confusion` the candidate's confusion matrix. `split` is the
    part that the rows are from: `test`, or `eval` where there are too few for both, and in reports of earlier
    versions. `other_task` has the kind of task of the models that were not asked, because they answer other
    questions, by model.
    """

    slices: tuple[SliceReport, ...]
    positive: str = ""
    reliability: dict[str, tuple[ReliabilityBin, ...]] = {}
    confusion: tuple[ConfusionCell, ...] = ()
    split: str = EVAL
    other_task: dict[str, str] = {}

    @property
    def chose_nothing(self) -> bool:
        """Whether these rows had no part in the training: they chose no epoch and did not end it."""
        return self.split == TEST

    @property
    def overall(self) -> SliceReport:
        """All rows."""
        return self.slices[0]

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """Overall metrics by model, and `change` from the live model to the candidate."""
        models = dict(self.overall.metrics)
        if LIVE in models:
            candidate, live = models[CANDIDATE], models[LIVE]
            models["change"] = {name: candidate[name] - live[name] for name in candidate if name in live}
        return models


def read_evaluation(folder: Path) -> EvaluationReport:
    """Reads the report in an evaluation's folder."""
    return EvaluationReport.model_validate_json((folder / EVALUATION_FILE).read_text(encoding="utf-8"))
