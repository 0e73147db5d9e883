"""The layers of the model. They use `keras.ops` only, so they run on any Keras backend.

Axes in names: b batch, s sequence position, q query position, k key position, d width.
A mask is boolean [b, s], true at real positions. `MaskedLayer` says what the layers do with it.
"""

from typing import Any, Literal

import keras
from keras import ops

from maskline.trainer.masking import MaskedLayer, PaddingMask, lowest_score, zero_masked
from maskline.trainer.positions import AnswerExchange, AnswerPositions, EachPosition, LastSymbolFirst

__all__ = [
    "AnswerExchange",
    "AnswerPositions",
    "EachPosition",
    "FlattenRows",
    "LastSymbolFirst",
    "MaskedConvolution",
    "MaskedEmbedding",
    "MaskedLayer",
    "MaskedNormalization",
    "MaskedPooling",
    "MaskedSelfAttention",
    "PaddingMask",
]

MaskAxis = Literal["keys", "queries", "none"]


@keras.saving.register_keras_serializable("maskline")
class MaskedEmbedding(MaskedLayer):
    """Embeds ids, adds a learned embedding of each position, and zeroes masked positions.

    Args:
      size: number of ids.
      width: embedding dimension.
      positions: number of position embeddings, which is the longest row allowed. With 0 there are none,
        and rows may have any length. They start at zero, so positions never trained on have no effect.
      initializer: of the embedding table.

    Input: [b, s] integer. Output: [b, s, width] in the compute dtype.

    Raises:
      ValueError: a row is longer than `positions`.
    """

    def __init__(
        self, size: int, width: int, positions: int = 0, initializer: Any = "uniform", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.size, self.width, self.positions = size, width, positions
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape: Any) -> None:
        """Creates the table, [size, width], and the position embeddings, [positions, width]."""
        self.table = self.add_weight(
            shape=(self.size, self.width), initializer=self.initializer, name="table"
        )
        if self.positions:
            self.position_table = self.add_weight(
                shape=(self.positions, self.width), initializer="zeros", name="positions"
            )

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Returns the embeddings, zero where masked."""
        outputs_bsd = ops.take(self.table, inputs, axis=0)
        if self.positions:
            outputs_bsd = outputs_bsd + self._position_embeddings(inputs)
        return zero_masked(outputs_bsd, mask)

    def _position_embeddings(self, inputs: Any) -> Any:
        length = inputs.shape[1]
        if length is None:  # the length is known only when the graph runs; `take` refuses a longer row then
            return ops.take(self.position_table, ops.arange(ops.shape(inputs)[1]), axis=0)
        if length > self.positions:
            raise ValueError(
                f"layer '{self.name}': rows of {length} ids, but embeddings of {self.positions} positions"
            )
        return self.position_table[:length]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """[b, s, width]."""
        return (*input_shape, self.width)

    def get_config(self) -> dict[str, Any]:
        """Mirrors `__init__`."""
        return super().get_config() | {
            "size": self.size,
            "width": self.width,
            "positions": self.positions,
            "initializer": keras.initializers.serialize(self.initializer),
        }


@keras.saving.register_keras_serializable("maskline")
class MaskedConvolution(MaskedLayer):
    """A convolution with a residual connection, to which padding looks like the end of the row.

    The weights start near zero, so the output is at first nearly the input, and training adds context as
    far as it helps.

    Args:
      kernel: size of the kernel in positions. It is odd, so the kernel is centred on its position.

    Input and output: [b, s, d] floating point.
    """

    def __init__(self, kernel: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kernel = kernel

    def build(self, input_shape: Any) -> None:
        """Creates the weights, [kernel, d, d], and the bias, [d]."""
        width = input_shape[-1]
        near_zero = keras.initializers.VarianceScaling(1e-2, "fan_avg")
        self.weights_kde = self.add_weight(
            shape=(self.kernel, width, width), initializer=near_zero, name="kernel"
        )
        self.bias = self.add_weight(shape=(width,), initializer="zeros", name="bias")

    def transform(self, inputs: Any, mask: Any) -> Any:
        """[b, s, d]."""
        length, width = ops.shape(inputs)[1:]
        reach = self.kernel // 2
        padded = ops.pad(inputs, ((0, 0), (reach, reach), (0, 0)))
        # One matrix product over concatenated neighbors. In a compiled loop on a CPU, XLA takes ten times as
        # long for a convolution.
        windows = ops.concatenate([padded[:, i : i + length] for i in range(self.kernel)], axis=-1)
        return inputs + ops.matmul(windows, ops.reshape(self.weights_kde, (-1, width))) + self.bias

    def get_config(self) -> dict[str, Any]:
        """Mirrors `__init__`."""
        return super().get_config() | {"kernel": self.kernel}


@keras.saving.register_keras_serializable("maskline")
class MaskedNormalization(MaskedLayer):
    """RMS normalization: scales each position to a root mean square of 1, then by a learned gain.

    Zhang and Sennrich, 2019, "Root Mean Square Layer Normalization". Keras' own `RMSNormalization` drops
    the mask, so it cannot be used here.

    Input and output: [b, s, d] floating point.
    """

    def build(self, input_shape: Any) -> None:
        """Creates the gain, [d]."""
        self.gain = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="gain")

    def transform(self, inputs: Any, mask: Any) -> Any:
        """[b, s, d]."""
        return ops.rms_normalization(inputs, self.gain, axis=-1, epsilon=1e-6)


@keras.saving.register_keras_serializable("maskline")
class MaskedSelfAttention(MaskedLayer):
    """Self-attention that neither reads nor writes masked positions.

    Scaled dot-product attention (Vaswani et al., 2017, "Attention Is All You Need", section 3.2) with
    square projections and no bias. Masked keys get a weight of exactly zero. The output is zero at masked
    queries, so that no later layer can read them; for a row that is all padding it is zero everywhere.

    Args:
      residual: adds the input to the output.
      initializer: of the query and key projections. With "identity", positions attend to similar vectors
        from the first step, before anything is learned.
      mask_axis: the axis of the scores that is masked, "keys". The published reference masks "queries",
        which has no effect: it adds the same number to all scores of a query, and softmax cancels it.
        "queries" and "none" are here for comparison.
      rezero: zeroes masked positions of input and output. False is for comparison with the reference.

    Input and output: [b, s, d] floating point.
    """

    def __init__(
        self,
        *,
        residual: bool = False,
        initializer: Any = "glorot_uniform",
        mask_axis: MaskAxis = "keys",
        rezero: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.residual, self.mask_axis, self.rezero = residual, mask_axis, rezero
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape: Any) -> None:
        """Creates the three projections, [d, d] each."""
        width = input_shape[-1]
        initializers = {"query": self.initializer, "key": self.initializer, "value": "glorot_uniform"}
        self.query, self.key, self.value = (
            self.add_weight(shape=(width, width), initializer=initializer, name=name)
            for name, initializer in initializers.items()
        )

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Returns the attended values, zero where masked."""
        return super().call(inputs, mask) if self.rezero else self.transform(inputs, mask)

    def transform(self, inputs: Any, mask: Any) -> Any:
        """[b, s, d]."""
        value_bkd = ops.matmul(inputs, self.value)
        mixed_bqd = ops.matmul(self.attention(inputs, mask), value_bkd)
        return inputs + mixed_bqd if self.residual else mixed_bqd

    def attention(self, inputs: Any, mask: Any) -> Any:
        """Computes the attention weights: how much each position attends to each other.

        Args:
          inputs: [b, s, d], zero where masked.
          mask: [b, s] boolean or None.

        Returns:
          [b, q, k]; the weights of each query sum to 1.
        """
        query_bqd, key_bkd = ops.matmul(inputs, self.query), ops.matmul(inputs, self.key)
        scores_bqk = ops.matmul(query_bqd, ops.transpose(key_bkd, (0, 2, 1)))
        scores_bqk = scores_bqk * inputs.shape[-1] ** -0.5
        if mask is not None and self.mask_axis == "keys":
            scores_bqk = ops.where(mask[:, None, :], scores_bqk, lowest_score(scores_bqk.dtype))
        if mask is not None and self.mask_axis == "queries":
            padding_bq = ops.cast(ops.logical_not(mask), scores_bqk.dtype)
            scores_bqk = scores_bqk - 1e9 * padding_bq[:, :, None]
        return ops.softmax(scores_bqk, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Mirrors `__init__`."""
        return super().get_config() | {
            "residual": self.residual,
            "initializer": keras.initializers.serialize(self.initializer),
            "mask_axis": self.mask_axis,
            "rezero": self.rezero,
        }


@keras.saving.register_keras_serializable("maskline")
class FlattenRows(MaskedLayer):
    """Flattens each row, and ends the mask on purpose.

    The output has no axis of positions, so a mask would have no meaning. Masked positions are zeroed first,
    so the dense layers that follow read nothing from them.

    Args:
      rezero: False does not zero them, which is for comparison with the reference.

    Input: [b, s, d]. Output: [b, s·d].
    """

    ends_mask = True

    def __init__(self, *, rezero: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rezero = rezero

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Returns [b, s·d], zero where masked."""
        return super().call(inputs, mask if self.rezero else None)

    def transform(self, inputs: Any, mask: Any) -> Any:
        """[b, s·d]."""
        _, length, width = inputs.shape
        return ops.reshape(inputs, (-1, length * width))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """[b, s·d]."""
        batch, length, width = input_shape
        return (batch, length * width)

    def get_config(self) -> dict[str, Any]:
        """Mirrors `__init__`."""
        return super().get_config() | {"rezero": self.rezero}


@keras.saving.register_keras_serializable("maskline")
class MaskedPooling(MaskedLayer):
    """Pools the real positions of each row by attention with learned queries, and ends the mask on purpose.

    Lee et al., 2019, "Set Transformer", section 3.2. Each query takes a weighted average of the positions,
    so the output has the same size for rows of any length. It is zero for a row that is all padding.

    Args:
      queries: number of queries.
      positions: of a whole answer, which the queries are divided among; with 1 there is no axis of them.

    Input: [b, s, d] floating point. Output: [b, queries·d], or [b, positions, queries/positions·d].
    """

    ends_mask = True

    def __init__(self, queries: int, positions: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.queries, self.positions = queries, positions

    def build(self, input_shape: Any) -> None:
        """Creates the queries, [d, queries]."""
        self.query = self.add_weight(shape=(input_shape[-1], self.queries), name="queries")

    def transform(self, inputs: Any, mask: Any) -> Any:
        """[b, queries·d], or [b, positions, queries/positions·d]."""
        scores_bqk = ops.transpose(ops.matmul(inputs, self.query), (0, 2, 1))
        if mask is not None:
            scores_bqk = ops.where(mask[:, None, :], scores_bqk, lowest_score(scores_bqk.dtype))
        pooled_bqd = ops.matmul(ops.softmax(scores_bqk, axis=-1), inputs)
        return ops.reshape(pooled_bqd, (-1, *self._pooled(inputs.shape[-1])))

    def _pooled(self, width: int) -> tuple[int, ...]:
        if self.positions == 1:
            return (self.queries * width,)
        return (self.positions, self.queries // self.positions * width)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """[b, queries·d], or [b, positions, queries/positions·d]."""
        return (input_shape[0], *self._pooled(input_shape[-1]))

    def get_config(self) -> dict[str, Any]:
        """Mirrors `__init__`."""
        return super().get_config() | {"queries": self.queries, "positions": self.positions}
