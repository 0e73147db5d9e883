"""The signatures of an exported model. They contain Transform's graph, so clients need not preprocess."""

import functools
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

from maskline.trainer.archive import OrderedArchive
from maskline.trainer.model import ids_input
from maskline.transform import fitting_graph, numeric_graph, sequences, status
from maskline.transform.features import NUMERIC, ROW, SequenceSpec
from maskline.transform.problems import Reason
from maskline.transform.text_graph import TextReader

_TOP = 3  # of the answers that are named, if there are as many
_LEEWAY = 8  # times the longest row: room for spaces between symbols, and for what other checks refuse


class ServedModel:
    """The trained model, with signatures that take raw input.

    Args:
      model: from [batch, length] ids to [batch, answers] logits.
      transform: the output of the component Transform.
      spec: names, symbols and length.
    """

    def __init__(self, model: keras.Model, transform: tft.TFTransformOutput, spec: SequenceSpec) -> None:
        self._spec = spec
        self._model = model
        ids = tf.TensorSpec([None, ids_input(model).shape[1]], tf.int64)
        numbers = tf.TensorSpec([None, spec.numbers], tf.float32)
        # One graph of the model, which all signatures call.
        self._logits = tf.function(
            functools.partial(model, training=False),
            input_signature=[{ROW: ids, NUMERIC: numbers} if spec.numeric else ids],
            autograph=False,
        )
        # The saved graph itself, not TFT's Keras layer around it: this halves the time to save and to load,
        # and keeps a second Keras out of the model.
        self._transform = tf.saved_model.load(transform.transform_savedmodel_dir)
        self._answers = tf.constant(spec.answers)
        symbol = max(len(symbol.encode()) for symbol in spec.vocabulary)
        self._reader = TextReader(spec) if spec.text.reads_text else None
        self._longest_text = _LEEWAY * spec.length * (symbol + 1)
        if spec.unknown or spec.too_long != "refuse":  # symbols, or rows, of any length
            self._longest_text = max(1 << 20, self._longest_text)
        # An id takes ten bytes at most. Features that are not read may be larger than those that are.
        self._longest_example = max(1 << 20, _LEEWAY * (spec.length * 10 + spec.numbers * 5))
        self._longest_text += _LEEWAY * 16 * spec.numbers
        self._ids = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(spec.vocabulary), tf.range(spec.size, dtype=tf.int64)
            ),
            default_value=-1,
        )

    def archive(self) -> keras.export.ExportArchive:
        """Returns model and signatures, ready to be written as a SavedModel.

        After a plain `tf.saved_model.save` of a Keras 3 model, a model server finds its variables
        uninitialized, though Python does not. Keras' own archive does not have this problem, and leaves out
        the optimizer's variables.
        """
        archive = OrderedArchive()
        tables = self._reader.resources if self._reader else []
        for resource in (self._model, self._transform, self._ids, *tables):
            archive.track(resource)
        examples = [tf.TensorSpec([None], tf.string, name="examples")]
        text = [tf.TensorSpec([None], tf.string, name="text")]
        archive.add_endpoint("serving_default", self.serve_examples, input_signature=examples)
        archive.add_endpoint("serving_text", self.serve_text, input_signature=text)
        archive.add_endpoint("serving_default_rows", self.answer_examples, input_signature=examples)
        archive.add_endpoint("serving_text_rows", self.answer_text, input_signature=text)
        archive.add_endpoint("transform_features", self.transform_features, input_signature=examples)
        return archive

    def serve_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers serialized tf.Examples; the label is neither needed nor read.

        Args:
          examples: [batch] string.

        Returns:
          `logits` [batch, answers] float32, `symbol` [batch] string, `probability` [batch] float32. Where
          the task has classes, `symbol` is one of them, and as in TensorFlow's own signature for
          classification, `classes` [batch, classes] string has all of them in each row, `scores`
          [batch, classes] float32 their probabilities. Where the whole label is predicted, `logits` is
          [batch, positions, answers], `symbol` the text up to its end, `probability` the product of those of
          its positions and its end, and `probabilities` [batch, positions] float32 has each of them. Where
          each id of a feature has a label, `logits` is [batch, length, answers], by position of the joined
          row; `labels` [batch, longest] string has the labels of the feature's ids, and behind them empty
          strings; `symbol` is these labels with spaces between them, `probability` the product of theirs,
          `probabilities` [batch, longest] float32 each of them, and `scores` [batch, longest, classes].

        Raises:
          InvalidArgumentError: a feature is missing or empty, an id is not allowed, a row is too long, or
            an example holds far more bytes than a row could.
        """
        return self._answer(self._parse(examples, self._spec.inputs))

    def serve_text(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers texts such as `x=-12,y=24:y+x`; see `serve_examples`.

        Args:
          text: [batch] string; with numeric features, their numbers stand behind it, each after a tab.

        Raises:
          InvalidArgumentError: also where a symbol is not in the vocabulary.
        """
        text = sequences.bounded(text, self._longest_text, "a text")
        numbers: dict[str, tf.SparseTensor] = {}
        if self._spec.numeric:
            text, numbers = numeric_graph.split(text, self._spec)
        segments = sequences.split_text(text, self._spec, self._reader)
        return self._answer({name: self._tokenize(s, name) for name, s in segments.items()} | numbers)

    def answer_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers the rows of a batch that can be answered; the others spoil none of them.

        Args:
          examples: [batch] string.

        Returns:
          what `serve_examples` does; and `status` [batch] string, `answered` or the reason. Where it is a
          reason, texts are empty and numbers 0; but where the model is not sure enough
          (`task.abstain_below`), `symbol` alone is empty. Where a row has one answer, also `classes` and
          `scores` [batch, answers] as there with classes, and the three best of them, the most probable
          first: `top_classes` [batch, 3] string and `top_scores` [batch, 3] float32.

        Raises:
          InvalidArgumentError: a value is not a tf.Example, holds something other than ids, or far more
            bytes than a row could. TensorFlow's parser reads a batch as a whole.
        """
        parsed = self._parse(examples, self._spec.inputs, refuse=False)
        found, segments = status.of_segments(parsed, self._spec)
        return self._by_row(found, self._answer(segments))

    def answer_text(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers those of the texts that can be answered; see `answer_examples`. It refuses none.

        Args:
          text: [batch] string.
        """
        found, good = status.of_texts(
            text, self._spec, self._ids.lookup, limit=self._longest_text, reader=self._reader
        )
        return self._by_row(found, self.serve_text(good))

    def _by_row(self, found: tf.Tensor, answer: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Answers with their status, and nothing where that is a reason."""
        if not self._spec.task.has_positions:
            answer["classes"] = tf.repeat(self._answers[None], tf.size(found), axis=0)
            answer["scores"] = tf.nn.softmax(answer["logits"])
            best = tf.math.top_k(answer["scores"], k=min(_TOP, len(self._spec.answers)))
            answer |= {"top_classes": tf.gather(self._answers, best.indices), "top_scores": best.values}
        answered = tf.equal(found, status.ANSWERED)
        if self._spec.task.abstain_below:
            unsure = answered & (answer["probability"] < self._spec.task.abstain_below)
            found = tf.where(unsure, str(Reason.UNSURE), found)
            answer["symbol"] = tf.where(unsure, "", answer["symbol"])
        kept = {}
        for name, value in answer.items():
            of_row = tf.reshape(answered, [-1, *[1] * (len(value.shape) - 1)])
            kept[name] = tf.where(of_row, value, tf.zeros([], value.dtype))
        return {"status": found, **kept}

    def transform_features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Transforms serialized tf.Examples that carry the label.

        Args:
          examples: [batch] string.

        Returns:
          `x` [batch, length] int64 and `y` [batch] int64; with numeric features, `numeric` [batch, numbers].
        """
        names = (*self._spec.inputs, self._spec.label)
        return dict(self._transformed(self._parse(examples, names)))

    def logits(self, transformed: dict[str, tf.Tensor]) -> tf.Tensor:
        """What the model, which is not exported yet, answers to rows as `transform_features` gives them."""
        return self._model(self._fed(transformed), training=False)

    def _fed(self, transformed: dict[str, tf.Tensor]) -> Any:
        """What the model takes of transformed rows."""
        if not self._spec.numeric:
            return transformed[ROW]
        return {name: transformed[name] for name in (ROW, NUMERIC)}

    def _cut(self, ids: tf.Tensor) -> tf.Tensor:
        """Removes columns that are padding in every row, if the model takes rows of any length."""
        if ids_input(self._model).shape[1] is not None:
            return ids
        real = tf.reduce_sum(tf.cast(tf.not_equal(ids, self._spec.pad_id), tf.int32), axis=1)
        return ids[:, : tf.maximum(1, tf.reduce_max(real))]

    def _parse(
        self, examples: tf.Tensor, names: tuple[str, ...], *, refuse: bool = True
    ) -> dict[str, tf.SparseTensor]:
        """Ids of features and label; `refuse` unknown symbols of texts, or give negative ids for them."""
        examples = sequences.bounded(examples, self._longest_example, "an example")
        texts = self._spec.features if self._reader else ()
        kinds = {name: tf.string if name in texts else tf.int64 for name in names}
        kinds |= {name: tf.float32 for name in names if name in self._spec.numeric}
        found = tf.io.parse_example(examples, {n: tf.io.VarLenFeature(kind) for n, kind in kinds.items()})
        for name in texts:
            assert self._reader
            symbols = self._reader.of_lists(found[name])
            ids = symbols.with_values(self._ids.lookup(symbols.values))
            found[name] = self._tokenize(symbols, name) if refuse else ids
        return found

    def _transformed(self, ids: dict[str, tf.SparseTensor]) -> dict[str, tf.Tensor]:
        """What Transform's graph makes of ids; where features hold text, of the symbols of these ids."""
        if self._reader:
            vocabulary = tf.constant(self._spec.vocabulary)
            for name in self._spec.features:
                known = fitting_graph.known(ids[name].values, self._spec)
                ids = {**ids, name: ids[name].with_values(tf.gather(vocabulary, known))}
        return self._transform.transform_fn(ids)

    def _tokenize(self, symbols: tf.SparseTensor, name: str) -> tf.SparseTensor:
        ids = fitting_graph.known(self._ids.lookup(symbols.values), self._spec)
        unknown = tf.boolean_mask(symbols.values, ids < 0)
        refuse = tf.raw_ops.Assert(
            condition=tf.equal(tf.size(unknown), 0),
            data=[f"feature '{name}' holds symbols outside the vocabulary:", unknown],
        )
        with tf.control_dependencies([refuse]):
            return symbols.with_values(tf.identity(ids))

    def _answer(self, raw: dict[str, tf.SparseTensor]) -> dict[str, tf.Tensor]:
        # Transform's graph needs every feature of the schema: an id that is allowed stands in for the label.
        rows = raw[self._spec.features[0]].dense_shape[0]
        raw = raw | {self._spec.label: self._stand_in(raw, rows)}
        transformed = self._transformed(raw)
        ids = transformed[ROW]
        logits = self._logits(self._fed({**transformed, ROW: self._cut(ids)}))
        if self._spec.task.kind == "each":
            missing = self._spec.length - tf.shape(logits)[1]
            logits = tf.pad(logits, [[0, 0], [0, missing], [0, 0]])
            return {"logits": logits, **self._each(logits, ids)}
        probabilities = tf.nn.softmax(logits)
        best = tf.argmax(logits, axis=-1)
        if (second_from := self._spec.task.second_from) is not None:
            best = tf.cast(probabilities[:, 1] >= second_from, tf.int64)
        if self._spec.task.kind == "whole":
            return {"logits": logits, **self._whole(probabilities, best)}
        answer = {
            "logits": logits,
            "symbol": tf.gather(self._answers, best),
            "probability": tf.gather(probabilities, best, batch_dims=1),
        }
        if self._spec.task.classes:
            answer["classes"] = tf.repeat(self._answers[None], rows, axis=0)
            answer["scores"] = probabilities
        return answer

    def _stand_in(self, raw: dict[str, tf.SparseTensor], rows: tf.Tensor) -> tf.SparseTensor:
        if self._spec.task.kind == "each":
            tagged = raw[self._spec.tagged]
            return tagged.with_values(tf.zeros_like(tagged.values))
        return sequences.column(0 if self._spec.task.classes else self._spec.separator_id, rows)

    def _each(self, logits: tf.Tensor, ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """The labels of the positions that have one, of logits [batch, length, answers]."""
        where = sequences.tagged_positions(ids, self._spec)
        scores = tf.ragged.boolean_mask(tf.nn.softmax(logits), where)
        best = tf.argmax(scores.flat_values, axis=-1)
        labels = scores.with_values(tf.gather(self._answers, best))
        probabilities = scores.with_values(tf.reduce_max(scores.flat_values, axis=-1))
        return {
            "symbol": tf.strings.reduce_join(labels, axis=-1, separator=" "),
            "probability": tf.reduce_prod(probabilities, axis=-1),
            "labels": labels.to_tensor(default_value=""),
            "probabilities": probabilities.to_tensor(),
            "classes": tf.repeat(self._answers[None], tf.shape(logits)[0], axis=0),
            "scores": scores.to_tensor(),
        }

    def _whole(self, probabilities: tf.Tensor, best: tf.Tensor) -> dict[str, tf.Tensor]:
        """The text of the best ids [batch, positions] up to their end, and its probability."""
        is_end = tf.cast(tf.equal(best, self._spec.pad_id), tf.int32)
        ended = tf.cumsum(is_end, axis=-1)
        symbols = tf.where(tf.equal(ended, 0), tf.gather(self._answers, best), "")
        of_position = tf.reduce_max(probabilities, axis=-1)
        counts = tf.equal(ended - is_end, 0)
        between = " " if self._spec.splits_on_spaces else ""
        text = tf.strings.reduce_join(symbols, axis=-1, separator=between)
        text = tf.strings.strip(text) if between else text
        return {
            "symbol": text,
            "probability": tf.reduce_prod(tf.where(counts, of_position, 1.0), axis=-1),
            "probabilities": of_position,
        }
