"""The presets: their tables, their masks, and that they can be saved."""

import warnings

import keras
import numpy as np
import pytest

from maskline.trainer.mask_lint import mask_findings
from maskline.trainer.model import build_model
from maskline.trainer.settings import PRESETS, ModelSettings, TrainerSettings, takes_any_length
from maskline.trainer.size import parameters, parts_of_batch
from maskline.transform.features import SequenceSpec
from maskline.transform.task import TaskSpec

SPEC = SequenceSpec()
EACH = SequenceSpec(task=TaskSpec(kind="each", feature="defs", classes=("a", "b", "c")))
WHOLE = SequenceSpec(task=TaskSpec(kind="whole", length=5))


def built(preset):
    keras.utils.set_random_seed(0)
    config = TrainerSettings.model_validate({"model": {"preset": preset}}).model
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as Keras' warning of a mask that was destroyed
        return build_model(SPEC, config)


@pytest.fixture(scope="module", params=PRESETS)
def model(request):
    return built(request.param)


def test_reference_table():
    model = built("reference")
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


@pytest.mark.parametrize(
    "given",
    [
        *({"preset": preset} for preset in PRESETS),
        {"width": 5, "kernel": 3, "hidden": (7,), "queries": 2, "normalize": False},
        {"width": 3, "kernel": 0, "hidden": (), "queries": 0},
    ],
)
def test_parameters_are_counted_before_a_model_is_built(given):
    settings = TrainerSettings.model_validate({"model": given})
    assert parameters(SPEC, settings) == build_model(SPEC, settings.model).count_params()


def test_presets_have_no_more_parameters_than_the_reference(model):
    assert model.count_params() <= 49_145


def test_no_padding_reaches_an_answer_but_in_the_reference():
    ids = np.array([[3, 5, 11, 1, 3] + [0] * 15, [4, 5, 12] + [0] * 17])
    leaks = {preset: [str(found) for found in mask_findings(built(preset), ids)] for preset in PRESETS}
    assert leaks["default"] == leaks["length-free"] == leaks["text"] == []
    [attention] = leaks["reference"]
    assert "'reflect' (MaskedSelfAttention) keeps the mask, yet padding reaches" in attention


def test_length_free_answers_the_same_at_any_length():
    model = built("length-free")
    ids = np.array([[3, 5, 11, 1, 3]])
    answers = [np.asarray(model(np.pad(ids, ((0, 0), (0, more))))) for more in (0, 1, 15)]
    for answer in answers[1:]:
        np.testing.assert_allclose(answer, answers[0], rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="rows of 21 ids, but embeddings of 20 positions"):
        model(np.pad(ids, ((0, 0), (0, 16))))


@pytest.mark.parametrize("kind", ["first", "whole", "each"])
def test_models_that_neither_flatten_rows_nor_leak_padding_take_shorter_ones(kind):
    spec = {"first": SPEC, "whole": WHOLE, "each": EACH}[kind]
    for preset in PRESETS:
        settings = TrainerSettings.model_validate({"model": {"preset": preset}}).model
        length = build_model(spec, settings).input_shape[1]
        assert length == (20 if preset == "reference" else None), preset
        assert takes_any_length(settings, spec) == (length is None)
    assert not takes_any_length(ModelSettings(queries=0), SPEC)
    for any_length in (False, True):
        assert (
            takes_any_length(ModelSettings(attention_mask="none", any_length=any_length), spec) == any_length
        )
        assert takes_any_length(ModelSettings(build="own:model", any_length=any_length), spec) == any_length


@pytest.mark.parametrize(
    ("rows", "length", "given", "expected"),
    [
        (64, 20, {}, 1),
        (128, 15, {}, 2),
        (512, 15, {}, 8),
        (500, 15, {}, 10),
        (502, 15, {}, 1),  # 2 times 251: parts of one row would be slow
        (64, 200, {}, 16),
        (8, 2000, {}, 8),
        (8, 2000, {"kernel": 0}, 8),  # attention has the square of the length
        (512, 15, {"build": "own:model"}, 1),  # it may look at all rows of its batch
        (512, 15, {"hidden": [10_000]}, 1),
    ],
)
def test_batches_are_divided_where_the_cache_does_not_hold_them(rows, length, given, expected):
    settings = TrainerSettings.model_validate({"model": given})
    assert parts_of_batch(SequenceSpec(length=length), settings, rows, length) == expected


def test_what_the_padding_id_is_embedded_as_changes_nothing(model):
    ids = np.array([[3, 5, 11, 1, 3] + [0] * 15])
    before = np.asarray(model(ids))
    table = model.get_layer("embed").table
    kept = np.asarray(table)
    table.assign(np.where(np.arange(20)[:, None] == 0, 1e3, kept))
    np.testing.assert_array_equal(model(ids), before)
    table.assign(kept)


def test_all_padding_has_a_finite_answer(model):
    assert np.isfinite(np.asarray(model(np.zeros((2, 20), int)))).all()


def test_saved_model_answers_the_same(model, tmp_path):
    ids = np.random.default_rng(0).integers(0, 20, (4, 20))
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(copy(ids), model(ids))


@pytest.mark.parametrize("preset", ["default", "length-free", "text"])
def test_whole_answers_have_positions_that_no_padding_reaches(preset, tmp_path):
    keras.utils.set_random_seed(0)
    settings = TrainerSettings.model_validate({"model": {"preset": preset}})
    whole = build_model(WHOLE, settings.model)
    assert whole.count_params() == parameters(WHOLE, settings) <= 49_145
    rng = np.random.default_rng(0)
    x = np.where(np.arange(20) < rng.integers(1, 21, (8, 1)), rng.integers(2, 20, (8, 20)), 0)
    logits = whole.predict(x, verbose=0)
    assert logits.shape == (8, 5, 20)
    assert not mask_findings(whole, x)
    # A row of one symbol is the same average for every query, and its positions differ all the same.
    [of_one] = whole.predict(np.array([[7] * 5 + [0] * 15]), verbose=0)
    assert len(np.unique(of_one, axis=0)) == 5
    whole.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), logits)


@pytest.mark.parametrize("preset", ["default", "length-free", "text"])
def test_each_position_has_an_answer_that_no_padding_reaches(preset, tmp_path):
    keras.utils.set_random_seed(0)
    settings = TrainerSettings.model_validate({"model": {"preset": preset}})
    each = build_model(EACH, settings.model)
    assert each.count_params() == parameters(EACH, settings)
    rng = np.random.default_rng(0)
    x = np.where(np.arange(20) < rng.integers(1, 20, (8, 1)), rng.integers(2, 20, (8, 20)), 0)
    logits = each.predict(x, verbose=0)
    assert logits.shape == (8, 20, 3)
    assert not mask_findings(each, x)
    np.testing.assert_array_equal(logits[x == 0], 0)
    assert logits[x != 0].any(axis=-1).all()
    each.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), logits)
