"""Numeric features beside the tokens: what a row may hold of them. No tensors, no files.

`numeric_graph` does the same to tensors, where a model is asked.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from maskline.transform.problems import Reason, RowProblem
from maskline.transform.shown import shown

BETWEEN = "\t"  # stands before each number that follows a text
# A decimal number as `tf.strings.to_number` reads it, in RE2's language and in Python's.
NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"


def numeric_problem(
    lists: Mapping[str, Sequence[float] | None], numeric: Mapping[str, int]
) -> RowProblem | None:
    """Says what is wrong with the numeric features of a row, or None.

    Args:
      lists: feature → its float32 values; None where it holds something else. One that is absent is missing.
      numeric: feature → how many numbers it holds in each row.
    """
    for name, length in numeric.items():
        values = lists.get(name, ())
        if values is None:
            return RowProblem(Reason.NOT_FLOAT, f"feature '{name}' is not a float list; {_needed(length)}")
        if not len(values):
            return RowProblem(Reason.MISSING, f"feature '{name}' is missing or empty; {_needed(length)}")
        if len(values) != length:
            text = f"feature '{name}' holds {_count(len(values))}; {_needed(length)} (sequence.numeric)"
            return RowProblem(Reason.NUMBERS, text)
        bad = np.flatnonzero(~np.isfinite(np.asarray(values, np.float32)))
        if len(bad):
            text = f"feature '{name}' holds {values[bad[0]]}; finite float32 numbers are allowed"
            return RowProblem(Reason.NOT_A_NUMBER, text)
    return None


def split_numbers(text: str, numeric: Mapping[str, int]) -> tuple[str, RowProblem | None]:
    """Divides a text from the numbers that follow it, each behind a tab, in the order of the settings.

    Args:
      text: such as `fire`, a tab and `21.5`.
      numeric: feature → how many numbers it holds; where it is empty, the text is all there is.

    Returns:
      the text without numbers, and what is wrong with them, or None.
    """
    if not numeric:
        return text, None
    text, *numbers = text.split(BETWEEN)
    needed = sum(numeric.values())
    if len(numbers) != needed:
        names = ", ".join(f"{name}: {length}" for name, length in numeric.items())
        said = f"is followed by {_count(len(numbers))}; {needed} needed, each behind a tab ({names})"
        return text, RowProblem(Reason.NUMBERS, said)
    for number in numbers:
        if not re.fullmatch(NUMBER, number, re.ASCII) or not np.isfinite(_float32(number)):
            said = f"is followed by {shown(number)}; finite float32 numbers are allowed"
            return text, RowProblem(Reason.NOT_A_NUMBER, said)
    return text, None


def with_numbers(text: str, numbers: Sequence[float]) -> str:
    """A text with numbers behind it, as `split_numbers` reads it."""
    return BETWEEN.join([text, *(repr(float(number)) for number in numbers)])


def _float32(number: str) -> np.float32:
    with np.errstate(over="ignore"):
        return np.float32(number)


def _count(length: int) -> str:
    return "1 number" if length == 1 else f"{length} numbers"


def _needed(length: int) -> str:
    return f"{_count(length)} {'is' if length == 1 else 'are'} needed"
