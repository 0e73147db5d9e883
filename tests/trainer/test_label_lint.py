"""The lint of labels: which losses and metrics of anybody's model read labels at padding."""

import keras
import numpy as np
import pytest

from maskline import label_findings

RNG = np.random.default_rng(0)
LENGTHS = np.array([4, 1, 2, 3, 4, 2])
PADDING = np.arange(4) >= LENGTHS[:, None]
LABELS = np.where(PADDING, 0, RNG.integers(1, 5, (6, 4)))
IDS = np.where(PADDING, 0, RNG.integers(1, 5, (6, 4)))
WEIGHTS = (~PADDING).astype("float32")


def tagger(*, mask_zero=False, metric="weighted_metrics", loss=None):
    keras.utils.set_random_seed(0)
    ids = keras.Input((4,), dtype="int32")
    logits = keras.layers.Dense(5)(keras.layers.Embedding(5, 6, mask_zero=mask_zero)(ids))
    model = keras.Model(ids, logits)
    loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    model.compile(loss=loss, **{metric: [accuracy]}, jit_compile=False)
    return model


def names(model, **given):
    return [found.name for found in label_findings(model, IDS, LABELS, PADDING, **given)]


def test_without_mask_and_weights_loss_and_metric_read_padding():
    assert names(tagger()) == ["loss", "accuracy"]


def test_weights_of_zero_keep_both_from_it():
    assert names(tagger(), sample_weight=WEIGHTS) == []


def test_a_metric_that_forgets_the_weights_is_found():
    assert names(tagger(metric="metrics"), sample_weight=WEIGHTS) == ["accuracy"]


def test_the_mask_of_the_output_does_what_weights_do():
    assert names(tagger(mask_zero=True)) == []


def test_a_loss_of_ones_own_that_forgets_the_mask_is_found():
    def mean_over_all(y, logits):
        return keras.ops.mean(keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True))

    class Forgetful(keras.losses.Loss):
        def __call__(self, y, logits, sample_weight=None):
            return mean_over_all(y, logits)

        def call(self, y, logits):
            return mean_over_all(y, logits)

    assert names(tagger(mask_zero=True, loss=Forgetful())) == ["loss"]


def test_a_finding_says_what_to_do():
    [loss, _] = label_findings(tagger(), IDS, LABELS, PADDING)
    assert loss.before != loss.after
    assert str(loss).startswith("'loss' reads labels at padding: it is ")
    assert "give sample weights of zero at padding" in str(loss)


@pytest.mark.parametrize("padding", [np.zeros_like(PADDING), np.ones_like(PADDING)])
def test_a_batch_needs_padding_and_labels(padding):
    with pytest.raises(ValueError, match="no padding, or nothing else"):
        label_findings(tagger(), IDS, LABELS, padding)


def test_a_model_that_measures_nothing_is_refused():
    ids = keras.Input((4,), dtype="int32")
    with pytest.raises(ValueError, match="not compiled"):
        label_findings(keras.Model(ids, keras.layers.Embedding(5, 6)(ids)), IDS, LABELS, PADDING)
