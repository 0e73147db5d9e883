"""Layers for answers of several positions, on any Keras backend."""

from typing import Any

import keras
from keras import ops

from maskline.trainer.masking import MaskedLayer, lowest_score


@keras.saving.register_keras_serializable("maskline")
class AnswerPositions(keras.layers.Layer):
    """Adds a learned vector to each position of an answer.

    Without the vectors, layers that all positions share could not tell them apart where a row holds the same
    symbol throughout: every weighted average of equal vectors is that vector.

    Input and output: [b, positions, d] floating point.
    """

    def build(self, input_shape: Any) -> None:
        """Creates the vectors, [positions, d]."""
        initializer = keras.initializers.RandomNormal(stddev=0.5)
        self.vectors = self.add_weight(shape=input_shape[1:], initializer=initializer, name="vectors")

    def call(self, inputs: Any) -> Any:
        """Returns [b, positions, d]."""
        return inputs + self.vectors

    def compute_output_shape(self, input_shape: Any) -> Any:
        """[b, positions, d]."""
        return input_shape


@keras.saving.register_keras_serializable("maskline")
class EachPosition(MaskedLayer):
    """Gives each real position of a row its logits, zero at padding, and ends the mask on purpose.

    Keras would use a mask of the output as weights in the loss. It is that of the inputs, and not that of the
    labels: a row has positions without a label, such as separators. Weights of the labels say what counts.

    Input and output: [b, s, answers] floating point.
    """

    ends_mask = True

    def transform(self, inputs: Any, mask: Any) -> Any:
        """Returns the inputs, [b, s, answers], which are zero at padding by then."""
        return inputs


@keras.saving.register_keras_serializable("maskline")
class AnswerExchange(keras.layers.Layer):
    """Tells each place of an answer what all of them found, with a residual connection.

    It is a residual block (He et al., 2016, "Identity Mappings in Deep Residual Networks") over all places
    side by side, with one layer of d units inside:

      y = x + V · relu(W · normalized(x) + c)

    A place has the same part in every answer, so what one needs of another is learned once: whether the
    second number is the larger one, on which each digit of a difference depends, or the carry of a sum.
    Attention among places would have to find that in each row anew.

    Input and output: [b, positions, d] floating point.
    """

    def build(self, input_shape: Any) -> None:
        """Creates what collects, [positions·d, d], with its bias, [d], and what tells, [d, positions·d]."""
        _, positions, width = input_shape
        # The mask lint takes no kernel for an embedding of ids, as rows of a kernel belong to units.
        self.collect = self.add_weight(shape=(positions * width, width), name="collect_kernel")
        self.bias = self.add_weight(shape=(width,), initializer="zeros", name="bias")
        self.tell = self.add_weight(shape=(width, positions * width), name="tell_kernel")

    def call(self, inputs: Any) -> Any:
        """Returns [b, positions, d]."""
        _, positions, width = inputs.shape
        normal_bpd = ops.rms_normalization(inputs, axis=-1, epsilon=1e-6)
        # No answer is laid flat: of as many places as a row is long, ModelChecks would take it for a row.
        collect_pdu = ops.reshape(self.collect, (positions, width, width))
        tell_upd = ops.reshape(self.tell, (width, positions, width))
        known_bu = ops.relu(ops.einsum("bpd,pdu->bu", normal_bpd, collect_pdu) + self.bias)
        return inputs + ops.einsum("bu,upd->bpd", known_bu, tell_upd)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """[b, positions, d]."""
        return input_shape


@keras.saving.register_keras_serializable("maskline")
class LastSymbolFirst(keras.layers.Layer):
    """Reads answers whose symbols are counted from the end, and whose first symbol is given beside them.

    Of a number, the last digit is found first, and each other one from those behind it: models learn sums
    more easily from their end (Lee et al., 2023, "Teaching Arithmetic to Small Transformers"). Where a symbol
    counted from the end stands in reading order depends on how many there are, which the model has to predict
    as well. So this layer gives the exact probability of each symbol at each position, over all lengths:

      P(n symbols) = end[n] · Π_{k<n} (1 - end[k]), and no end is needed behind the last place
      P(symbol s at position p) = Σ_{n>p} P(n symbols) · P(s is the symbol n-1-p from the end)
      P(the answer has ended at position p) = Σ_{n≤p} P(n symbols)

    where end[k] is the probability of the padding at place k from the end. The first symbol tells the size
    of a number, and needs nothing from the others, so it has a place of its own. Nothing here is learned.

    Args:
      pad_id: the id that ends an answer.

    Input: [b, 1+l, a] logits, of the first symbol, and of those from the end. Output: [b, l, a] logarithms
    of probabilities, which serve as logits, in reading order; behind the first position at least -69.
    """

    def __init__(self, pad_id: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pad_id = pad_id

    def call(self, inputs: Any) -> Any:
        """Returns [b, l, a]."""
        logits_bka = ops.cast(inputs, "float32")
        first_b1a = ops.log_softmax(logits_bka[:, :1], axis=-1)
        logits_bka = logits_bka[:, 1:]
        _, places, ids = logits_bka.shape
        is_pad = ops.equal(ops.arange(ids), self.pad_id)
        of_symbols_bka = ops.where(is_pad, lowest_score("float32"), logits_bka)
        # Not `softmax` and `logsumexp`, which would take the powers of all ids twice more. And ModelChecks
        # takes each softmax of as many ids as a row is long for attention.
        highest_bk1 = ops.stop_gradient(ops.max(of_symbols_bka, axis=-1, keepdims=True))
        powers_bka = ops.exp(of_symbols_bka - highest_bk1)
        sum_bk1 = ops.sum(powers_bka, axis=-1, keepdims=True)
        symbol_bka = powers_bka / sum_bk1
        goes_on_bk = (highest_bk1 + ops.log(sum_bk1))[..., 0] - logits_bka[..., self.pad_id]  # a logit
        reached_bn = ops.pad(ops.cumsum(ops.log_sigmoid(goes_on_bk), axis=1), ((0, 0), (1, 0)))
        ends_bn = ops.pad(ops.log_sigmoid(-goes_on_bk), ((0, 0), (0, 1)))
        count_bn = ops.exp(reached_bn + ends_bn)  # P(n symbols), n = 0…l
        longer_bn = ops.pad(count_bn[:, 1:], ((0, 0), (0, places)))
        # The symbol at position p is the one k places from the end if there are p + k + 1. Rows that are one
        # longer than what they repeat begin one later each, so that place k of row p holds number p + k.
        repeated_bn = ops.tile(longer_bn, (1, places + 1))[:, : places * (2 * places + 1)]
        turned_bpk = ops.reshape(repeated_bn, (-1, places, 2 * places + 1))[..., :places]
        ended_bp = ops.cumsum(count_bn, axis=1)[:, :places]
        probability_bpa = ops.where(is_pad, ended_bp[..., None], ops.matmul(turned_bpk, symbol_bka))
        # More than zero, so that a model that is sure and wrong has a gradient.
        others_bpa = ops.log(probability_bpa[:, 1:] + 1e-30)
        return ops.cast(ops.concatenate([first_b1a, others_bpa], axis=1), self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """[b, l, a]."""
        batch, places, ids = input_shape
        return (batch, places - 1, ids)

    def get_config(self) -> dict[str, Any]:
        """Mirrors `__init__`."""
        return super().get_config() | {"pad_id": self.pad_id}
