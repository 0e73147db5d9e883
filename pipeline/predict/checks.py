"""Says which texts a model would refuse, and why. Thousands of good ones a second; no TensorFlow."""

import math
import re
from collections.abc import Callable
from functools import lru_cache, partial
from itertools import pairwise

from maskline.transform import symbols
from maskline.transform.features import SequenceSpec, text_problem
from maskline.transform.problems import RowProblem

_SYMBOLS = re.compile(r"[^ \t\n\v\f\r]+")  # between spaces, as `tf.strings.split` sees them
_REMEMBERED = 10_000  # unknown symbols whose nearest symbols in the vocabulary are not looked up again


class TextCheck:
    """Checks texts of one language.

    Args:
      spec: the language.
    """

    def __init__(self, spec: SequenceSpec) -> None:
        self._spec, self.numeric = spec, spec.numeric
        self._is_good = _spaced(spec) if spec.splits_on_spaces else _characters(spec)
        if spec.text.reads_text or spec.numeric:  # what is written otherwise may be the same
            self._is_good = lambda text: False
        self._unknown = lru_cache(_REMEMBERED)(
            partial(symbols.not_in_vocabulary, vocabulary=spec.vocabulary)
        )  # fmt: skip

    def __call__(self, text: str) -> RowProblem | None:
        """Says why the model would refuse a text, or None."""
        return None if self._is_good(text) else text_problem(text, self._spec, self._unknown)


def _characters(spec: SequenceSpec) -> Callable[[str], object]:
    """Where each symbol is a character: one expression, and the length."""
    known = "".join(re.escape(s) for s in spec.vocabulary if s not in (spec.separator, spec.padding))
    part, between = f"[{known}]+" if known else "(?!)", re.escape(spec.separator)
    if spec.unknown:
        part = f"[^{re.escape(spec.separator)}{re.escape(spec.padding)}]+"
    pattern = re.compile(between.join([part] * len(spec.features)))
    length = _longest(spec)
    return lambda text: len(text) <= length and pattern.fullmatch(text)


def _spaced(spec: SequenceSpec) -> Callable[[str], object]:
    """Where symbols stand between spaces: the vocabulary as a set."""
    known = frozenset(spec.vocabulary) - {spec.padding}
    separator, separators = spec.separator, len(spec.features) - 1
    length, padding = _longest(spec), spec.padding

    def is_good(text: str) -> bool:
        found = _SYMBOLS.findall(text)
        return (
            0 < len(found) <= length
            and (padding not in found if spec.unknown else known.issuperset(found))
            and found.count(separator) == separators
            and separator not in (found[0], found[-1])
            and (separators < 2 or (separator, separator) not in pairwise(found))
        )

    return is_good


def _longest(spec: SequenceSpec) -> float:
    return spec.length if spec.too_long == "refuse" else math.inf
