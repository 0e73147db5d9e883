"""Builds the masked Keras model. The `reference` preset has the names and sizes of the reference table."""

import keras

from maskline.trainer.layers import (
    FlattenRows,
    MaskedConvolution,
    MaskedEmbedding,
    MaskedNormalization,
    MaskedPooling,
    MaskedSelfAttention,
)
from maskline.trainer.masking import PaddingMask
from maskline.trainer.settings import ModelSettings
from maskline.transform.features import ROW, SequenceSpec


def build_model(spec: SequenceSpec, config: ModelSettings) -> keras.Model:
    """Builds the model; weights are drawn from Keras' global seed.

    Args:
      spec: length, vocabulary and padding id.
      config: what it is made of.

    Returns:
      a model from [batch, length] integer ids to [batch, vocabulary] float32 logits. With
      `config.any_length`, rows have any length from 1 to `spec.length`.
    """
    ids = keras.Input((None if config.any_length else spec.length,), dtype="int32", name=ROW)
    y = PaddingMask(spec.pad_id, name="masking")(ids)
    y = MaskedEmbedding(
        spec.size,
        config.width,
        positions=spec.length if config.any_length else 0,
        # Identity attention tells like from unlike at once if ids differ by more than their surroundings.
        initializer=keras.initializers.RandomNormal(stddev=0.5)
        if config.attention_init == "identity"
        else config.attention_init,
        name="embed",
    )(y)
    y = _dropped(y, config.dropout, 0)
    if config.kernel:
        y = MaskedConvolution(config.kernel, name="convolve")(y)
    if config.normalize:
        y = MaskedNormalization(name="normalize")(y)
    y = MaskedSelfAttention(
        residual=config.residual,
        initializer=config.attention_init,
        mask_axis=config.attention_mask,
        rezero=config.rezero,
        name="reflect",
    )(y)
    if config.normalize:
        y = MaskedNormalization(name="normalize_1")(y)
    if config.queries:
        y = MaskedPooling(config.queries, name="pool")(y)
    else:
        y = FlattenRows(rezero=config.rezero, name="reshape")(y)
    for index, units in enumerate(config.hidden):
        y = _dropped(y, config.dropout, index + 1)
        y = keras.layers.Dense(units, activation="relu", name=f"dense_{index}" if index else "dense")(y)
    y = _dropped(y, config.dropout, len(config.hidden) + 1)
    logits = keras.layers.Dense(spec.size, name="dbd", dtype="float32")(y)
    return keras.Model(ids, logits, name="maskline")


def _dropped(values: keras.KerasTensor, rate: float, index: int) -> keras.KerasTensor:
    # Named, since Keras numbers on from model to model, and a checkpoint tells layers by name.
    return keras.layers.Dropout(rate, name=f"dropout_{index}")(values) if rate else values
