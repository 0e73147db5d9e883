"""The model card's sections on rows: which data, how many of each kind, and where the model is wrong."""

from collections.abc import Iterator, Mapping
from itertools import accumulate

from maskline.components.evaluation.report import CANDIDATE, OVERALL, EvaluationReport
from maskline.transform.answers import AnswerSummary

_LABELS, _SLICES, _CONFUSIONS, _WRONG_ROWS = 30, 5, 10, 10  # that the card has, at most


def labels(answers: AnswerSummary) -> Iterator[str]:
    """Rows of each answer, by split."""
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
    """Lengths of the joined rows, in a sentence."""
    told = []
    for split, counts in answers.lengths.items():
        if counts:
            middle, high = (_quantile(counts, share) for share in (0.5, 0.95))
            told.append(
                f"{split} rows hold {min(counts)} to {max(counts)} symbols, half of them at most {middle}, "
                f"95% at most {high}"
            )
    return f"Lengths: {'; '.join(told)}."


def worst_slices(report: EvaluationReport) -> Iterator[str]:
    """The slices with the lowest accuracy."""
    parts = sorted(
        (part for part in report.slices if part.name != OVERALL),
        key=lambda part: part.metrics[CANDIDATE]["accuracy"],
    )
    if not parts:
        yield "No slices are defined."
        return
    worst = (f"`{p.name}` {p.metrics[CANDIDATE]['accuracy']:.1%} of {p.rows:,} rows" for p in parts[:_SLICES])
    yield f"Lowest accuracy by slice: {', '.join(worst)}."


def wrong(answers: AnswerSummary) -> Iterator[str]:
    """The most frequent confusions, and the wrong answers that the model is most confident of."""
    if not answers.wrong:
        yield f"It answered all {answers.rows:,} held-out rows right."
        return
    yield f"It answered {answers.wrong:,} of {answers.rows:,} held-out rows wrong."
    yield ""
    yield "The most frequent confusions:"
    yield ""
    yield from _header("right answer", "its answer", "rows")
    for confusion in answers.confusions[:_CONFUSIONS]:
        yield _row(f"`{confusion.label}`", f"`{confusion.answer}`", f"{confusion.rows:,}")
    yield ""
    yield "Wrong answers that it was most confident of; some of these labels may be wrong:"
    yield ""
    yield from _header("row", "label", "its answer", "probability")
    for row in answers.wrong_rows[:_WRONG_ROWS]:
        yield _row(f"`{row.text}`", f"`{row.label}`", f"`{row.answer}`", f"{row.probability:.3f}")


def _quantile(counts: Mapping[int, int], share: float) -> int:
    """The smallest length that at least this share of the rows does not exceed."""
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
