"""Fitting: repeatable for a seed, whatever order Beam wrote the rows in."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.shards import read_shard
from trainer.config import TrainerSettings
from trainer.dataset import Rows, batches, read_rows
from trainer.fit import fit
from transform.errors import InputError
from transform.features import SequenceSpec

SPEC = SequenceSpec(length=5)
RNG = np.random.default_rng(0)
X = RNG.integers(1, 20, (200, 5)).astype(np.int32)
ROWS = Rows(X, X[:, 0].copy())


def write_examples(path, rows):
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for x, y in zip(*rows, strict=True):
            example = tf.train.Example()
            example.features.feature["x"].int64_list.value.extend(x)
            example.features.feature["y"].int64_list.value.append(y)
            writer.write(example.SerializeToString())


def settings(**training):
    return TrainerSettings.model_validate({"training": {"epochs": 2, "batch_size": 16} | training})


def weights(model):
    return np.concatenate([np.ravel(w) for w in model.get_weights()])


def test_rows_are_read_in_an_order_of_their_own(tmp_path):
    write_examples(tmp_path / "a.gz", ROWS)
    write_examples(tmp_path / "b.gz", Rows(ROWS.x[::-1], ROWS.y[::-1]))
    a, b = (read_rows([f"{tmp_path}/{name}.gz"], SPEC) for name in "ab")
    np.testing.assert_array_equal(a.x, b.x)
    np.testing.assert_array_equal(a.y, b.y)
    assert a.digest() == b.digest()
    assert sorted(map(tuple, a.x)) == sorted(map(tuple, ROWS.x))


def test_every_row_is_seen_once_an_epoch_in_a_new_order():
    dataset = batches(ROWS, batch_size=50, seed=3)
    first, second = (np.concatenate([x for x, _ in dataset.as_numpy_iterator()]) for _ in range(2))
    assert sorted(map(tuple, first)) == sorted(map(tuple, ROWS.x))
    assert (first != second).any()
    again = np.concatenate([x for x, _ in batches(ROWS, batch_size=50, seed=3).as_numpy_iterator()])
    np.testing.assert_array_equal(first, again)


def test_same_seed_same_weights(tmp_path):
    one, history = fit(ROWS, ROWS, SPEC, settings(), tmp_path)
    two, _ = fit(ROWS, ROWS, SPEC, settings(), tmp_path)
    other, _ = fit(ROWS, ROWS, SPEC, settings(seed=1), tmp_path)
    np.testing.assert_array_equal(weights(one), weights(two))
    assert (weights(one) != weights(other)).any()
    assert [set(entry) for entry in history] == [
        {"loss", "accuracy", "val_loss", "val_accuracy", "seconds"}
    ] * 2


def test_training_learns(tmp_path):
    model, history = fit(ROWS, ROWS, SPEC, settings(epochs=30, learning_rate=0.01), tmp_path)
    assert history[-1]["val_accuracy"] > 0.9
    assert isinstance(model, keras.Model)


def test_tensorboard_gets_graph_scalars_and_histograms(tmp_path):
    fit(ROWS, ROWS, SPEC, settings(histograms=True), tmp_path)
    plugins = {}
    for file in map(str, tmp_path.rglob("events*")):
        for record in read_shard(file):
            for value in tf.compat.v1.Event.FromString(record.data).summary.value:
                plugins[value.tag] = value.metadata.plugin_data.plugin_name
    assert plugins["keras"] == "graph_keras_model"
    assert plugins["epoch_loss"] == plugins["epoch_accuracy"] == "scalars"
    assert any("embed" in tag and plugin == "histograms" for tag, plugin in plugins.items())


def test_empty_split_is_refused(tmp_path):
    with pytest.raises(InputError, match="split 'eval' holds no rows"):
        fit(ROWS, Rows(ROWS.x[:0], ROWS.y[:0]), SPEC, settings(), tmp_path)
