"""What models answered to the eval rows, and the figures that follow. Plain numpy; no TFX, no TensorFlow.

Every array has one entry for each row, so that all models, metrics and slices are computed from one pass.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskline.components.evaluation.paired import Pairs
from maskline.components.evaluation.report import (
    CANDIDATE,
    OVERALL,
    AtThreshold,
    ClassCounts,
    ConfusionCell,
    EvaluationReport,
    LossDifference,
    ReliabilityBin,
    SliceReport,
    Unread,
)

BINS = 15  # of the calibration error, as in Guo et al. 2017
_RESAMPLES = 200
# With as many answers as that, the right one is always among three.
_TOP = 3

Floats = NDArray[np.float64]
Numbers = NDArray[np.integer]  # no wider than they need be: there is one for each held-out row


class ModelAnswers(NamedTuple):
    """One model's answers.

    Attributes:
      answer: [rows] the id with the highest logit, unless a threshold decides; of a whole label, 1 where it
        is right, else 0.
      probability: [rows] the softmax's probability of it.
      loss: [rows] cross-entropy in nats, the sum over the row's positions.
      rank: [rows] how many ids have a higher logit than the label.
      positive: [rows] probability of the positive answer; NaN where there are more than two answers.
      unreadable, unknown: [rows] whether the model could not read the row, or does not know its label.
      positions: [rows] how many positions of the label count; 1 where it is one id or class.
      right_positions: [rows] how many of them are right.
      first: [rows] whether the first one is, 1 or 0.
      edits: [rows] edit distance between label and answer.
      classes: [rows, 3, classes] where each id of a row has a label: how many of them have each class, how
        many got it, and how many are right; else [rows, 3, 0].
    """

    answer: Numbers
    probability: Floats
    loss: Floats
    rank: Numbers
    positive: NDArray[np.floating]
    unreadable: NDArray[np.bool_]
    unknown: NDArray[np.bool_]
    positions: Numbers
    right_positions: Numbers
    first: Numbers
    edits: Numbers
    classes: NDArray[np.int32]

    def take(self, rows: NDArray[np.bool_]) -> "ModelAnswers":
        """The answers to some of the rows."""
        if rows.all():
            return self
        return ModelAnswers._make(part[rows] for part in self)


class Answered(NamedTuple):
    """Rows and what each model answered: labels [rows], slices by name [rows] str, answers by model.

    Where labels have several positions, each label is 1, as a right answer is.
    """

    label: Numbers
    slices: dict[str, NDArray[np.str_]]
    models: dict[str, ModelAnswers]


def read_logits(
    logits: Floats,
    label: Numbers,
    positive: int | None,
    *,
    unreadable: NDArray[np.bool_] | None = None,
    unknown: NDArray[np.bool_] | None = None,
    second_from: float | None = None,
) -> ModelAnswers:
    """Turns logits [rows, ids] into answers.

    Args:
      logits: of a model, for each row and id.
      label: [rows] the right ids.
      positive: the id of the positive answer, where there are two.
      unreadable: [rows], and
      unknown: [rows], of a model with another vocabulary.
      second_from: of two ids, the probability from which on the second is the answer; see `TaskSpec`.
    """
    logits = logits.astype(np.float64)
    highest = logits.max(axis=1)
    normalizer = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
    of_label = np.take_along_axis(logits, label[:, None], axis=1)[:, 0]
    none = np.zeros(len(label), np.bool_)
    answer = logits.argmax(axis=1).astype(np.int32)
    if second_from is not None:
        answer = (np.exp(logits[:, 1] - normalizer) >= second_from).astype(np.int32)
    right = (answer == label).astype(np.int8)
    of_answer = np.take_along_axis(logits, answer[:, None], axis=1)[:, 0]
    return ModelAnswers(
        answer=answer,
        probability=np.exp(of_answer - normalizer),
        loss=normalizer - of_label,
        rank=(logits > of_label[:, None]).sum(axis=1, dtype=np.int32),
        positive=np.full(len(label), np.nan, np.float32)
        if positive is None
        else np.exp(logits[:, positive] - normalizer),
        unreadable=none if unreadable is None else unreadable,
        unknown=none if unknown is None else unknown,
        positions=np.ones(len(label), np.int8),
        right_positions=right,
        first=right,
        edits=1 - right,
        classes=no_classes(len(label)),
    )


def no_classes(rows: int) -> NDArray[np.int32]:
    """`ModelAnswers.classes` where the ids of a row have no labels."""
    return np.zeros((rows, 3, 0), np.int32)


def together(parts: list[Answered]) -> Answered:
    """Puts rows behind one another, and empties the list, so that no row is there twice for long."""
    label = np.concatenate([part.label for part in parts])
    slices = {name: np.concatenate([part.slices[name] for part in parts]) for name in parts[0].slices}
    of_models = {
        name: [list(column) for column in zip(*(part.models[name] for part in parts), strict=True)]
        for name in parts[0].models
    }
    parts.clear()
    models = {name: ModelAnswers(*map(_emptied, columns)) for name, columns in of_models.items()}
    return Answered(label, slices, models)


def _emptied(column: list[NDArray[Any]]) -> NDArray[Any]:
    whole = np.concatenate(column)
    column.clear()
    return whole


def measure(
    answered: Answered,
    vocabulary: Sequence[str],
    *,
    positive: int | None,
    threshold: float = 0.5,
    whole: bool = False,
    abstain_below: float = 0.0,
) -> EvaluationReport:
    """Computes every figure of every model and slice.

    Args:
      answered: the rows.
      vocabulary: the symbol or class of each id.
      positive: the rarer of two answers, if training knew two; it does not count where eval has more.
      threshold: probability from which on the positive answer is given, for `at_threshold`.
      whole: whether labels have several positions. Right is then what is right in full, and pairs are not
        counted by answer.
      abstain_below: probability of an answer below which none is given. Where it is not 0, `coverage` is the
        share of rows that get one, and `answered_accuracy` the share of these answers that is right.
    """
    labels = np.unique(answered.label)
    if positive is None or len(labels) > 2:
        positive = None
    few = len(labels) <= _TOP
    rows = [(OVERALL, np.ones(len(answered.label), np.bool_))]
    for name, values in sorted(answered.slices.items()):
        rows += [(f"{name}={value}", values == value) for value in np.unique(values)]
    slices = [
        _slice_of_whole(name, which, answered, vocabulary, abstain_below)
        if whole
        else _slice(
            name,
            which,
            answered,
            vocabulary,
            positive=positive,
            threshold=threshold,
            top=not few,
            abstain_below=abstain_below,
        )
        for name, which in rows
    ]
    symbol = "" if positive is None else vocabulary[positive]
    return EvaluationReport(
        slices=tuple(sorted(slices, key=lambda s: s.name)),
        positive=symbol,
        reliability={
            model: tuple(_reliability(answers.probability, answers.answer == answered.label))
            for model, answers in answered.models.items()
        },
        confusion=() if whole else tuple(_cells(answered, vocabulary)),
    )


def _cells(answered: Answered, vocabulary: Sequence[str]) -> Iterator[ConfusionCell]:
    found = _confusion(answered.label, answered.models[CANDIDATE].answer)
    for label, answer, rows in zip(*(part.tolist() for part in found), strict=True):
        yield ConfusionCell(label=vocabulary[label], answer=vocabulary[answer], rows=rows)


def _bins(probability: Floats) -> Numbers:
    """[rows] in which of `BINS` equal parts of 0 to 1 each probability is."""
    return np.minimum((probability * BINS).astype(np.int64), BINS - 1)


def _reliability(probability: Floats, right: NDArray[np.bool_]) -> Iterator[ReliabilityBin]:
    places = _bins(probability)
    for place in np.unique(places).tolist():
        which = places == place
        yield ReliabilityBin(
            low=place / BINS,
            high=(place + 1) / BINS,
            rows=int(which.sum()),
            probability=float(probability[which].mean()),
            right=float(right[which].mean()),
        )


def _slice(
    name: str,
    which: NDArray[np.bool_],
    answered: Answered,
    vocabulary: Sequence[str],
    *,
    positive: int | None,
    threshold: float,
    top: bool,
    abstain_below: float,
) -> SliceReport:
    label = answered.label[which]
    models = {model: answers.take(which) for model, answers in answered.models.items()}
    confusions = {model: _confusion(label, answers.answer) for model, answers in models.items()}
    figures = {
        model: _figures(label, answers, confusions[model], positive=positive, top=top)
        for model, answers in models.items()
    }
    right = {model: answers.answer == label for model, answers in models.items()}
    others = [model for model in models if model != CANDIDATE]
    return SliceReport(
        name=name,
        rows=len(label),
        metrics={
            model: values | _given(models[model].probability, right[model], abstain_below)
            for model, (values, _) in figures.items()
        },
        standard_errors={model: errors for model, (_, errors) in figures.items()},
        pairs={model: _pairs(right[CANDIDATE], right[model]) for model in others},
        answers={
            model: {
                vocabulary[i]: _pairs(right[CANDIDATE][label == i], right[model][label == i])
                for i in np.unique(label)
            }
            for model in others
        },
        losses={model: _loss_difference(models[CANDIDATE].loss, models[model].loss) for model in others},
        unread=_unread(answered, models),
        classes={model: _classes(confusion, vocabulary) for model, confusion in confusions.items()},
        at_threshold={}
        if positive is None
        else {
            model: _at_threshold(label == positive, answers.positive, threshold)
            for model, answers in models.items()
        },
    )


def _slice_of_whole(
    name: str,
    which: NDArray[np.bool_],
    answered: Answered,
    vocabulary: Sequence[str],
    abstain_below: float,
) -> SliceReport:
    models = {model: answers.take(which) for model, answers in answered.models.items()}
    figures = {model: _whole_figures(answers) for model, answers in models.items()}
    right = {model: answers.answer == 1 for model, answers in models.items()}
    others = [model for model in models if model != CANDIDATE]
    return SliceReport(
        name=name,
        rows=int(which.sum()),
        metrics={
            model: values | _given(models[model].probability, right[model], abstain_below)
            for model, (values, _) in figures.items()
        },
        standard_errors={model: errors for model, (_, errors) in figures.items()},
        pairs={model: _pairs(right[CANDIDATE], right[model]) for model in others},
        losses={model: _whole_loss_difference(models[CANDIDATE], models[model]) for model in others},
        unread=_unread(answered, models),
        classes={
            model: dict(sorted(_of_ids(answers, vocabulary)))
            for model, answers in models.items()
            if answers.classes.shape[-1]
        },
    )


def _given(probability: Floats, right: NDArray[np.bool_], abstain_below: float) -> dict[str, float]:
    """What is given of the answers, and right of those; nothing where every answer is given."""
    if not abstain_below:
        return {}
    given = probability >= abstain_below
    found = {"coverage": float(given.mean())}
    return found | ({"answered_accuracy": float(right[given].mean())} if given.any() else {})


def _of_ids(answers: ModelAnswers, vocabulary: Sequence[str]) -> Iterator[tuple[str, ClassCounts]]:
    """Counts of labels of ids, for each class that is a label or was given."""
    rows, answered, right = answers.classes.sum(axis=0).tolist()
    for name, *counts in zip(vocabulary, rows, answered, right, strict=True):
        if counts[0] or counts[1]:
            yield name, ClassCounts(rows=counts[0], answered=counts[1], right=counts[2])


def _whole_figures(answers: ModelAnswers) -> tuple[dict[str, float], dict[str, float]]:
    """Accuracy is exact match: the share of rows whose answer is right from its first id to its end."""
    right = answers.answer == 1
    calibration, calibration_error = _calibration(answers.probability, right)
    loss, loss_error = _by_position(answers.loss, answers.positions)
    tokens, tokens_error = _by_position(answers.right_positions.astype(np.float64), answers.positions)
    found = {
        "example_count": float(len(right)),
        "loss": loss,
        "accuracy": float(right.mean()),
        "token_accuracy": tokens,
        "calibration_error": calibration,
    }
    errors = {"loss": loss_error, "token_accuracy": tokens_error, "calibration_error": calibration_error}
    if answers.classes.shape[-1]:
        found["macro_f1"], errors["macro_f1"] = _macro_f1_of_ids(answers.classes)
    else:
        found["first_accuracy"] = float(answers.first.mean())
        found["edit_distance"] = float(answers.edits.mean())
        errors["edit_distance"] = _standard_error(answers.edits.astype(np.float64))
    return found, errors


def _macro_f1_of_ids(classes: NDArray[np.int32]) -> tuple[float, float]:
    """Mean F1 of all classes that are a label or were given, and its standard error.

    Rows are drawn, and not labels, because those of one row go together: each row counts in a draw as often
    as Poisson's distribution with mean 1 says (Hanley and MacGibbon, 2006, "Creating non-parametric
    bootstrap samples using Poisson frequencies").
    """
    rng, rows = np.random.default_rng(0), len(classes)
    flat = classes.reshape(rows, -1).astype(np.float64)
    draws = [np.ones(rows), *(rng.poisson(1.0, rows) for _ in range(_RESAMPLES))]
    values = []
    for draw in draws:
        labels, answers, right = (draw @ flat).reshape(classes.shape[1:])
        both = labels + answers
        values.append(float((2 * right / np.maximum(both, 1)).sum() / max(1, int((both > 0).sum()))))
    return values[0], float(np.std(values[1:]))


def _by_position(sums: Floats, positions: Numbers) -> tuple[float, float]:
    """Mean over all positions of all rows, and its standard error: rows are drawn, and not positions.

    A ratio of two means, by the delta method (Cochran, 1977, "Sampling Techniques", section 6.3).
    """
    mean = float(sums.sum() / positions.sum())
    return mean, _standard_error(sums - mean * positions) / float(positions.mean())


def _whole_loss_difference(ours: ModelAnswers, theirs: ModelAnswers) -> LossDifference:
    mean, error = _by_position(ours.loss - theirs.loss, ours.positions)
    return LossDifference(mean=mean, standard_error=error)


def _unread(answered: Answered, models: dict[str, ModelAnswers]) -> dict[str, Unread]:
    return {
        model: Unread(rows=int(answers.unreadable.sum()), labels=int(answers.unknown.sum()))
        for model, answers in models.items()
        if (answered.models[model].unreadable | answered.models[model].unknown).any()
    }


class _Confusion(NamedTuple):
    """Cells of the confusion matrix that are not empty: label, answer and rows of each."""

    label: Numbers
    answer: Numbers
    rows: Numbers


def _confusion(label: Numbers, answer: Numbers) -> _Confusion:
    # One number for each cell: NumPy sorts those many times faster than pairs, and in the same order.
    width = int(answer.max(initial=0)) + 1
    cells, rows = np.unique(label * width + answer, return_counts=True)
    return _Confusion(*np.divmod(cells, width), rows)


def _figures(
    label: Numbers, answers: ModelAnswers, confusion: _Confusion, *, positive: int | None, top: bool
) -> tuple[dict[str, float], dict[str, float]]:
    rows = len(label)
    right = answers.answer == label
    found = {
        "example_count": float(rows),
        "loss": float(answers.loss.mean()),
        "accuracy": float(right.mean()),
    }
    errors = {"loss": _standard_error(answers.loss)}
    if top:
        found["top3_accuracy"] = float((answers.rank < _TOP).mean())
    found["calibration_error"], errors["calibration_error"] = _calibration(answers.probability, right)
    drawn = np.random.default_rng(0).multinomial(rows, confusion.rows / rows, size=_RESAMPLES)
    for name, of_counts in (("macro_f1", _macro_f1), ("balanced_accuracy", _balanced_accuracy)):
        [found[name]] = of_counts(confusion, confusion.rows[None]).tolist()
        errors[name] = float(np.std(of_counts(confusion, drawn)))
    is_positive = label == positive
    if positive is not None and 0 < is_positive.sum() < rows:
        # Here, because scikit-learn takes a second to import, which every run and every node would pay.
        from sklearn.metrics import average_precision_score, roc_auc_score

        auc = float(roc_auc_score(is_positive, answers.positive))
        precision = float(average_precision_score(is_positive, answers.positive))
        found |= {"roc_auc": auc, "pr_auc": precision}
        errors |= {
            "roc_auc": _roc_auc_error(auc, int(is_positive.sum()), int((~is_positive).sum())),
            # Boyd, Eng and Page 2013, "Area under the precision-recall curve", section 3.2.
            "pr_auc": math.sqrt(precision * (1 - precision) / int(is_positive.sum())),
        }
    return found, errors


def _standard_error(values: Floats) -> float:
    return float(np.std(values) / math.sqrt(len(values)))


def _calibration(probability: Floats, right: NDArray[np.bool_]) -> tuple[float, float]:
    """The expected calibration error (Guo et al. 2017, section 2) and its standard error.

    A row adds what its probability is above its answer (1 if right, else 0), or below it, as its bin is;
    which of the two a bin is, is taken as certain (the delta method).
    """
    places = _bins(probability)
    gap = probability - right
    error = float(np.abs(np.bincount(places, gap, minlength=BINS)).sum() / len(gap))
    return error, math.sqrt(max(0.0, float(np.mean(gap**2)) - error**2) / len(gap))


def _by_answer(confusion: _Confusion, rows: Numbers) -> tuple[Floats, Floats, Floats]:
    """For each draw and id: rows with the label, rows with the answer, and right ones; [draws, ids]."""
    ids, place = np.unique(np.concatenate([confusion.label, confusion.answer]), return_inverse=True)
    label, answer = np.split(place, 2)
    return (
        _sums(label, rows, len(ids)),
        _sums(answer, rows, len(ids)),
        _sums(label, rows * (label == answer), len(ids)),
    )


def _sums(place: Numbers, rows: Numbers, ids: int) -> Floats:
    return np.array([np.bincount(place, draw, minlength=ids) for draw in rows])


def _macro_f1(confusion: _Confusion, rows: Numbers) -> Floats:
    """Mean F1 of all answers that are a label or were given."""
    labels, answers, right = _by_answer(confusion, rows)
    both = labels + answers
    return (2 * right / np.maximum(both, 1)).sum(axis=1) / np.maximum((both > 0).sum(axis=1), 1)


def _balanced_accuracy(confusion: _Confusion, rows: Numbers) -> Floats:
    """Mean recall of all labels."""
    labels, _, right = _by_answer(confusion, rows)
    return (right / np.maximum(labels, 1)).sum(axis=1) / np.maximum((labels > 0).sum(axis=1), 1)


def _roc_auc_error(auc: float, positives: int, negatives: int) -> float:
    """Hanley and McNeil 1982, "The meaning and use of the area under a ROC curve" (Radiology 143)."""
    one, other = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (positives - 1) * (one - auc**2) + (negatives - 1) * (other - auc**2)
    return math.sqrt(max(0.0, variance) / (positives * negatives))


def _pairs(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> Pairs:
    return Pairs(rows=len(ours), better=int((ours & ~theirs).sum()), worse=int((~ours & theirs).sum()))


def _loss_difference(ours: Floats, theirs: Floats) -> LossDifference:
    difference = ours - theirs
    return LossDifference(mean=float(difference.mean()), standard_error=_standard_error(difference))


def _classes(confusion: _Confusion, vocabulary: Sequence[str]) -> dict[str, ClassCounts]:
    return dict(sorted(_class_counts(confusion, vocabulary)))


def _class_counts(confusion: _Confusion, vocabulary: Sequence[str]) -> Iterator[tuple[str, ClassCounts]]:
    for i in np.unique(np.concatenate([confusion.label, confusion.answer])).tolist():
        is_label, is_answer = confusion.label == i, confusion.answer == i
        rows, answered, right = (
            int(confusion.rows[which].sum()) for which in (is_label, is_answer, is_label & is_answer)
        )
        yield vocabulary[i], ClassCounts(rows=rows, answered=answered, right=right)


def _at_threshold(
    positive: NDArray[np.bool_], probability: NDArray[np.floating], threshold: float
) -> AtThreshold:
    given = probability >= threshold
    counts: Mapping[str, NDArray[np.bool_]] = {
        "true_positives": given & positive,
        "false_positives": given & ~positive,
        "false_negatives": ~given & positive,
        "true_negatives": ~given & ~positive,
    }
    return AtThreshold(threshold=threshold, **{name: int(rows.sum()) for name, rows in counts.items()})
