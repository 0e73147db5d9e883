"""Writes text alike and divides it into symbols in a graph, as `text` does in Python. Pure tensors.

A served model has TensorFlow and nothing else, which can neither decompose characters nor fold their case by
Unicode's rules. Both are tables of single characters, and then the marks behind each letter are sorted by
their classes (https://www.unicode.org/reports/tr15, canonical ordering): exact, for all of Unicode.

Shapes: b batch, n characters of all texts.
"""

import re
import sys
import unicodedata
from functools import lru_cache

import tensorflow as tf

from maskline.transform.features import SequenceSpec
from maskline.transform.text import SPACE, WHITE, TextSettings

_BREAK = "\ue000"  # stands for the separator while texts are divided into characters; no script uses it
_CLASSES = 256  # more than the combining classes of Unicode


class TextReader:
    """Divides texts into symbols.

    Args:
      spec: how. Its tables are made where the reader is, which must be outside of a function's graph.
    """

    def __init__(self, spec: SequenceSpec) -> None:
        self._text, self._separator = spec.text, spec.separator
        self._steps = [_Table(_changes(kind)) for kind in _kinds(spec.text)]
        self._ordered = spec.text.unicode != "keep"
        self._classes = _Table(_combining()) if self._ordered else None

    @property
    def resources(self) -> list[tf.lookup.StaticHashTable]:
        """The tables, to be saved with a graph that uses them."""
        tables = [*self._steps, *([self._classes] if self._classes else [])]
        return [table.table for table in tables]

    def normal(self, text: tf.Tensor) -> tf.Tensor:
        """Texts [b] string as they are looked up in the vocabulary."""
        for step in self._steps:
            text = self._changed(text, step)
        return text

    def split(self, text: tf.Tensor) -> tf.RaggedTensor:
        """The symbols of texts [b], separators among them, as ragged [b, None] string."""
        text = self.normal(text)
        if self._text.split == "words":
            return tf.strings.split(text)
        around = WHITE.replace("+", "*")
        text = tf.strings.regex_replace(text, f"{around}{re.escape(self._separator)}{around}", _BREAK)
        text = tf.strings.regex_replace(text, f"^{around}|{around}$", "")
        text = tf.strings.regex_replace(text, WHITE, SPACE)
        symbols = tf.strings.unicode_split(text, "UTF-8")
        broken = tf.equal(symbols.flat_values, _BREAK)
        return symbols.with_flat_values(tf.where(broken, self._separator, symbols.flat_values))

    def of_lists(self, values: tf.SparseTensor) -> tf.SparseTensor:
        """The symbols of features as tf.Examples hold them: texts of one element or of several."""
        between = " " if self._text.split == "words" else ""
        texts = tf.RaggedTensor.from_sparse(values)
        joined = tf.strings.reduce_join(texts, axis=1, separator=between)
        return self.split(joined).to_sparse()

    def _changed(self, text: tf.Tensor, step: "_Table") -> tf.Tensor:
        characters = tf.strings.unicode_split(text, "UTF-8")
        found = step.lookup(characters.flat_values)
        changed = tf.where(tf.equal(found, ""), characters.flat_values, found)
        text = tf.strings.reduce_join(characters.with_flat_values(changed), axis=1)
        if self._classes is None:
            return text
        characters = tf.strings.unicode_split(text, "UTF-8")
        return tf.strings.reduce_join(self._sorted(characters, self._classes), axis=1)

    def _sorted(self, characters: tf.RaggedTensor, classes: "_Table") -> tf.RaggedTensor:
        """Sorts the marks behind each letter by their classes; equal ones stay as they are."""
        rank = tf.cast(classes.lookup(characters.flat_values), tf.int64)
        starts = tf.equal(rank, 0) | _first_of_row(characters)
        # The first mark of a text may have no letter before it, and its class counts all the same.
        run = tf.cumsum(tf.cast(starts, tf.int64))
        order = tf.argsort(run * _CLASSES + rank, stable=True)
        return characters.with_flat_values(tf.gather(characters.flat_values, order))


class _Table:
    """A table of characters; what is not in it gives an empty text, or 0."""

    def __init__(self, entries: dict[str, str] | dict[str, int]) -> None:
        keys, values = list(entries), list(entries.values())
        default: str | int = "" if isinstance(values[0], str) else 0
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tf.constant(keys), tf.constant(values)), default
        )
        self.lookup = self.table.lookup


def _first_of_row(characters: tf.RaggedTensor) -> tf.Tensor:
    """Which of all characters [n] are the first of their text."""
    row = characters.value_rowids()
    return tf.concat([tf.ones_like(row[:1]), row[1:] - row[:-1]], axis=0) > 0


def _kinds(text: TextSettings) -> list[TextSettings]:
    """The steps of `TextSettings.normal`, each of which changes characters one by one."""
    decompose = [TextSettings(unicode=text.unicode)] if text.unicode != "keep" else []
    fold = [TextSettings(unicode=text.unicode, case="fold")] if text.case == "fold" else []
    return [*decompose, *fold]


@lru_cache
def _changes(text: TextSettings) -> dict[str, str]:
    """All characters that the settings change, and what they become."""
    characters = map(chr, (*range(0xD800), *range(0xE000, sys.maxunicode + 1)))
    return {c: changed for c in characters if (changed := text.normal(c)) != c and changed}


@lru_cache
def _combining() -> dict[str, int]:
    characters = map(chr, (*range(0xD800), *range(0xE000, sys.maxunicode + 1)))
    return {c: rank for c in characters if (rank := unicodedata.combining(c))}
