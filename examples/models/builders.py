"""Models of one's own: a bidirectional GRU, a small Transformer and a convolution, each a function.

maskline run --config examples/models/maskline.yaml --set model.build=builders:transformer
"""

import keras
from keras import ops

import maskline


def bidirectional_gru(spec, task, settings):
    """Reads each row in both directions. Recurrent layers of Keras skip what is masked."""
    ids = keras.Input((spec.length,), dtype="int32")
    # Keras' own embedding masks the id 0 alone; this mask knows which id is padding.
    y = maskline.layers.PaddingMask(spec.padding_id)(ids)
    y = maskline.layers.MaskedEmbedding(spec.vocabulary_size, settings.width)(y)
    y = keras.layers.Bidirectional(keras.layers.GRU(settings.width))(y)
    y = keras.layers.Dense(64, activation="relu")(y)
    return keras.Model(ids, keras.layers.Dense(task.outputs)(y), name="bidirectional_gru")


def transformer(spec, task, settings):
    """One encoder block of a Transformer (Vaswani et al., 2017), normalized before each of its parts."""
    ids = keras.Input((spec.length,), dtype="int32")
    y = maskline.layers.PaddingMask(spec.padding_id)(ids)
    y = maskline.layers.MaskedEmbedding(spec.vocabulary_size, settings.width, positions=spec.length)(y)
    normal = keras.layers.LayerNormalization()(y)
    # It masks the keys by the mask that comes with its input.
    attended = keras.layers.MultiHeadAttention(num_heads=4, key_dim=settings.width // 4)(normal, normal)
    y = keras.layers.Add()([y, attended])  # a layer: `y + attended` would drop the mask
    normal = keras.layers.LayerNormalization()(y)
    inner = keras.layers.Dense(64, activation="gelu")(normal)
    y = keras.layers.Add()([y, keras.layers.Dense(settings.width)(inner)])
    y = keras.layers.GlobalAveragePooling1D()(y)
    return keras.Model(ids, keras.layers.Dense(task.outputs)(y), name="transformer")


def convolution(spec, task, settings):
    """Two convolutions and the highest value of each feature (Kim, 2014)."""
    ids = keras.Input((spec.length,), dtype="int32")
    y = maskline.layers.PaddingMask(spec.padding_id)(ids)
    y = maskline.layers.MaskedEmbedding(spec.vocabulary_size, settings.width)(y)
    real = ops.expand_dims(ops.not_equal(ids, spec.padding_id), -1)
    for _ in range(2):
        # Keras' own convolution would let padding flow into its neighbours, and drop the mask.
        y = ops.relu(maskline.layers.MaskedConvolution(5)(y))
    y = ops.max(ops.where(real, y, -1e9), axis=1)
    return keras.Model(ids, keras.layers.Dense(task.outputs)(y), name="convolution")
