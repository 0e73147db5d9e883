"""Laws of the mask lint: what stands in padding is found where it goes on, and nowhere else."""

import doctest
import warnings

import keras
import numpy as np
import pytest
from keras import layers, ops

from maskline.trainer import mask_lint
from maskline.trainer.layers import FlattenRows, MaskedEmbedding, MaskedSelfAttention
from maskline.trainer.mask_lint import MaskFinding, mask_findings, mask_report
from maskline.trainer.masking import PaddingMask

IDS = np.array([[5, 2, 0, 0], [1, 3, 4, 0], [2, 0, 0, 0]], "int32")
VECTORS = np.random.default_rng(0).normal(size=(3, 4, 6)).astype("float32")

# Keras says at construction what the lint is asked to say.
destroys_mask = pytest.mark.filterwarnings("ignore:Layer .* destroy the mask information:UserWarning")


class MaskOnQueries(layers.Layer):
    """Attention as it is often published: the mask is added along the query axis, and softmax cancels it."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        scores_bqk = ops.matmul(inputs, ops.transpose(inputs, (0, 2, 1)))
        padding_bq = ops.cast(ops.logical_not(mask), scores_bqk.dtype)
        return ops.matmul(ops.softmax(scores_bqk - 1e9 * padding_bq[:, :, None]), inputs)


class Halves(layers.Layer):
    """Two outputs, of which `leaky` says whether the second, which carries no mask, reads padding."""

    def __init__(self, leaky, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking, self.leaky = True, leaky

    def call(self, inputs, mask=None):
        rows = inputs if self.leaky else ops.where(mask[..., None], inputs, 0.0)
        return inputs * 0.5, ops.sum(rows, axis=1)

    def compute_mask(self, inputs, mask=None):
        return [mask, None]


class MaskedNoise(layers.Layer):
    """Adds random numbers, from its own generator or from Keras' global one."""

    def __init__(self, seed, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.seed = None if seed is None else keras.random.SeedGenerator(seed)

    def call(self, inputs):
        return inputs + keras.random.normal(ops.shape(inputs), seed=self.seed)


def masked(function, name):
    """A layer that applies a function and passes the mask on, whether that is right or not."""
    return layers.Lambda(function, mask=lambda inputs, mask: mask, name=name)


def not_a_number_where_loud(x):
    return ops.where(ops.any(ops.abs(x) > 0.5, axis=(1, 2), keepdims=True), np.nan, x)


def embed(ids, width=6):
    return layers.Embedding(9, width, mask_zero=True)(ids)


def found(build, width=6):
    """The findings, without their types, in what `build` makes of embedded ids."""
    ids = keras.Input((4,), dtype="int32")
    model = keras.Model(ids, build(embed(ids, width)))
    return [finding[:2] for finding in mask_findings(model, IDS)]


@destroys_mask
@pytest.mark.parametrize(
    "layer",
    [
        layers.Reshape((24,)),
        layers.Flatten(),
        layers.GlobalMaxPooling1D(),
        layers.Conv1D(3, 3, padding="same"),
        layers.Permute((2, 1)),
    ],
    ids=lambda layer: layer.name,
)
def test_layers_that_drop_the_mask_are_found(layer):
    assert found(layer) == [(layer.name, "dropped")]


@destroys_mask
@pytest.mark.parametrize("reaches", [False, True])
@pytest.mark.parametrize("layer", [layers.RMSNormalization, lambda: layers.Lambda(lambda x: x * 2.0)])
def test_a_dropped_mask_is_information_unless_an_answer_depends_on_it(layer, reaches):
    ids, dropping = keras.Input((4,), dtype="int32"), layer()
    x = dropping(embed(ids))
    model = keras.Model(ids, ops.max(x, axis=1) if reaches else layers.Dense(3)(x))
    findings, notes = mask_report(model, IDS)
    assert [finding.layer_type for finding in findings] == ["Max"] * reaches
    assert notes == [MaskFinding(dropping.name, "dropped", type(dropping).__name__)]


@pytest.mark.parametrize(
    "layer",
    [
        layers.GroupNormalization(1),
        layers.LayerNormalization(axis=[1, 2]),
        MaskOnQueries(),
        masked(not_a_number_where_loud, "nan"),
    ],
    ids=lambda layer: layer.name,
)
def test_layers_that_mix_positions_under_a_mask_are_found(layer):
    assert found(layer) == [(layer.name, "leaks")]


@pytest.mark.parametrize(
    "layer",
    [
        layers.GlobalAveragePooling1D(),
        layers.LSTM(3),
        layers.LSTM(3, return_sequences=True, return_state=True),
        layers.Bidirectional(layers.GRU(3, return_sequences=True)),
        layers.Dense(3, activation="relu"),
        layers.TimeDistributed(layers.Dense(3)),
        layers.LayerNormalization(),
        layers.BatchNormalization(),
        layers.Dropout(0.5),
        MaskedSelfAttention(),
        FlattenRows(),
    ],
    ids=lambda layer: layer.name,
)
def test_layers_that_respect_the_mask_pass(layer):
    assert found(layer) == []


@pytest.mark.parametrize("reduce", [ops.mean, ops.max, ops.min, ops.prod])
def test_operations_on_masked_tensors_are_found(reduce):
    assert [kind for _, kind in found(lambda x: reduce(x, axis=1))] == ["dropped"]


@pytest.mark.parametrize(("reduce", "sign"), [(ops.max, 1), (ops.min, -1)])
def test_padding_that_loses_today_may_win_tomorrow(reduce, sign):
    vectors = keras.Input((4, 6))
    model = keras.Model(vectors, reduce(layers.Masking()(vectors), axis=1))
    sample = np.where(IDS[..., None] > 0, sign * np.abs(VECTORS), 0)
    assert [finding.kind for finding in mask_findings(model, sample)] == ["dropped"]


def test_a_change_within_rounding_passes():
    faint = masked(lambda x: ops.ones_like(x) + 1e-9 * ops.sum(x, axis=1, keepdims=True), "faint")
    assert found(faint) == []


def test_a_mask_that_no_longer_fits_is_a_dropped_one():
    assert found(masked(lambda x: ops.reshape(x, (-1, 24)), "flat")) == [("flat", "dropped")]


def test_an_operation_that_ignores_padding_passes():
    assert found(ops.zeros_like) == []


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_self_attention_of_keras_passes_at_any_precision(dtype):
    attention = layers.MultiHeadAttention(2, 64, dtype=dtype)
    normalized = layers.LayerNormalization(dtype=dtype)
    assert found(lambda x: normalized(attention(x, x, use_causal_mask=True))) == []


def test_cross_attention_is_judged_by_both_masks():
    ids = [keras.Input((4,), dtype="int32"), keras.Input((4,), dtype="int32")]
    query, value = (embed(row) for row in ids)
    model = keras.Model(ids, layers.Attention()([query, value]))
    assert mask_findings(model, [IDS, IDS[::-1].copy()]) == []


def test_a_mask_that_attention_took_off_its_input_is_remembered():
    def residual(x):
        attended = layers.MultiHeadAttention(2, 3, output_shape=6)(x, x)
        # Deeper than the mean below, so that attention runs first.
        return layers.Dense(2)(layers.Dense(2)(attended)), layers.Concatenate(axis=1, name="twice")([x, x])

    assert found(residual) == [("twice", "dropped")]


@pytest.mark.parametrize("merge", [layers.Add, layers.Concatenate, layers.Maximum, layers.Multiply])
def test_merging_under_one_mask_passes(merge):
    assert found(lambda x: merge()([x, layers.Dense(6)(x)])) == []


@pytest.mark.parametrize(("merge", "kinds"), [(layers.Add, ["leaks"]), (layers.Multiply, [])])
def test_merging_under_two_masks_is_judged_by_their_union(merge, kinds):
    ids = [keras.Input((4,), dtype="int32", name=name) for name in "ab"]
    model = keras.Model(ids, merge()([embed(row) for row in ids]))
    sample = {"a": IDS, "b": IDS[::-1].copy()}
    assert [finding.kind for finding in mask_findings(model, sample)] == kinds


def test_ids_are_swapped_for_real_ids():
    ids = keras.Input((4,), dtype="int32")
    # A table of ten rows: an id made of noise would be out of it.
    flat = FlattenRows()(MaskedEmbedding(10, 3)(PaddingMask(7)(ids)))
    assert mask_findings(keras.Model(ids, flat), np.array([[1, 9, 7, 7]])) == []
    summed = ops.sum(PaddingMask(7)(ids), axis=1)
    found = mask_findings(keras.Model(ids, summed), np.array([[1, 9, 7, 7]]))
    assert [(finding.kind, finding.layer_type) for finding in found] == [("dropped", "Sum")]


def test_a_new_mask_that_forgets_the_old_one_is_found():
    ids = keras.Input((4,), dtype="int32")
    # 7 is padding at first and then, as the mask is made anew, an id like others.
    model = keras.Model(ids, layers.Embedding(9, 3, mask_zero=True, name="forgets")(PaddingMask(7)(ids)))
    assert [finding[:2] for finding in mask_findings(model, np.array([[1, 8, 7, 7]]))] == [
        ("forgets", "leaks")
    ]


def test_a_mask_in_the_making_passes():
    ids = keras.Input((4,), dtype="int32")
    # The identity lets Keras compute the mask after the first layer has marked the ids themselves.
    rows = MaskedEmbedding(9, 3)(layers.Identity()(PaddingMask()(ids)))
    assert mask_findings(keras.Model(ids, layers.LSTM(2)(rows)), IDS) == []


def test_a_mask_given_as_an_argument_counts():
    vectors, mask = keras.Input((4, 6)), keras.Input((4,), dtype="bool")
    sample = [VECTORS, IDS > 0]
    assert mask_findings(keras.Model([vectors, mask], layers.LSTM(3)(vectors, mask=mask)), sample) == []
    mixed = MaskOnQueries(name="mixed")(vectors, mask=mask)
    leak = MaskFinding("mixed", "leaks", "MaskOnQueries")
    assert mask_findings(keras.Model([vectors, mask], mixed), sample) == [leak]
    attended = layers.MultiHeadAttention(2, 3, name="attended")(vectors, vectors, query_mask=mask)
    dropped = MaskFinding("attended", "dropped", "MultiHeadAttention")
    assert mask_findings(keras.Model([vectors, mask], attended), sample) == [dropped]


@pytest.mark.parametrize("leaky", [False, True])
def test_each_output_is_judged_by_its_own_mask(leaky):
    assert found(Halves(leaky, name="halves")) == [("halves", "dropped")] * leaky


@destroys_mask
def test_nested_models_are_walked_and_name_the_path():
    rows = keras.Input((4, 6))
    inner = keras.Sequential(
        [keras.Input((4, 6)), layers.Dense(6), layers.Flatten(name="flat")], name="inner"
    )
    model = keras.Model(rows, [inner(rows), layers.GlobalAveragePooling1D()(rows)], name="encoder")
    assert found(model) == [("encoder/inner/flat", "dropped")]


@destroys_mask
def test_a_mask_reaches_into_a_nested_model_of_another_dtype():
    ids, wide = keras.Input((4,), dtype="int32"), keras.Input((4,), dtype="int64")
    inner = keras.Model(wide, layers.Reshape((2, 2), name="pairs")(wide), name="inner")
    model = keras.Model(ids, inner(PaddingMask()(ids)))
    assert mask_findings(model, IDS) == [MaskFinding("inner/pairs", "dropped", "Reshape")]


@destroys_mask
def test_a_nested_model_with_a_call_of_its_own_is_one_layer():
    class Pooled(keras.Model):
        def call(self, inputs):
            return ops.max(inputs, axis=1)

    assert found(Pooled(name="pooled")) == [("pooled", "dropped")]


@destroys_mask
@pytest.mark.parametrize("start", [[keras.Input((4,), dtype="int32")], []], ids=["built", "unbuilt"])
def test_sequential_models_are_walked(start):
    model = keras.Sequential([*start, layers.Embedding(9, 3, mask_zero=True), layers.Flatten(name="flat")])
    assert mask_findings(model, IDS) == [MaskFinding("flat", "dropped", "Flatten")]


@destroys_mask
def test_a_layer_used_twice_is_named_once():
    flat = layers.Flatten(name="flat")
    assert found(lambda x: [flat(x), flat(layers.Dense(6)(x))]) == [("flat", "dropped")]


def test_our_layers_have_no_findings():
    ids = keras.Input((4,), dtype="int32")
    rows = MaskedSelfAttention()(MaskedEmbedding(9, 6)(PaddingMask()(ids)))
    model = keras.Model(ids, layers.Dense(9)(layers.Dense(5, activation="relu")(FlattenRows()(rows))))
    assert mask_findings(model, IDS) == []


@pytest.mark.parametrize("seed", [3, None])
def test_random_layers_are_compared_on_the_same_random_numbers(seed):
    noise = MaskedNoise(seed)
    assert found(lambda x: noise(noise(x))) == []


def test_the_model_and_the_sample_are_left_as_they_were():
    ids = keras.Input((4,), batch_size=3, dtype="int32")
    noise, lstm = MaskedNoise(3), layers.LSTM(2, stateful=True)
    model = keras.Model(ids, lstm(noise(MaskedEmbedding(9, 6)(PaddingMask()(ids)))))
    states = [noise.seed.state, *lstm.states]
    before, sample = [state.numpy().copy() for state in states], ops.convert_to_tensor(IDS)

    def written():
        return [(state.numpy() != old).any() for state, old in zip(states, before, strict=True)]

    mask_findings(model, sample)
    assert written() == [False, False, False]
    assert getattr(sample, "_keras_mask", None) is None
    model(sample)
    assert written() == [True, True, True]


def test_the_run_warns_of_nothing():
    ids = keras.Input((4,), dtype="int32")
    with pytest.warns(UserWarning, match="destroy the mask information"):
        model = keras.Model(ids, layers.Flatten(name="flat")(embed(ids)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mask_findings(model, IDS) == [MaskFinding("flat", "dropped", "Flatten")]


def test_the_run_is_in_inference_whatever_the_graph_says():
    flipped = masked(lambda x, training: x if training is False else ops.flip(x, axis=1), "flipped")
    assert found(lambda x: flipped(layers.Dense(3)(x, training=True), training=True)) == []


def test_findings_say_what_to_do():
    assert str(MaskFinding("encoder/reshape", "dropped", "Reshape")) == (
        "layer 'encoder/reshape' (Reshape) drops the mask and passes on the values of padding: "
        "zero them first, or use a layer that supports masks"
    )
    assert str(MaskFinding("mixed", "leaks", "MaskOnQueries")) == (
        "layer 'mixed' (MaskOnQueries) keeps the mask, yet padding reaches real positions: "
        "mask the keys, or zero padding before positions are mixed"
    )


def test_a_model_without_masks_is_a_finding_of_its_own_where_its_answers_change():
    ids = keras.Input((4,), dtype="int32")
    vectors = layers.Embedding(9, 3)(ids)
    model = keras.Model(ids, layers.LSTM(2)(vectors), name="bare")
    [finding] = mask_findings(model, IDS)
    assert finding == MaskFinding("bare", "unmasked", "Functional")
    assert str(finding) == (
        "model 'bare' (Functional) makes no mask, and its outputs change with the padding: make one, "
        "for example with Embedding(mask_zero=True), and use layers that support it"
    )
    assert mask_findings(keras.Model(ids, layers.Dense(2)(vectors)), IDS) == []


def test_padding_is_what_the_caller_says():
    ids = keras.Input((None,), dtype="int32")
    model = keras.Model(ids, layers.LSTM(2)(layers.Embedding(9, 3)(ids)))
    sample = np.where(IDS, IDS, 7)
    assert [finding.kind for finding in mask_findings(model, sample, padding_id=7)] == ["unmasked"]
    with pytest.raises(ValueError, match="padding_id if padding is neither masked by the model nor zero"):
        mask_findings(model, sample)


def test_padding_at_the_start_is_padding_too():
    def judged(mask_zero):
        ids = keras.Input((None,), dtype="int32")
        model = keras.Model(ids, layers.LSTM(2)(layers.Embedding(9, 3, mask_zero=mask_zero)(ids)))
        return [finding.kind for finding in mask_findings(model, IDS[:, ::-1].copy())]

    assert judged(True) == []
    assert judged(False) == ["unmasked"]


def test_vectors_without_any_mask_are_judged_by_their_zeros():
    vectors = keras.Input((None, 6))
    sample = np.where(IDS[..., None] > 0, VECTORS, 0)
    pooled = keras.Model(vectors, layers.GlobalAveragePooling1D()(vectors))
    assert [finding.kind for finding in mask_findings(pooled, sample)] == ["unmasked"]
    assert mask_findings(keras.Model(vectors, layers.Dense(2)(vectors)), sample) == []


@pytest.mark.parametrize("sample", [np.maximum(IDS, 1), IDS * 0], ids=["all real", "all padding"])
def test_a_sample_that_cannot_tell_is_refused(sample):
    ids = keras.Input((4,), dtype="int32")
    model = keras.Model(ids, layers.LSTM(2)(embed(ids)), name="full")
    with pytest.raises(
        ValueError, match="the sample contains no padding, or only padding: give rows of which some"
    ):
        mask_findings(model, sample)


def test_the_example_in_the_documentation_runs():
    assert doctest.testmod(mask_lint) == (0, 4)


def test_row_of_a_kernel_is_not_taken_for_the_embedding_of_padding():
    """A unit that is 0 for all rows without padding, and not for rows with padding, which are shorter."""
    ids = keras.Input((4,), dtype="int32")
    real = keras.ops.cast(keras.ops.not_equal(ids, 0), "float32")
    short = keras.ops.sum(1 - real, axis=1, keepdims=True)
    vectors = keras.layers.Embedding(9, 16, embeddings_initializer="ones")(ids)
    masked = keras.ops.where(keras.ops.not_equal(ids, 0)[..., None], vectors, 0.0)
    hidden = keras.ops.concatenate([short, keras.ops.sum(masked, axis=1)], axis=1)
    model = keras.Model(ids, keras.layers.Dense(3, kernel_initializer="ones")(hidden))
    sample = np.array([[1, 2, 3, 4], [5, 6, 0, 0]])
    # The number of padded positions does reach the answer here; what stands in them does not.
    assert all(finding.layer_type != "Dense" for finding in mask_findings(model, sample))
