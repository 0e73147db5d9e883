"""Reads what a record holds as its label, by the kind of task. No tensors, no files."""

from collections.abc import Sequence

from maskline.transform import symbols
from maskline.transform.features import SequenceSpec
from maskline.transform.problems import Reason, RowProblem
from maskline.transform.shown import shown


def class_ids(names: Sequence[bytes], spec: SequenceSpec) -> list[int] | RowProblem:
    """Looks up a label that holds its class by name.

    Args:
      names: the label's values, UTF-8; `row_problem` says whether it is the right number of them.
      spec: with the classes.

    Returns:
      the ids of the classes, or what is wrong with the first name that is none of them.
    """
    found = []
    for name in names:
        text = name.decode(errors="replace")
        if (known := spec.answer_ids.get(text)) is None:
            said = symbols.not_among(text, spec.answers, "one of task.classes")
            return RowProblem(Reason.NOT_A_CLASS, f"feature '{spec.label}' holds a class: {said}")
        found.append(known)
    return found


def takes_names(spec: SequenceSpec) -> bool:
    """Whether a label may hold names, bytes, instead of ids."""
    return bool(spec.task.classes)


def kinds_of_label(spec: SequenceSpec) -> str:
    """What a label may hold, in words."""
    return f"int64 ids or names of {len(spec.answers)} classes, {shown(list(spec.answers))}"
