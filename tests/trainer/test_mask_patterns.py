"""Public model patterns: the lint's verdict is the truth, which each test finds out by itself.

The truth: the embedding of the padding id becomes noise, padding is cut off or appended, and real answers
are compared, with nothing but the model's own `predict`. No line here says which pattern is right.
"""

import warnings

import keras
import numpy as np
import pytest
from keras import layers, ops

from maskline.trainer.layers import FlattenRows, MaskedEmbedding, MaskedPooling, MaskedSelfAttention
from maskline.trainer.mask_lint import mask_findings
from maskline.trainer.masking import PaddingMask

IDS = np.array([[5, 2, 7, 0, 0, 0, 0], [1, 3, 4, 6, 0, 0, 0], [2, 8, 3, 5, 6, 1, 0], [4, 1, 0, 0, 0, 0, 0]])
SIZE, WIDTH, LENGTH = 12, 8, IDS.shape[1]
# Keras says at construction what the lint is asked to say.
pytestmark = pytest.mark.filterwarnings("ignore:Layer .* destroy the mask information:UserWarning")


class Positions(layers.Layer):
    """Token and position embeddings in one layer, as Keras' text classification example has them."""

    def __init__(self, mask_zero=False, **kwargs):
        super().__init__(**kwargs)
        self.tokens = layers.Embedding(SIZE, WIDTH, mask_zero=mask_zero, name="tokens")
        self.places = layers.Embedding(20, WIDTH)
        self.supports_masking = True

    def call(self, x):
        return self.tokens(x) + self.places(ops.arange(0, ops.shape(x)[-1]))

    def compute_mask(self, x, mask=None):
        return self.tokens.compute_mask(x)


class Block(layers.Layer):
    """The Transformer block of the same example."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.attend = layers.MultiHeadAttention(2, WIDTH)
        self.feed = keras.Sequential([layers.Dense(WIDTH, activation="relu"), layers.Dense(WIDTH)])
        self.norms = [layers.LayerNormalization(), layers.LayerNormalization()]

    def call(self, x):
        y = self.norms[0](x + self.attend(x, x))
        return self.norms[1](y + self.feed(y))


class OwnCall(keras.Model):
    """A model with a `call` of its own, which masks its mean or does not."""

    def __init__(self, masked, **kwargs):
        super().__init__(**kwargs)
        self.tokens, self.dense = layers.Embedding(SIZE, WIDTH, name="tokens"), layers.Dense(3)
        self.masked = masked

    def call(self, ids):
        x = self.tokens(ids)
        if not self.masked:
            return self.dense(ops.mean(x, axis=1))
        mask = ops.cast(ids != 0, x.dtype)[..., None]
        return self.dense(ops.sum(x * mask, axis=1) / ops.sum(mask, axis=1))


def tokens(ids, mask_zero=True):
    return layers.Embedding(SIZE, WIDTH, mask_zero=mask_zero, name="tokens")(ids)


def post_norm(x):
    return layers.LayerNormalization()(layers.Add()([x, layers.MultiHeadAttention(2, 4)(x, x)]))


def pre_norm(x):
    y = layers.LayerNormalization()(x)
    return x + layers.MultiHeadAttention(2, 4)(y, y)


def real(ids):
    return ops.not_equal(ids, 0)


def masked_average(x, ids):
    return layers.GlobalAveragePooling1D()(x, mask=real(ids))


def sequence(build, mask_zero=True, length=None):
    def model():
        ids = keras.Input((length,), dtype="int32")
        return keras.Model(ids, build(tokens(ids, mask_zero), ids))

    return model


def opaque(build):
    def model():
        ids = keras.Input((None,), dtype="int32")
        return keras.Model(ids, build(ids))

    return model


def handmade_attention(x, ids, axis):
    """Scores, a large negative number where there is padding, softmax: on keys (2) or on queries (1)."""
    scores = ops.matmul(x, ops.transpose(x, (0, 2, 1)))
    hidden = ops.expand_dims(ops.cast(ops.equal(ids, 0), "float32"), 3 - axis)
    return masked_average(ops.matmul(ops.softmax(scores - 1e9 * hidden), x), ids)


def translator(step):
    """Encoder and decoder, each with padding of its own."""

    def model():
        source, target = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
        encoded = layers.Embedding(SIZE, WIDTH, mask_zero=True, name="tokens")(source)
        return keras.Model([source, target], step(encoded, tokens_of_target(target)))

    return model


def tokens_of_target(target):
    return layers.Embedding(SIZE, WIDTH, mask_zero=True, name="target_tokens")(target)


def states_to_decoder(encoded, target):
    _, *states = layers.LSTM(WIDTH, return_state=True)(encoded)
    return layers.Dense(SIZE)(layers.LSTM(WIDTH, return_sequences=True)(target, initial_state=states))


def luong(encoded, target):
    encoded = layers.LSTM(WIDTH, return_sequences=True)(encoded)
    target = layers.LSTM(WIDTH, return_sequences=True)(target)
    return layers.Dense(SIZE)(layers.Concatenate()([layers.Attention()([target, encoded]), target]))


def last_state_unmasked(encoded, target):
    summary = layers.GlobalMaxPooling1D()(layers.Conv1D(WIDTH, 3, padding="same")(encoded))
    return layers.LSTM(WIDTH, return_sequences=True)(target, initial_state=[summary, summary])


def siamese():
    ids = [keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")]
    shared = layers.Embedding(SIZE, WIDTH, mask_zero=True, name="tokens")
    pooled = [layers.GlobalAveragePooling1D()(shared(x)) for x in ids]
    return keras.Model(ids, layers.Dot(1)(pooled))


def with_mask_input(heeded):
    def model():
        ids = keras.Input((None,), dtype="int32", name="token_ids")
        mask = keras.Input((None,), dtype="int32", name="attention_mask")
        x = Positions(name="embed")(ids)
        attended = ops.cast(mask, "bool")[:, None, :] if heeded else None
        x = x + layers.MultiHeadAttention(2, 4)(x, x, attention_mask=attended)
        return keras.Model([ids, mask], layers.Dense(2)(x[:, 0]))

    return model


def bidirectional(**options):
    return layers.Bidirectional(layers.LSTM(4, **options))


PATTERNS = {
    "masked average": sequence(lambda x, ids: layers.GlobalAveragePooling1D()(x)),
    "unmasked average": sequence(lambda x, ids: layers.GlobalAveragePooling1D()(x), mask_zero=False),
    "unmasked maximum": sequence(lambda x, ids: layers.GlobalMaxPooling1D()(x)),
    "mean of a function": sequence(lambda x, ids: ops.mean(x, axis=1)),
    "sum of a function": sequence(lambda x, ids: ops.sum(x, axis=1)),
    "sum of what was zeroed": sequence(
        lambda x, ids: ops.sum(ops.where(real(ids)[..., None], x, 0.0), axis=1)
    ),
    "mean of what was zeroed": sequence(
        lambda x, ids: ops.mean(ops.where(real(ids)[..., None], x, 0.0), axis=1)
    ),
    "flatten": sequence(lambda x, ids: layers.Dense(3)(layers.Flatten()(x)), length=LENGTH),
    "reshape": sequence(lambda x, ids: layers.Dense(3)(layers.Reshape((LENGTH * WIDTH,))(x)), length=LENGTH),
    "flatten of what was zeroed": sequence(
        lambda x, ids: layers.Dense(3)(layers.Flatten()(ops.where(real(ids)[..., None], x, 0.0))),
        length=LENGTH,
    ),
    "lstm": sequence(lambda x, ids: layers.LSTM(4)(x)),
    "lstm, no mask": sequence(lambda x, ids: layers.LSTM(4)(x), mask_zero=False),
    "gru, mask given": sequence(lambda x, ids: layers.GRU(4)(x, mask=real(ids)), mask_zero=False),
    "lstm's last step": sequence(lambda x, ids: layers.LSTM(4, return_sequences=True)(x)[:, -1]),
    "lstm's maximum": sequence(lambda x, ids: ops.max(layers.LSTM(4, return_sequences=True)(x), axis=1)),
    "lstm's maximum by a layer": sequence(
        lambda x, ids: layers.GlobalMaxPooling1D()(layers.LSTM(4, return_sequences=True)(x))
    ),
    "lstm's mean of a function": sequence(
        lambda x, ids: ops.mean(layers.LSTM(4, return_sequences=True)(x), axis=1)
    ),
    "bidirectional": sequence(lambda x, ids: bidirectional()(x)),
    "bidirectional's last step": sequence(lambda x, ids: bidirectional(return_sequences=True)(x)[:, -1]),
    "stacked": sequence(lambda x, ids: layers.LSTM(4)(bidirectional(return_sequences=True)(x))),
    "tagger": sequence(
        lambda x, ids: layers.TimeDistributed(layers.Dense(3))(bidirectional(return_sequences=True)(x))
    ),
    "tagger, no mask": sequence(
        lambda x, ids: layers.Dense(3)(bidirectional(return_sequences=True)(x)), mask_zero=False
    ),
    "tagger by position": sequence(lambda x, ids: layers.Dense(3)(x), mask_zero=False),
    "convolution, maximum": sequence(
        lambda x, ids: layers.GlobalMaxPooling1D()(layers.Conv1D(6, 3, padding="same", activation="relu")(x))
    ),
    "convolution, lstm": sequence(
        lambda x, ids: layers.LSTM(4)(layers.MaxPooling1D(2)(layers.Conv1D(6, 2, padding="same")(x))),
        mask_zero=False,
    ),
    "causal convolution, tagger": sequence(
        lambda x, ids: layers.Dense(3)(layers.Conv1D(6, 3, padding="causal")(x)), mask_zero=False
    ),
    "post-norm, masked average": sequence(lambda x, ids: masked_average(post_norm(x), ids)),
    "post-norm, plain average": sequence(lambda x, ids: layers.GlobalAveragePooling1D()(post_norm(x))),
    "pre-norm, masked average": sequence(lambda x, ids: masked_average(pre_norm(x), ids)),
    "two post-norm blocks": sequence(lambda x, ids: masked_average(post_norm(post_norm(x)), ids)),
    "attention, first position": sequence(lambda x, ids: layers.MultiHeadAttention(2, 4)(x, x)[:, 0]),
    "attention, no mask, first position": sequence(
        lambda x, ids: layers.MultiHeadAttention(2, 4)(x, x)[:, 0], mask_zero=False
    ),
    "causal attention, tagger": sequence(
        lambda x, ids: layers.Dense(3)(layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True)),
        mask_zero=False,
    ),
    "mask on keys by hand": sequence(lambda x, ids: handmade_attention(x, ids, 2), mask_zero=False),
    "mask on queries by hand": sequence(lambda x, ids: handmade_attention(x, ids, 1), mask_zero=False),
    "normalized over positions": sequence(
        lambda x, ids: masked_average(layers.LayerNormalization(axis=[1, 2])(x), ids), length=LENGTH
    ),
    "batch normalized": sequence(
        lambda x, ids: layers.GlobalAveragePooling1D()(layers.BatchNormalization()(x))
    ),
    "keras' text classification": opaque(
        lambda ids: layers.Dense(2)(layers.GlobalAveragePooling1D()(Block()(Positions(name="embed")(ids))))
    ),
    "the same with a mask": opaque(
        lambda ids: layers.Dense(2)(masked_average(Block()(Positions(True, name="embed")(ids)), ids))
    ),
    "the same with a mask and a plain average": opaque(
        lambda ids: layers.Dense(2)(
            layers.GlobalAveragePooling1D()(Block()(Positions(True, name="embed")(ids)))
        )
    ),
    "one-hot, dense, mean": opaque(lambda ids: ops.mean(layers.Dense(4)(ops.one_hot(ids, SIZE)), axis=1)),
    "one-hot, masked average": opaque(
        lambda ids: masked_average(layers.Dense(4)(ops.one_hot(ids, SIZE)), ids)
    ),
    "bag of ids": opaque(lambda ids: ops.sum(ops.one_hot(ids, SIZE), axis=1)),
    "bag of ids without padding": opaque(lambda ids: ops.sum(ops.one_hot(ids, SIZE), axis=1)[:, 1:]),
    "states to a decoder": translator(states_to_decoder),
    "luong attention": translator(luong),
    "summary without mask to a decoder": translator(last_state_unmasked),
    "siamese": siamese,
    "attention mask as input": with_mask_input(True),
    "attention mask as input, unread": with_mask_input(False),
    "call of its own": lambda: OwnCall(False),
    "call of its own, masked": lambda: OwnCall(True),
    "ours": opaque(
        lambda ids: MaskedPooling(2)(
            MaskedSelfAttention()(MaskedEmbedding(SIZE, WIDTH, name="tokens")(PaddingMask()(ids)))
        )
    ),
    "ours, no key mask": opaque(
        lambda ids: MaskedPooling(2)(
            MaskedSelfAttention(mask_axis="none")(
                MaskedEmbedding(SIZE, WIDTH, name="tokens")(PaddingMask()(ids))
            )
        )
    ),
    "ours, flat": sequence(lambda x, ids: layers.Dense(3)(FlattenRows()(x)), length=LENGTH),
}


def sample_for(model):
    kinds = [x.name for x in getattr(model, "inputs", [])]
    if "attention_mask" in kinds:
        return [IDS, (IDS != 0).astype("int32")]
    return [IDS, IDS[::-1, :6].copy()] if len(kinds) > 1 else IDS


def tables(model):
    named = [layer for layer in model._flatten_layers() if "tokens" in layer.name]
    return [layer.weights[0] for layer in named] or [
        layer.weights[0]
        for layer in model._flatten_layers()
        if isinstance(layer, layers.Dense) and layer.built
    ][:1]


def answers(model, sample):
    """Answers at real positions, or whole where an answer has none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = np.asarray(ops.convert_to_numpy(model(sample, training=False)), "float64")
    follows = sample[-1] if isinstance(sample, list) else sample
    if answer.ndim == 3 and answer.shape[1] == follows.shape[1]:
        return answer[follows != 0]
    return answer


def padding_matters(model, sample):
    """The truth: whether any change of padding changes a real answer."""
    before, others = answers(model, sample), []
    for table in tables(model):
        kept = ops.convert_to_numpy(table.value)
        for loud in (3.0, -3.0):
            changed = kept.copy()
            changed[0] = loud * (1 + np.arange(changed.shape[1]))
            table.assign(changed)
            others.append(answers(model, sample))
        table.assign(kept)
    limit = 1e-4 * np.abs(before).max()
    if any(not np.allclose(before, other, rtol=0, atol=limit) for other in others):
        return True
    for row in (0, 2):
        alone = [x[row : row + 1] for x in (sample if isinstance(sample, list) else [sample])]
        # Without its padding, with as much as it has, and with more of it.
        lengths = [max((alone[0] != 0).sum(), (alone[-1] != 0).sum()), LENGTH, LENGTH + 4]
        given = [[np.pad(x, ((0, 0), (0, 4)))[:, :length] for x in alone] for length in lengths]
        try:
            bare, *padded = (answers(model, x if isinstance(sample, list) else x[0]) for x in given)
        except ValueError:
            return False  # rows of one length only
        if any(not np.allclose(bare, other, rtol=0, atol=limit) for other in padded):
            return True
    return False


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_verdict_is_the_truth(pattern):
    keras.utils.set_random_seed(3)
    model = PATTERNS[pattern]()
    sample = sample_for(model)
    matters = padding_matters(model, sample)
    assert bool(mask_findings(model, sample)) == matters


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16", "float16"])
@pytest.mark.parametrize(
    "pattern", ["post-norm, masked average", "mask on keys by hand", "mask on queries by hand"]
)
def test_the_verdict_does_not_depend_on_precision(pattern, precision):
    keras.utils.set_random_seed(3)
    matters = padding_matters(PATTERNS[pattern](), IDS)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        model = PATTERNS[pattern]()
    finally:
        keras.config.set_dtype_policy(before)
    assert bool(mask_findings(model, IDS)) == matters


def test_the_table_has_both_verdicts():
    """What the names of these say is the truth, so that a truth that is always the same is seen."""
    expected = {
        "masked average": False,
        "unmasked average": True,
        "call of its own, masked": False,
        "flatten": True,
    }
    found = {}
    for pattern in expected:
        model = PATTERNS[pattern]()
        found[pattern] = padding_matters(model, sample_for(model))
    assert found == expected
