"""Builds the masked Keras model. The names and sizes of its layers are the reference table's."""

import keras

from trainer.config import ModelConfig
from trainer.layers import FlattenRows, MaskedEmbedding, MaskedSelfAttention, PaddingMask
from transform.features import ROW, SequenceSpec


def build_model(spec: SequenceSpec, config: ModelConfig) -> keras.Model:
    """Builds the model; weights are drawn from Keras' global seed.

    Args:
      spec: length, vocabulary and padding id.
      config: sizes.

    Returns:
      a model from [batch, length] integer ids to [batch, vocabulary] float32 logits.
    """
    ids = keras.Input((spec.length,), dtype="int32", name=ROW)
    y = PaddingMask(spec.pad_id, name="masking")(ids)
    y = MaskedEmbedding(spec.size, config.width, name="embed")(y)
    y = MaskedSelfAttention(name="reflect")(y)
    y = FlattenRows(name="reshape")(y)
    y = keras.layers.Dense(config.hidden, activation="relu", name="dense")(y)
    logits = keras.layers.Dense(spec.size, name="dbd", dtype="float32")(y)
    return keras.Model(ids, logits, name="maskline")
