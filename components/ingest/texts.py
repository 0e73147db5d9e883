"""Reads the features of a row that hold text as symbols."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from maskline.transform import symbols
from maskline.transform.features import SequenceSpec
from maskline.transform.problems import Reason, RowProblem


class Texts(NamedTuple):
    """What is made of the features of a row.

    Attributes:
      symbols: feature → its symbols, as they are looked up; those outside the vocabulary are replaced. Of
        features that hold ids, those ids.
      ids: feature → their ids, as `row_problem` checks them; where the vocabulary is not computed yet, every
        symbol of a text has that of the unknown one.
      unknown: feature → how many symbols were outside the vocabulary.
    """

    symbols: dict[str, Sequence[Any]]
    ids: dict[str, Sequence[int]]
    unknown: dict[str, int]


def read_texts(lists: Mapping[str, Sequence[bytes] | None], spec: SequenceSpec) -> Texts | RowProblem:
    """Reads the texts of a row, or says what is wrong with one.

    Args:
      lists: feature → what it holds; None where that is not bytes.
      spec: names the features, and says how texts are read.
    """
    found = Texts({}, {}, {})
    for name in spec.features:
        if name not in lists:
            continue  # `row_problem` says so
        if (values := lists[name]) is None:
            return RowProblem(Reason.NOT_TEXT, f"feature '{name}' is not a bytes list of text")
        try:
            parts = [part.decode() for part in values]
        except UnicodeDecodeError as error:
            return RowProblem(Reason.NOT_TEXT, f"feature '{name}' is not UTF-8 text (byte {error.start})")
        read = spec.text.symbols(spec.text.joined(parts))
        if problem := _take(name, read, spec, found):
            return problem
    return found


def _take(name: str, read: list[str], spec: SequenceSpec, found: Texts) -> RowProblem | None:
    outside = [symbol for symbol in read if symbol not in spec.ids]
    if outside and not spec.unknown:
        said = symbols.not_in_vocabulary(outside[0], spec.vocabulary)
        return RowProblem(Reason.OUTSIDE_VOCABULARY, f"feature '{name}': {said}")
    unknown = spec.ids.get(spec.unknown, -1)
    found.ids[name] = [spec.ids.get(symbol, unknown) for symbol in read]
    if outside and not spec.is_computed:
        found.unknown[name] = len(outside)
        read = [symbol if symbol in spec.ids else spec.unknown for symbol in read]
    found.symbols[name] = read
    return None
