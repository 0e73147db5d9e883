"""Reads what a record holds as its label, by the kind of task. No tensors, no files."""

from collections.abc import Sequence

from maskline.transform import symbols
from maskline.transform.features import SequenceSpec
from maskline.transform.problems import Reason, RowProblem
from maskline.transform.shown import shown


def label_ids(values: Sequence[bytes], spec: SequenceSpec) -> list[int] | RowProblem:
    """Looks up a label that holds its classes by name, or a text of symbols of the vocabulary.

    Args:
      values: the label's values, UTF-8; `row_problem` says whether it is the right number of them.
      spec: with the classes; or with the vocabulary, and how texts are read.

    Returns:
      the ids of the classes or symbols, or what is wrong with the first one that is none of them.
    """
    return _class_ids(values, spec) if spec.task.classes else _symbol_ids(values, spec)


def _class_ids(names: Sequence[bytes], spec: SequenceSpec) -> list[int] | RowProblem:
    found = []
    for name in names:
        text = name.decode(errors="replace")
        if (known := spec.answer_ids.get(text)) is None:
            said = symbols.not_among(text, spec.answers, "one of task.classes")
            return RowProblem(Reason.NOT_A_CLASS, f"feature '{spec.label}' holds a class: {said}")
        found.append(known)
    return found


def _symbol_ids(parts: Sequence[bytes], spec: SequenceSpec) -> list[int] | RowProblem:
    try:
        text = spec.text.joined([part.decode() for part in parts])
    except UnicodeDecodeError as error:
        return RowProblem(Reason.NOT_TEXT, f"feature '{spec.label}' is not UTF-8 text (byte {error.start})")
    read = spec.text.symbols(text)
    # No symbol stands for another one here: it would be an answer that nobody wrote.
    if (outside := next((symbol for symbol in read if symbol not in spec.ids), None)) is not None:
        said = symbols.not_in_vocabulary(outside, spec.vocabulary)
        return RowProblem(Reason.OUTSIDE_VOCABULARY, f"feature '{spec.label}': {said}")
    return [spec.ids[symbol] for symbol in read]


def takes_names(spec: SequenceSpec) -> bool:
    """Whether a label may hold names or text, bytes, instead of ids."""
    return bool(spec.task.classes) or spec.text.reads_text


def kinds_of_label(spec: SequenceSpec) -> str:
    """What a label may hold, in words."""
    return f"int64 ids or names of {len(spec.answers)} classes, {shown(list(spec.answers))}"
