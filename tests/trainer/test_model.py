"""The reference model: its table, its masks, and that it can be saved."""

import warnings

import keras
import numpy as np
import pytest

from trainer.config import ModelConfig
from trainer.model import build_model
from transform.features import SequenceSpec

SPEC = SequenceSpec()


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as Keras' warning of a mask that was destroyed
        return build_model(SPEC, ModelConfig())


def test_reference_table(model):
    table = [(layer.name, layer.count_params()) for layer in model.layers[1:]]
    assert table == [
        ("masking", 0),
        ("embed", 300),
        ("reflect", 675),
        ("reshape", 0),
        ("dense", 45_150),
        ("dbd", 3_020),
    ]
    assert model.get_layer("reshape").output.shape == (None, 300)
    assert model.count_params() == 49_145


def test_what_the_padding_id_is_embedded_as_changes_nothing(model):
    ids = np.array([[3, 5, 11, 1, 3] + [0] * 15])
    before = np.asarray(model(ids))
    table = model.get_layer("embed").table
    table.assign(np.where(np.arange(20)[:, None] == 0, 1e3, np.asarray(table)))
    np.testing.assert_array_equal(model(ids), before)


def test_all_padding_has_a_finite_answer(model):
    assert np.isfinite(np.asarray(model(np.zeros((2, 20), int)))).all()


def test_saved_model_answers_the_same(model, tmp_path):
    ids = np.random.default_rng(0).integers(0, 20, (4, 20))
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(copy(ids), model(ids))
