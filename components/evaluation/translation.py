"""Asks a model that was trained on another language of the data: other symbols, lengths or features.

Models are compared in symbols, never in ids. An exported model carries its `SequenceSpec`. Where that is not
the candidate's, the rows are written as text, which the model reads by its own vocabulary, and its answers
are put in the order of the candidate's vocabulary. What comes out is a SavedModel that TFMA measures as it
does any other.
"""

import json
from typing import Any

import tensorflow as tf

from maskline.transform import numeric, numeric_graph, sequences
from maskline.transform.features import TARGET, SequenceSpec
from maskline.transform.names import IDENTITY_FILE

# Of a translated model, by row: whether it could not read the row, and whether it could but lacks the label.
UNREADABLE, UNKNOWN_LABEL = "unreadable", "unknown_label"


def exported_spec(saved_model: str) -> SequenceSpec:
    """The language that an exported model was trained on."""
    with tf.io.gfile.GFile(f"{saved_model}/{IDENTITY_FILE}") as file:
        return SequenceSpec.of_export(json.loads(file.read())["sequence"])


def translate(saved_model: str, target: str, spec: SequenceSpec) -> None:
    """Writes a model that takes rows of `spec` and asks `saved_model`, which has another language.

    A row that the model cannot read (a symbol that it does not know, more ids than its length, features
    that it was not trained on) counts as wrong for it: the padding, which is no row's label, gets the
    highest logit and the label the lowest. The padding also stands for the answers that `spec` has no
    symbol for. A symbol that the model does not know gets a logit below all others. Classes are the same in
    both languages; there, the class after the label gets the highest logit of a row that cannot be read.

    Args:
      saved_model: an exported model, for the same task.
      target: the folder of the new SavedModel.
      spec: the language of the rows and of the answers.
    """
    module = _Translated(saved_model, exported_spec(saved_model), spec)
    examples = tf.TensorSpec([None], tf.string, name="examples")
    signatures = {
        "serving_default": module.answer.get_concrete_function(examples),
        "transform_features": module.labels.get_concrete_function(examples),
    }
    tf.saved_model.save(module, target, signatures=signatures)


def _reads(spec: SequenceSpec, symbol: str) -> bool:
    """Whether a model of the language can be asked about rows with a symbol."""
    if symbol in (spec.padding, spec.separator):
        return False
    is_one = symbol != " " if spec.splits_on_spaces else len(symbol) == 1
    return symbol in spec.ids or (bool(spec.unknown) and is_one)


class _Translated(tf.Module):
    def __init__(self, saved_model: str, theirs: SequenceSpec, ours: SequenceSpec) -> None:
        super().__init__()
        self._theirs, self._ours = theirs, ours
        self._model = tf.saved_model.load(saved_model)
        self._readable = tf.constant([_reads(theirs, symbol) for symbol in ours.vocabulary])
        self._symbols = tf.constant(ours.vocabulary)
        # The place of each of our symbols among their logits; one past the end where they cannot answer it.
        place = {**theirs.ids, theirs.padding: theirs.size}
        self._place = tf.constant([place.get(s, theirs.size) for s in ours.vocabulary])
        self._dropped = tf.constant([s not in ours.ids or s == theirs.padding for s in theirs.vocabulary])

    @tf.function
    def labels(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """The target, as Transform makes it, of serialized tf.Examples, [batch] string."""
        name = self._ours.label
        if self._ours.task.kind == "each":
            kind = tf.string if self._ours.text.reads_text else tf.int64
            wanted = {n: tf.io.VarLenFeature(kind) for n in self._ours.features}
            wanted[name] = tf.io.VarLenFeature(tf.int64)
            parsed = tf.io.parse_example(examples, wanted)
            return {TARGET: sequences.each_label(parsed[name], parsed, self._ours)}
        label = tf.io.parse_example(examples, {name: tf.io.VarLenFeature(tf.int64)})[name]
        if self._ours.task.kind == "whole":
            return {TARGET: sequences.whole_label(label, self._ours)}
        return {TARGET: sequences.first_token(label)}

    @tf.function
    def answer(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """`logits` [batch, our answers] float32; `unreadable` and `unknown_label` [batch] float32."""
        label = self.labels(examples)[TARGET]
        text, readable = self._text(examples)
        wrong = self._wrong(label)
        logits = tf.where(tf.reshape(readable, [-1, *[1] * (wrong.shape.rank - 1)]), self._ask(text), wrong)
        unknown = tf.zeros_like(readable)
        if not self._ours.task.classes:
            lacks = tf.equal(tf.gather(self._place, label), self._theirs.size)
            lacks &= tf.not_equal(label, self._ours.pad_id)
            unknown = readable & tf.reduce_any(tf.reshape(lacks, [tf.shape(label)[0], -1]), axis=1)
        counts = {UNREADABLE: ~readable, UNKNOWN_LABEL: unknown}
        return {"logits": logits, **{name: tf.cast(rows, tf.float32) for name, rows in counts.items()}}

    def _text(self, examples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The rows as text [batch], and whether the model can read them [batch]."""
        theirs, ours = self._theirs, self._ours
        known = [s for s in theirs.vocabulary if s not in (theirs.padding, theirs.separator)]
        gap = " " if theirs.splits_on_spaces else ""
        anything = gap.join([known[0], *[theirs.separator, known[0]] * (len(theirs.features) - 1)])
        anything = numeric.with_numbers(anything, [0.0] * theirs.numbers)
        # Labels have places in the row, and texts must be read alike.
        same = theirs.features == ours.features or ours.task.kind != "each"
        same &= theirs.text == ours.text and (bool(theirs.unknown) or not ours.text.reads_text)
        same &= theirs.numeric.items() <= ours.numeric.items()
        if not set(theirs.features) <= set(ours.features) or theirs.label != ours.label or not same:
            return tf.fill(tf.shape(examples), anything), tf.zeros(tf.shape(examples), tf.bool)
        kind = tf.string if ours.text.reads_text else tf.int64
        wanted = {name: tf.io.RaggedFeature(kind) for name in theirs.features}
        numbers = {name: tf.io.RaggedFeature(tf.float32) for name in theirs.numeric}
        ids = tf.io.parse_example(examples, wanted | numbers)
        length = tf.add_n([ids[name].row_lengths() for name in wanted]) + len(wanted) - 1
        readable = (length <= theirs.length) | (theirs.too_long != "refuse")
        parts: list[Any] = []
        for name in theirs.features:
            if ours.text.reads_text:
                parts.append(tf.strings.reduce_join(ids[name], axis=1, separator=gap))
                continue
            readable &= tf.reduce_all(tf.ragged.map_flat_values(tf.gather, self._readable, ids[name]), axis=1)
            symbols = tf.ragged.map_flat_values(tf.gather, self._symbols, ids[name])
            parts.append(tf.strings.reduce_join(symbols, axis=1, separator=gap))
        text = tf.strings.join(parts, separator=f"{gap}{theirs.separator}{gap}")
        if theirs.numeric:
            text = numeric_graph.texts_with_numbers(text, ids, theirs)
        return tf.where(readable, text, anything), readable

    def _ask(self, text: tf.Tensor) -> tf.Tensor:
        theirs = self._model.signatures["serving_text"](text=text)["logits"]
        if self._ours.task.kind == "each":
            missing = max(0, self._ours.length - self._theirs.length)
            return tf.pad(theirs, [[0, 0], [0, missing], [0, 0]])[:, : self._ours.length]
        if self._ours.task.classes:
            return theirs
        unknown = tf.reduce_min(theirs, axis=-1, keepdims=True) - 1.0
        ours = tf.gather(tf.concat([theirs, unknown], axis=-1), self._place, axis=-1)
        other = tf.reduce_max(tf.where(self._dropped, theirs, unknown), axis=-1, keepdims=True)
        is_padding = tf.range(self._ours.size) == self._ours.pad_id
        return tf.where(is_padding, tf.maximum(ours, other), ours)

    def _wrong(self, label: tf.Tensor) -> tf.Tensor:
        size = len(self._ours.answers)
        if self._ours.task.classes:
            return tf.one_hot((label + 1) % size, size) - tf.one_hot(label, size)
        return tf.one_hot(self._ours.pad_id, size) - tf.one_hot(label, size)
