"""Models of a user's own: the examples train, and what breaks a law is refused by the law and the layer."""

import sys

import keras
import numpy as np
import pytest
from keras import ops

from maskline import layers
from maskline.trainer.building import build_own, check_laws, made_up_rows, rehearse
from maskline.trainer.dataset import Rows
from maskline.trainer.fit import fit
from maskline.trainer.progress import Progress
from maskline.trainer.settings import ModelSettings, TrainerSettings
from maskline.trainer.warm_start import Predecessor, take_weights
from maskline.transform import own_code
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec
from maskline.transform.task import TaskSpec
from tests.support import REPOSITORY

pytestmark = pytest.mark.slow

SPEC = SequenceSpec(length=6)
WHOLE = SequenceSpec(length=6, task=TaskSpec(kind="whole", length=3))
EACH = SequenceSpec(length=6, features=("x",), task=TaskSpec(kind="each", classes=("a", "b", "c")))
RNG = np.random.default_rng(0)
X = np.where(np.arange(6) < RNG.integers(1, 7, (64, 1)), RNG.integers(1, 20, (64, 6)), 0).astype(np.int32)
ROWS = Rows(X, X[:, 0].copy())
EXAMPLES = ("bidirectional_gru", "transformer", "convolution")


@pytest.fixture(autouse=True)
def found(monkeypatch):
    """The examples are found, as beside a settings file; and so is this module."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    own_code.look_in(REPOSITORY / "examples/models")


def settings(build, model=None, **training):
    given = {"build": build, "width": 8} | (model or {})
    return TrainerSettings.model_validate(
        {"model": given, "training": {"epochs": 2, "batch_size": 32, "steps_per_call": 2} | training}
    )


def run(folder, given, rows=ROWS):
    return fit(rows, rows, SPEC, given, log_dir=folder / "logs", checkpoints=folder / "checkpoints")


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_train(tmp_path, name):
    model, history = run(tmp_path, settings(f"builders:{name}", epochs=3, learning_rate=0.02))
    assert model.name == name
    assert history[-1]["val_loss"] < history[0]["val_loss"] < np.log(20) + 0.1
    assert model.output_shape == (None, 20)


def embedded(spec, *, mask=True):
    ids = keras.Input((spec.length,), dtype="int32")
    y = layers.PaddingMask(spec.padding_id)(ids) if mask else ids
    return ids, layers.MaskedEmbedding(spec.vocabulary_size, 4)(y)


def good(spec, task, settings):
    ids, y = embedded(spec)
    return keras.Model(ids, keras.layers.Dense(task.outputs)(layers.MaskedPooling(1)(y)))


def random_head(spec, task, settings):
    """A dropout inside a layer of the user's own, and names that Keras gives."""
    ids, y = embedded(spec)
    y = keras.Sequential([keras.layers.Dropout(0.4), keras.layers.Dense(8)])(layers.MaskedPooling(1)(y))
    return keras.Model(ids, keras.layers.Dense(task.outputs)(y))


def of_positions(spec, task, settings):
    ids, y = embedded(spec)
    return keras.Model(ids, keras.layers.Dense(task.outputs)(y))


class OneClass(keras.Model):
    """A model that is no graph of layers."""

    def __init__(self, spec, task):
        super().__init__()
        self.embed = layers.MaskedEmbedding(spec.vocabulary_size, 4)
        self.mask, self.pool = layers.PaddingMask(spec.padding_id), layers.MaskedPooling(1)
        self.dense = keras.layers.Dense(task.outputs)

    def call(self, ids):
        return self.dense(self.pool(self.embed(self.mask(ids))))


def one_class(spec, task, settings):
    return OneClass(spec, task)


def raises(spec, task, settings):
    return spec.no_such_thing


def nothing(spec, task, settings):
    pass


def a_layer(spec, task, settings):
    return keras.layers.Dense(3)


def two_inputs(spec, task, settings):
    ids, y = embedded(spec)
    other = keras.Input((3,))
    return keras.Model([ids, other], keras.layers.Dense(task.outputs)(layers.MaskedPooling(1)(y)))


def too_narrow(spec, task, settings):
    ids, y = embedded(spec)
    return keras.Model(ids, keras.layers.Dense(task.outputs - 1, name="few")(layers.MaskedPooling(1)(y)))


def probabilities(spec, task, settings):
    model = good(spec, task, settings)
    return keras.Model(model.input, keras.layers.Softmax(name="soft")(model.output))


def infinite(spec, task, settings):
    model = good(spec, task, settings)
    return keras.Model(model.input, keras.layers.Rescaling(float("inf"), name="loud")(model.output))


def no_weights(spec, task, settings):
    ids = keras.Input((spec.length,), dtype="int32")
    return keras.Model(ids, ops.sum(ops.one_hot(ids, task.outputs), axis=1) * 2.0)


def averages(spec, task, settings):
    ids, y = embedded(spec, mask=False)
    y = keras.layers.GlobalAveragePooling1D(name="mean")(y)
    return keras.Model(ids, keras.layers.Dense(task.outputs)(y))


def forgets(spec, task, settings):
    ids, y = embedded(spec)
    y = ops.mean(keras.layers.Dense(4, bias_initializer="ones")(y), axis=1)
    return keras.Model(ids, keras.layers.Dense(task.outputs)(y))


def reads_others(spec, task, settings):
    model = good(spec, task, settings)
    others = ops.mean(model.output, axis=0, keepdims=True)
    return keras.Model(model.input, model.output + others)


def one_length(spec, task, settings):
    ids, y = embedded(spec)
    return keras.Model(ids, keras.layers.Dense(task.outputs)(layers.FlattenRows(name="flat")(y)))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("raises", "raised AttributeError: 'InputSpec' object has no attribute 'no_such_thing' (test_build"),
        ("nothing", "returned nothing; a builder returns a Keras model"),
        ("a_layer", "returned a Dense; a builder returns a Keras model"),
        ("two_inputs", "the model has 2 inputs and 1 outputs; it needs one of each: padded ids, and logits"),
        (
            "too_narrow",
            "gives logits of the shape [rows, outputs] with task.kind=first: [16, 19] instead of [16, 20], "
            "from layer 'few' (Dense)",
        ),
        ("of_positions", "[16, 6, 20] instead of [16, 20], from layer"),
        ("probabilities", "gives logits: layer 'soft' (Softmax) gives probabilities; leave out its softmax"),
        ("infinite", "gives finite numbers: some are not, from layer 'loud' (Rescaling)"),
        ("no_weights", "has weights to train: no layer of"),
        ("averages", "lets no padding reach an answer: model"),
        ("forgets", "lets no padding reach an answer: layer 'mean' (Mean) drops the mask"),
        ("reads_others", "gives a row the same answer in every batch: alone and beside others, logits from"),
    ],
)
def test_what_breaks_a_law_is_refused_by_the_law_and_the_layer(name, words):
    with pytest.raises(InputError) as error:
        rehearse(SPEC, ModelSettings(build=f"{__name__}:{name}"))
    text = str(error.value)
    assert words in text
    assert "\n" not in text
    assert text.startswith(f"model.build: {__name__}:{name}")


def test_the_first_batch_is_asked_too_before_a_step_is_taken(tmp_path, monkeypatch):
    """The rehearsal's rows are made up: a law may be broken by real rows alone."""
    given = settings(f"{__name__}:averages")
    with pytest.raises(InputError, match="lets no padding reach an answer"):
        run(tmp_path, given)
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize(("spec", "shape"), [(WHOLE, "[16, 6, 20] instead of [16, 3, 20]"), (EACH, "")])
def test_answers_with_positions_have_their_own_shape(spec, shape):
    given = ModelSettings(build=f"{__name__}:of_positions")
    if not shape:
        rehearse(spec, given)
        return
    with pytest.raises(InputError) as error:
        rehearse(spec, given)
    assert shape in str(error.value)


def test_a_model_of_any_length_must_take_shorter_rows():
    with pytest.raises(InputError, match=r"takes int32 ids \[rows, 5\]: it raised ValueError"):
        rehearse(SPEC, ModelSettings(build=f"{__name__}:one_length", any_length=True))


def test_a_model_that_is_no_graph_of_layers_is_wrapped_into_one():
    given = ModelSettings(build=f"{__name__}:one_class", any_length=True)
    model = build_own(SPEC, given)
    check_laws(model, made_up_rows(SPEC), SPEC, given)
    assert model.input_shape == (None, None)
    assert model.output_shape == (None, 20)


class Killed(BaseException):
    pass


def test_a_killed_training_of_it_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    given = settings(f"{__name__}:random_head", epochs=2, best_weights=False)
    undisturbed, _ = run(tmp_path / "undisturbed", given)
    save = Progress._save

    def killed(progress):
        save(progress)
        if len(progress.history) == 1:
            raise Killed

    monkeypatch.setattr(Progress, "_save", killed)
    with pytest.raises(Killed):
        run(tmp_path, given)
    monkeypatch.setattr(Progress, "_save", save)
    model, history = run(tmp_path, given)
    assert [entry.get("resumed") for entry in history] == [None, 1]
    for ours, theirs in zip(model.get_weights(), undisturbed.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_warm_start_with_other_symbols_is_refused_as_nobody_knows_which_weights_are_theirs(tmp_path):
    given = ModelSettings(build=f"{__name__}:good")
    model = build_own(SPEC, given)
    model.save(tmp_path / "model.keras")
    take_weights(model, Predecessor(str(tmp_path / "model.keras"), SPEC), SPEC)
    moved = SPEC.model_copy(update={"vocabulary": (*SPEC.vocabulary[:-2], "9", "8")})
    with pytest.raises(InputError, match="symbols or classes are others"):
        take_weights(model, Predecessor(str(tmp_path / "model.keras"), moved), SPEC)
