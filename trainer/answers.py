"""Applies the trained model to the rows that decide: counts, confusions, and the rows that it gets wrong."""

import heapq
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from maskline.trainer.dataset import Rows
from maskline.transform import whole
from maskline.transform.answers import AnswerSummary, Confusion, WrongRow
from maskline.transform.features import SequenceSpec
from maskline.transform.names import EVAL, TEST

_AT_ONCE = 1024  # rows in memory at a time
_CONFUSIONS, _WRONG_ROWS, _RIGHT_ROWS, _LABELS = 50, 200, 10, 1000  # numbers to keep


def note_answers(model: keras.Model, splits: Mapping[str, Rows], spec: SequenceSpec) -> AnswerSummary:
    """Counts the rows of each split, and collects the deciding rows that the model gets wrong.

    Args:
      model: the trained model, from ids [rows, length] to logits [rows, answers], or
        [rows, positions, answers].
      splits: rows by split, in the order that is shown; `test` decides, and where there is none, `eval`.
      spec: symbols and padding.
    """
    asked = TEST if TEST in splits else EVAL
    held_out = splits[asked]
    name_of = _name(spec)
    confused: Counter[tuple[str, str]] = Counter()
    wrong: list[tuple[float, int, str]] = []  # a heap: probability, the negative of the row's number, answer
    right: list[WrongRow] = []
    for start in range(0, len(held_out.y), _AT_ONCE):
        labels = held_out.y[start : start + _AT_ONCE]
        x = held_out.x[start : start + _AT_ONCE]
        answers, probability, is_right = _answered(_probabilities(model, held_out, start), labels, spec)
        for index in np.flatnonzero(~is_right):
            answer = name_of(answers[index])
            confused[name_of(labels[index]), answer] += 1
            entry = (float(probability[index]), -(start + int(index)), answer)
            (heapq.heappush if len(wrong) < _WRONG_ROWS else heapq.heappushpop)(wrong, entry)
        for index in np.flatnonzero(is_right)[: _RIGHT_ROWS - len(right)]:
            name = name_of(answers[index])
            text = spec.text_of(x[index])
            right.append(WrongRow(text=text, label=name, answer=name, probability=float(probability[index])))
    return AnswerSummary(
        labels={name: _labels(rows, spec) for name, rows in splits.items()},
        lengths={name: _lengths(rows, spec) for name, rows in splits.items()},
        split=asked,
        rows=len(held_out.y),
        wrong=confused.total(),
        confusions=tuple(
            Confusion(label=label, answer=answer, rows=rows)
            for (label, answer), rows in sorted(confused.items(), key=lambda item: (-item[1], item[0]))
        )[:_CONFUSIONS],
        wrong_rows=tuple(
            WrongRow(
                text=spec.text_of(held_out.x[-row]),
                label=name_of(held_out.y[-row]),
                answer=answer,
                probability=probability,
            )
            for probability, row, answer in sorted(wrong, reverse=True)
        ),
        right_rows=tuple(right),
    )


def _probabilities(model: keras.Model, rows: Rows, start: int) -> NDArray[np.float64]:
    logits = model(rows.inputs(slice(start, start + _AT_ONCE)), training=False)
    return whole.probabilities(keras.ops.convert_to_numpy(logits).astype(np.float64))


def _answered(
    probability: NDArray[np.float64], labels: NDArray[np.integer], spec: SequenceSpec
) -> tuple[NDArray[np.integer], NDArray[np.float64], NDArray[np.bool_]]:
    """Answers [rows] or [rows, positions], their probabilities [rows], and whether they are right [rows]."""
    if spec.task.kind == "whole":
        answers, of_answer = whole.answered(probability, spec.pad_id)
        return answers, of_answer, whole.same(labels, answers, spec.pad_id)
    if spec.no_label is not None:
        real = labels != spec.no_label
        answers = np.where(real, probability.argmax(-1), spec.no_label)
        of_answer = np.where(real, probability.max(-1), 1.0).prod(-1)
        return answers, of_answer, np.asarray((answers == labels).all(-1))
    answers = probability.argmax(-1)
    if spec.task.second_from is not None:
        answers = (probability[:, 1] >= spec.task.second_from).astype(answers.dtype)
    return answers, np.take_along_axis(probability, answers[:, None], 1)[:, 0], answers == labels


def _name(spec: SequenceSpec) -> Callable[[Any], str]:
    """Names an answer: its symbols up to its end, its labels in a line, or the one that it is."""
    if spec.task.kind == "whole":
        return lambda ids: spec.text_of(ids[: int(whole.lengths(ids[None], spec.pad_id)[0])].tolist())
    if spec.no_label is not None:
        return lambda ids: " ".join(spec.answers[i] for i in ids[ids != spec.no_label].tolist())
    return spec.answers.__getitem__


def _labels(rows: Rows, spec: SequenceSpec) -> dict[str, int]:
    """Rows by label, the most frequent first; of whole labels, which may be many, the first thousand."""
    if spec.task.kind == "whole":
        labels, count = np.unique(np.asarray(rows.y), axis=0, return_counts=True)
        name_of = _name(spec)
        order = np.argsort(-count, kind="stable")[:_LABELS]
        return {name_of(labels[i]): int(count[i]) for i in order}
    counts = np.zeros(len(spec.answers) + 1, np.int64)
    for start in range(0, len(rows.y), _AT_ONCE):
        counts += np.bincount(np.ravel(rows.y[start : start + _AT_ONCE]), minlength=len(counts))
    found = counts[:-1]  # what stands where no label is, comes last
    return {spec.answers[i]: int(found[i]) for i in np.argsort(-found, kind="stable") if found[i]}


def _lengths(rows: Rows, spec: SequenceSpec) -> dict[int, int]:
    counts: Counter[int] = Counter()
    for start in range(0, len(rows.y), _AT_ONCE):
        counts.update((rows.x[start : start + _AT_ONCE] != spec.pad_id).sum(-1).tolist())
    return dict(sorted(counts.items()))
