"""The model card's sections about rows: how many of each kind, and which the model gets wrong."""

from collections.abc import Iterator, Mapping
from itertools import accumulate

from maskline.components.evaluation.report import CANDIDATE, OVERALL, EvaluationReport
from maskline.transform.answers import AnswerSummary

_LABELS, _SLICES, _CONFUSIONS, _WRONG_ROWS = 30, 5, 10, 10  # the most that the card lists


def labels(answers: AnswerSummary) -> Iterator[str]:
    """Makes a table of the rows of each label, by split."""
    splits = list(answers.labels)
    counts = list(answers.labels.values())
    frequent = sorted(
        {label for split in counts for label in split}, key=lambda name: -sum(s.get(name, 0) for s in counts)
    )
    yield from _header("answer", *(f"{split} rows" for split in splits))
    for label in frequent[:_LABELS]:
        yield _row(f"`{label}`", *(f"{split.get(label, 0):,}" for split in counts))
    if len(frequent) > _LABELS:
        rest = [sum(split.get(label, 0) for label in frequent[_LABELS:]) for split in counts]
        yield _row(f"{len(frequent) - _LABELS:,} more", *(f"{count:,}" for count in rest))


def lengths(answers: AnswerSummary) -> str:
    """Describes the lengths of the joined rows in a sentence."""
    told = []
    for split, counts in answers.lengths.items():
        if counts:
            middle, high = (_quantile(counts, share) for share in (0.5, 0.95))
            told.append(
                f"{split} rows have {min(counts)} to {max(counts)} symbols, half of them at most {middle} "
                f"and 95% of them at most {high}"
            )
    return f"Lengths: {'; '.join(told)}."


def worst_slices(report: EvaluationReport) -> Iterator[str]:
    """Names the slices with the lowest accuracy."""
    parts = sorted(
        (part for part in report.slices if part.name != OVERALL),
        key=lambda part: part.metrics[CANDIDATE]["accuracy"],
    )
    if not parts:
        yield "No slices are defined."
        return
    worst = (f"`{p.name}` {p.metrics[CANDIDATE]['accuracy']:.1%} of {p.rows:,} rows" for p in parts[:_SLICES])
    yield f"The slices with the lowest accuracy: {', '.join(worst)}."


def wrong(answers: AnswerSummary) -> Iterator[str]:
    """Makes tables of the most frequent confusions and of the most confident wrong answers."""
    if not answers.wrong:
        yield f"Its answers to all {answers.rows:,} held-out rows are right."
        return
    yield f"Its answers to {answers.wrong:,} of {answers.rows:,} held-out rows are wrong."
    yield ""
    yield "The most frequent confusions:"
    yield ""
    yield from _header("right answer", "its answer", "rows")
    for confusion in answers.confusions[:_CONFUSIONS]:
        yield _row(f"`{confusion.label}`", f"`{confusion.answer}`", f"{confusion.rows:,}")
    yield ""
    yield "The most confident wrong answers (in some of these rows the label itself may be wrong):"
    yield ""
    yield from _header("row", "label", "its answer", "probability")
    for row in answers.wrong_rows[:_WRONG_ROWS]:
        yield _row(f"`{row.text}`", f"`{row.label}`", f"`{row.answer}`", f"{row.probability:.3f}")


def _quantile(counts: Mapping[int, int], share: float) -> int:
    """Returns the smallest length that at least this share of the rows does not exceed."""
    needed = share * sum(counts.values())
    ordered = sorted(counts)
    return next(
        n for n, rows in zip(ordered, accumulate(counts[n] for n in ordered), strict=True) if rows >= needed
    )


def _header(*titles: str) -> Iterator[str]:
    yield _row(*titles)
    yield _row(*["---"] * len(titles))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
