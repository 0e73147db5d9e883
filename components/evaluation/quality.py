"""How good a model is in one sentence, against every model that answered the same rows. Pure words."""

from maskline.components.evaluation.paired import Pairs, compare
from maskline.components.evaluation.report import BEST, CANDIDATE, LIVE, EvaluationReport

# How models are called in a sentence; others by the name that the evaluation gives them.
MODELS = {
    CANDIDATE: "this model",
    LIVE: "the live model",
    BEST: "the best released model",
    "majority": "always giving the most frequent answer",
    "linear": "a linear model on counts of symbols",
}


def quality(report: EvaluationReport) -> str:
    """How often the model is right, and how that compares with each other model on the same rows."""
    overall = report.overall
    accuracy = overall.metrics[CANDIDATE]["accuracy"]
    compared = [
        f"{_against(overall.pairs.get(name), accuracy, metrics['accuracy'])} {MODELS.get(name, name)} "
        f"({metrics['accuracy']:.1%})"
        for name, metrics in overall.metrics.items()
        if name != CANDIDATE and "accuracy" in metrics
    ]
    both = "" if report.chose_nothing else ", the same that the training chose its epoch by"
    right = f"It is right on {accuracy:.1%} of {overall.rows:,} held-out rows{both}"
    told = f"{right}: {', '.join(compared)}." if compared else f"{right}; no other model was compared."
    for name, kind in report.other_task.items():
        told += f" {MODELS.get(name, name).capitalize()} has another task ({kind}), so it was not compared."
    return told


def _against(pairs: Pairs | None, ours: float, theirs: float) -> str:
    """Better or worse where the rows settle it; without paired answers, as the figures stand."""
    sign = (ours > theirs) - (ours < theirs) if pairs is None else compare(pairs, margin=0).sign
    if sign:
        return "better than" if sign > 0 else "worse than"
    return "no clear difference from" if pairs else "equal to"
