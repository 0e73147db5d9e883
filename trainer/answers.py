"""Applies the trained model to the rows that decide: counts, confusions, and the rows that it gets wrong."""

import heapq
from collections import Counter
from collections.abc import Mapping

import keras
import numpy as np
from numpy.typing import NDArray

from maskline.trainer.dataset import Rows
from maskline.transform.answers import AnswerSummary, Confusion, WrongRow
from maskline.transform.features import SequenceSpec
from maskline.transform.names import EVAL, TEST

_AT_ONCE = 1024  # rows in memory at a time
_CONFUSIONS, _WRONG_ROWS = 50, 200  # numbers to keep


def note_answers(model: keras.Model, splits: Mapping[str, Rows], spec: SequenceSpec) -> AnswerSummary:
    """Counts the rows of each split, and collects the deciding rows that the model gets wrong.

    Args:
      model: the trained model, from ids [rows, length] to logits [rows, ids].
      splits: rows by split, in the order that is shown; `test` decides, and where there is none, `eval`.
      spec: symbols and padding.
    """
    asked = TEST if TEST in splits else EVAL
    held_out = splits[asked]
    confused: Counter[tuple[int, int]] = Counter()
    wrong: list[tuple[float, int, int]] = []  # a heap: probability, the negative of the row's number, answer
    for start in range(0, len(held_out.y), _AT_ONCE):
        labels = held_out.y[start : start + _AT_ONCE]
        probability = _probabilities(model, held_out.x[start : start + _AT_ONCE])
        answers = probability.argmax(-1)
        for index in np.flatnonzero(answers != labels):
            answer = int(answers[index])
            confused[int(labels[index]), answer] += 1
            entry = (float(probability[index, answer]), -(start + int(index)), answer)
            (heapq.heappush if len(wrong) < _WRONG_ROWS else heapq.heappushpop)(wrong, entry)
    symbols = spec.vocabulary
    return AnswerSummary(
        labels={name: _labels(rows, spec) for name, rows in splits.items()},
        lengths={name: _lengths(rows, spec) for name, rows in splits.items()},
        split=asked,
        rows=len(held_out.y),
        wrong=confused.total(),
        confusions=tuple(
            Confusion(label=symbols[label], answer=symbols[answer], rows=rows)
            for (label, answer), rows in sorted(confused.items(), key=lambda item: (-item[1], item[0]))
        )[:_CONFUSIONS],
        wrong_rows=tuple(
            WrongRow(
                text=_text(held_out.x[-row], spec),
                label=symbols[held_out.y[-row]],
                answer=symbols[answer],
                probability=probability,
            )
            for probability, row, answer in sorted(wrong, reverse=True)
        ),
    )


def _probabilities(model: keras.Model, x: NDArray[np.integer]) -> NDArray[np.float64]:
    logits = keras.ops.convert_to_numpy(model(x.astype("int32"), training=False)).astype(np.float64)
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _labels(rows: Rows, spec: SequenceSpec) -> dict[str, int]:
    counts = np.bincount(rows.y, minlength=spec.size) if len(rows.y) else np.zeros(spec.size, int)
    return {spec.vocabulary[i]: int(counts[i]) for i in np.argsort(-counts, kind="stable") if counts[i]}


def _lengths(rows: Rows, spec: SequenceSpec) -> dict[int, int]:
    counts: Counter[int] = Counter()
    for start in range(0, len(rows.y), _AT_ONCE):
        counts.update((rows.x[start : start + _AT_ONCE] != spec.pad_id).sum(-1).tolist())
    return dict(sorted(counts.items()))


def _text(row: NDArray[np.integer], spec: SequenceSpec) -> str:
    """Returns the row as text that `maskline predict` accepts."""
    between = " " if spec.splits_on_spaces else ""
    return between.join(spec.vocabulary[i] for i in row if i != spec.pad_id)
