"""How far models that differ by their seed lie apart, and the margins that follow. Pure."""

from collections.abc import Iterator, Sequence
from statistics import mean, stdev

from pydantic import BaseModel

from maskline.components.evaluation.report import CANDIDATE, OVERALL, EvaluationReport
from maskline.transform.errors import InputError

FEWEST = 3  # runs; of two, a standard deviation says next to nothing
# The difference of two models has 1.41 times the standard deviation of one; 95 % of all differences are less
# than 1.645 of its own below zero, and the rest allows for a deviation that is estimated from few seeds.
DEVIATIONS = 3
_COUNT = "example_count"


class Spread(BaseModel):
    """One figure over all runs; `answer` where it is the recall of one, `slice` where it is of one."""

    metric: str
    answer: str = ""
    slice: str = OVERALL
    rows: int
    mean: float
    deviation: float

    def __str__(self) -> str:
        what = f"{self.metric.replace('_', ' ')}"
        if self.answer or self.slice:
            what += f" of {self.answer!r}" if self.answer else f" of {self.slice}"
        return f"{what}: mean {self.mean:.4f}, standard deviation {self.deviation:.4f}"


def spreads(reports: Sequence[EvaluationReport]) -> list[Spread]:
    """Of every metric over all rows, of each answer's recall, and of each slice's accuracy.

    Args:
      reports: of models that were asked the same rows.

    Raises:
      InputError: there are fewer than `FEWEST`, or the rows differ.
    """
    if len(reports) < FEWEST:
        raise InputError(f"{len(reports)} runs were given; at least {FEWEST} with different seeds are needed")
    if len({_rows_of(report) for report in reports}) > 1:
        raise InputError("the runs measured different rows; train them on the same data with the same splits")
    return list(_spreads(reports))


def _rows_of(report: EvaluationReport) -> tuple[tuple[str, int], ...]:
    labels = (
        (f"label {name}", counts.rows) for name, counts in report.overall.classes.get(CANDIDATE, {}).items()
    )
    return (*((part.name, part.rows) for part in report.slices), *(pair for pair in labels if pair[1]))


def _spreads(reports: Sequence[EvaluationReport]) -> Iterator[Spread]:
    first = reports[0].overall
    for metric in first.metrics[CANDIDATE]:
        values = [r.overall.metrics[CANDIDATE][metric] for r in reports]
        if metric != _COUNT:
            yield _spread(values, first.rows, metric=metric)
    for answer, counts in first.classes.get(CANDIDATE, {}).items():
        if counts.rows:
            values = [r.overall.classes[CANDIDATE][answer].recall for r in reports]
            yield _spread(values, counts.rows, metric="recall", answer=answer)
    for place, part in enumerate(reports[0].slices):
        if part.name != OVERALL:
            values = [r.slices[place].metrics[CANDIDATE]["accuracy"] for r in reports]
            yield _spread(values, part.rows, metric="accuracy", slice=part.name)


def _spread(values: Sequence[float], rows: int, **names: str) -> Spread:
    return Spread(**names, rows=rows, mean=mean(values), deviation=stdev(values))


def margins(found: Sequence[Spread], *, min_slice_rows: int) -> dict[str, float]:
    """Settings of the release gate that let a model through which differs by its seed alone, mostly.

    An answer's margin is divided by the share of the rows with other answers, as the gate multiplies by it.
    """
    whole = {spread.metric: spread for spread in found if not spread.answer and not spread.slice}
    rows = whole["accuracy"].rows
    enough = [spread for spread in found if spread.rows >= min_slice_rows]
    answers = [s.deviation / (1 - s.rows / rows) for s in enough if s.answer and s.rows < rows]
    slices = [s.deviation for s in enough if s.slice]
    widest = {
        "margin": whole["accuracy"].deviation,
        "loss_margin": whole["loss"].deviation,
        "answer_margin": max(answers, default=0.0),
        "slice_margin": max(slices, default=0.0),
    }
    return {name: min(1.0, round(DEVIATIONS * value, 4)) for name, value in widest.items() if value}


def lines(found: Sequence[Spread], proposed: dict[str, float], runs: int) -> Iterator[str]:
    """For people: how far apart the models lie, and settings to paste."""
    yield f"{runs} models on the same {found[0].rows:,} rows:"
    yield from (f"  {spread}" for spread in found)
    yield f"Margins of {DEVIATIONS} standard deviations; with smaller ones, another seed may be held back:"
    yield "release_gate:"
    yield from (f"  {name}: {value:.4f}" for name, value in proposed.items())
