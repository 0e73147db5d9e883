"""Builds the masked Keras model. With the `reference` preset, layers and sizes are those of the reference."""

import keras

from maskline.trainer.layers import (
    AnswerExchange,
    AnswerPositions,
    EachPosition,
    FlattenRows,
    LastSymbolFirst,
    MaskedConvolution,
    MaskedEmbedding,
    MaskedNormalization,
    MaskedPooling,
    MaskedSelfAttention,
)
from maskline.trainer.masking import PaddingMask
from maskline.trainer.settings import ModelSettings, answer_places, takes_any_length
from maskline.transform.features import NUMERIC, ROW, SequenceSpec

EMBEDDING, LOGITS = "embed", "dbd"  # the layers whose weights belong to symbols


def build_model(spec: SequenceSpec, settings: ModelSettings) -> keras.Model:
    """Builds the model, with weights from Keras' global random seed.

    Args:
      spec: length, vocabulary and padding id.
      settings: layers and sizes.

    Returns:
      a model from [batch, length] integer ids to [batch, answers] float32 logits; to
      [batch, positions, answers] where the whole label is predicted; or to [batch, length, answers] where
      each id of a feature has a label, zero at padding. With numeric features it takes a dictionary: `x`, the
      ids, and `numeric` [batch, numbers] float32, which are joined to what the dense layers read. With
      `takes_any_length`, rows have any length from 1 to `spec.length`.
    """
    any_length = takes_any_length(settings, spec)
    ids = keras.Input((None if any_length else spec.length,), dtype="int32", name=ROW)
    y = PaddingMask(spec.pad_id, name="masking")(ids)
    y = MaskedEmbedding(
        spec.size,
        settings.width,
        positions=spec.length if settings.any_length else 0,
        # With identity attention, equal ids attend to each other at once if embeddings are far apart.
        initializer=keras.initializers.RandomNormal(stddev=0.5)
        if settings.attention_init == "identity"
        else settings.attention_init,
        name=EMBEDDING,
    )(y)
    y = _dropped(y, settings.dropout, 0)
    if settings.kernel:
        y = MaskedConvolution(settings.kernel, name="convolve")(y)
    if settings.normalize:
        y = MaskedNormalization(name="normalize")(y)
    y = MaskedSelfAttention(
        residual=settings.residual,
        initializer=settings.attention_init,
        mask_axis=settings.attention_mask,
        rezero=settings.rezero,
        name="reflect",
    )(y)
    if settings.normalize:
        y = MaskedNormalization(name="normalize_1")(y)
    if spec.task.kind == "whole":
        # Each place of the answer has queries of its own; the layers behind them are the same for all.
        places = answer_places(spec)
        y = MaskedPooling(places * settings.queries, positions=places, name="pool")(y)
        y = AnswerPositions(name="positions")(y)
        y = keras.layers.Dense(settings.width, activation="relu", name="gather")(y)
        y = AnswerExchange(name="exchange")(y)
    elif spec.task.kind == "each":
        pass  # each position keeps what is known of it; the layers behind are the same for all
    elif any_length:
        y = MaskedPooling(settings.queries, name="pool")(y)
    else:
        y = FlattenRows(rezero=settings.rezero, name="reshape")(y)
    numbers = keras.Input((spec.numbers,), dtype="float32", name=NUMERIC) if spec.numeric else None
    if numbers is not None:
        y = _beside(y, numbers, spec)
    for index, units in enumerate(settings.hidden):
        y = _dropped(y, settings.dropout, index + 1)
        y = keras.layers.Dense(units, activation="relu", name=f"dense_{index}" if index else "dense")(y)
    y = _dropped(y, settings.dropout, len(settings.hidden) + 1)
    logits = keras.layers.Dense(len(spec.answers), name=LOGITS, dtype="float32")(y)
    if spec.task.kind == "each":
        logits = EachPosition(name="each", dtype="float32")(logits)
    if spec.task.kind == "whole":
        logits = LastSymbolFirst(spec.pad_id, name="read", dtype="float32")(logits)
    inputs = ids if numbers is None else {ROW: ids, NUMERIC: numbers}
    return keras.Model(inputs, logits, name="maskline")


def ids_input(model: keras.Model) -> keras.KerasTensor:
    """The input of ids of a model, which may have one of numbers, too."""
    return model.input[ROW] if isinstance(model.input, dict) else model.input


def _beside(values: keras.KerasTensor, numbers: keras.KerasTensor, spec: SequenceSpec) -> keras.KerasTensor:
    """What was pooled of a row, [batch, units], or of each position of an answer, and the row's numbers."""
    if spec.task.kind == "whole":
        numbers = keras.layers.RepeatVector(answer_places(spec), name="repeat")(numbers)
    return keras.layers.Concatenate(name="beside")([values, numbers])


def _dropped(values: keras.KerasTensor, rate: float, index: int) -> keras.KerasTensor:
    # A name of its own: Keras' numbers continue from model to model, and checkpoints find layers by name.
    return keras.layers.Dropout(rate, name=f"dropout_{index}")(values) if rate else values
