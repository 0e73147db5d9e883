"""Fitting: repeatable for a seed, goes on after a kill, keeps what was best, and says what is wrong."""

import errno

import keras
import numpy as np
import pytest
import tensorflow as tf

from maskline.components.ingest.shards import read_shard
from maskline.trainer import size
from maskline.trainer.checkpoints import Checkpoints
from maskline.trainer.dataset import Rows
from maskline.trainer.fit import fit
from maskline.trainer.model import build_model
from maskline.trainer.progress import Progress
from maskline.trainer.schedule import Annealing, learning_rate
from maskline.trainer.settings import TrainerSettings
from maskline.trainer.stepping import SteppingModel
from maskline.trainer.warm_start import Predecessor, take_weights
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec
from tests.bench.fitting import Fitting

pytestmark = pytest.mark.slow

SPEC = SequenceSpec(length=5)
RNG = np.random.default_rng(0)
# Rows of uneven length; the first id is the answer.
X = np.where(np.arange(5) < RNG.integers(1, 6, (200, 1)), RNG.integers(1, 20, (200, 5)), 0).astype(np.int32)
ROWS = Rows(X, X[:, 0].copy())


def settings(model=None, **training):
    small = {"width": 8, "hidden": [16], "kernel": 3} | (model or {})
    return TrainerSettings.model_validate(
        {"model": small, "training": {"epochs": 2, "batch_size": 16, "steps_per_call": 5} | training}
    )


def run(folder, given, *, train=ROWS, held_out=ROWS, **options):
    return fit(
        train, held_out, SPEC, given, log_dir=folder / "logs", checkpoints=folder / "checkpoints", **options
    )


def weights(model):
    return np.concatenate([np.ravel(w) for w in model.get_weights()])


@pytest.mark.parametrize("xla", ["off", "on"])
def test_same_seed_same_weights(tmp_path, xla):
    one, history = run(tmp_path / "1", settings(xla=xla))
    two, _ = run(tmp_path / "2", settings(xla=xla))
    other, _ = run(tmp_path / "3", settings(xla=xla, seed=1))
    np.testing.assert_array_equal(weights(one), weights(two))
    assert (weights(one) != weights(other)).any()
    assert [set(entry) for entry in history] == [
        {"loss", "accuracy", "val_loss", "val_accuracy", "rows", "seconds", "learning_rate"}
    ] * 2


def test_a_trial_has_the_same_history_and_leaves_nothing_behind(tmp_path):
    _, history = run(tmp_path / "1", settings())
    _, of_trial = run(tmp_path / "2", settings(), trial=True)
    for entry in (*history, *of_trial):
        del entry["seconds"]
    assert of_trial == history
    assert list((tmp_path / "1").glob("*/*"))
    assert not list((tmp_path / "2").glob("*/*"))


@pytest.mark.parametrize("preset", ["default", "reference", "length-free"])
def test_training_learns(tmp_path, preset):
    given = settings({"preset": preset}, epochs=15, learning_rate=0.02, batch_size=16)
    model, history = run(tmp_path, given)
    assert history[-1]["val_accuracy"] > 0.8
    assert isinstance(model, keras.Model)


def test_text_preset_learns_which_word_of_a_row_decides(tmp_path):
    words = np.where(X == 7, 8, X)
    words[::2, 0] = 7
    rows = Rows(np.array([RNG.permutation(row) if row.all() else row for row in words]), words[:, 0] == 7)
    rows = rows._replace(y=rows.y + 1)
    given = TrainerSettings.model_validate({"model": {"preset": "text"}, "training": {"batch_size": 16}})
    _, history = run(tmp_path, given, train=rows, held_out=rows)
    assert max(epoch["val_accuracy"] for epoch in history) > 0.95


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("xla", ["off", "on"])
def test_each_epoch_trains_on_every_row_whatever_its_length(tmp_path, monkeypatch, xla, parts):
    monkeypatch.setattr(size, "parts_of_batch", lambda *given: parts)
    # Of 200 rows, the lengths 1 to 5 have about 40 each: none of them fills a batch of 64.
    given = settings({"preset": "length-free"}, batch_size=64, length_buckets=[1, 2, 3, 4], xla=xla)
    _, history = run(tmp_path / "1", given)
    assert [entry["rows"] for entry in history] == [200, 200]
    _, history = run(tmp_path / "2", settings(batch_size=48, steps_per_call=3, xla=xla))
    assert [entry["rows"] for entry in history] == [200, 200]


@pytest.mark.parametrize(("preset", "seen"), [("default", 5), ("reference", 9)])
def test_columns_that_are_padding_in_every_row_are_left_out(tmp_path, monkeypatch, preset, seen):
    """Longer rows, as `sequence.length` allows them, change no weight; the reference flattens whole rows."""
    spec, lengths = SPEC.model_copy(update={"length": 9}), []
    step = SteppingModel._step

    def look(model, x, y, weights):
        lengths.append(x.shape[1])
        step(model, x, y, weights)

    monkeypatch.setattr(SteppingModel, "_step", look)
    given = settings({"preset": preset})
    padded = Rows(np.pad(X, ((0, 0), (0, 4))), ROWS.y)
    model, _ = fit(
        padded, padded, spec, given, log_dir=tmp_path / "logs", checkpoints=tmp_path / "checkpoints"
    )
    assert set(lengths) == {seen}
    if preset == "default":
        unpadded, _ = run(tmp_path / "2", given)
        np.testing.assert_array_equal(weights(model), weights(unpadded))


def test_a_model_that_is_compiled_once_is_trained_as_by_the_trainer(tmp_path):
    """`tests.bench.release` trains with it: another training before, of other rows, leaves nothing behind."""
    given = settings({"dropout": 0.1})
    fitting = Fitting(SPEC, given)
    fitting.fit(Rows(X[:90], X[:90, 0]), ROWS, seed=1)
    ours = fitting.fit(ROWS, ROWS, seed=3)
    theirs, _ = run(tmp_path, settings({"dropout": 0.1}, seed=3))
    np.testing.assert_array_equal(weights(ours), weights(theirs))


class Killed(BaseException):
    pass


@pytest.mark.parametrize("when", ["before the checkpoint is whole", "after it"])
def test_killed_training_goes_on_to_the_same_weights(tmp_path, monkeypatch, when):
    given = settings({"dropout": 0.2}, epochs=5, best_weights=False)
    undisturbed, history = run(tmp_path / "undisturbed", given)
    save = Progress._save

    def killed(progress):
        if len(progress.history) == 3:
            if when == "after it":
                save(progress)
            else:
                (progress._checkpoints._folder / "00003.partial").mkdir()
            raise Killed
        save(progress)

    monkeypatch.setattr(Progress, "_save", killed)
    with pytest.raises(Killed):
        run(tmp_path, given)
    monkeypatch.setattr(Progress, "_save", save)
    model, again = run(tmp_path, given)
    np.testing.assert_array_equal(weights(model), weights(undisturbed))
    for figure in ("loss", "learning_rate"):
        assert [entry[figure] for entry in again] == [entry[figure] for entry in history]
    resumed = [number for number, entry in enumerate(again, start=1) if "resumed" in entry]
    assert resumed == [4 if when == "after it" else 3]
    assert not [entry for entry in history if "resumed" in entry]


def test_a_checkpoint_that_cannot_be_written_ends_the_training(tmp_path, monkeypatch):
    """It is written in another thread, which raises for nobody to see."""

    def full(checkpoints, number, fill):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(Checkpoints, "write", full)
    with pytest.raises(OSError, match="no space left"):
        run(tmp_path, settings(epochs=1))


def test_damaged_checkpoint_is_dropped_and_training_goes_on_to_the_same_weights(
    tmp_path, monkeypatch, caplog
):
    given = settings(epochs=4, xla="off")
    undisturbed, _ = run(tmp_path / "undisturbed", given)
    finish = Progress.finish
    monkeypatch.setattr(Progress, "finish", lambda progress, model: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        run(tmp_path, given)
    monkeypatch.setattr(Progress, "finish", finish)
    (tmp_path / "checkpoints/00004/state.json").write_bytes(b"")  # as a power cut leaves it
    caplog.set_level("INFO")
    model, _ = run(tmp_path, given)
    assert (
        "the checkpoint of epoch 4 is damaged (state.json is not as it was written): dropped" in caplog.text
    )
    assert "continuing after epoch 3, from a checkpoint" in caplog.text
    np.testing.assert_array_equal(weights(model), weights(undisturbed))


def test_best_weights_are_kept_and_patience_ends_it(tmp_path):
    # Other answers than those learned: the better it learns, the worse the held-out loss.
    held_out = Rows(ROWS.x, (ROWS.y % 19 + 1).astype(np.int32))
    given = settings(epochs=40, patience=3, learning_rate=0.02, schedule="constant")
    model, history = run(tmp_path, given, held_out=held_out)
    losses = [entry["val_loss"] for entry in history]
    best = losses.index(min(losses))
    assert len(history) == best + 1 + 3 < 40
    logits = model.predict(held_out.x, verbose=0)
    loss = keras.losses.sparse_categorical_crossentropy(held_out.y, logits, from_logits=True)
    assert float(np.mean(loss)) == pytest.approx(losses[best], rel=1e-4)
    again, same = run(tmp_path, given, held_out=held_out)
    assert same == history
    np.testing.assert_array_equal(weights(again), weights(model))


def test_loss_that_is_nan_or_infinite_is_refused(tmp_path):
    given = settings(schedule="constant")
    # Higher than settings allow, so that one step is enough.
    too_fast = given.training.model_copy(update={"learning_rate": 3e38})
    with pytest.raises(
        InputError, match=r"the loss became (nan|inf) in epoch 1, by call \d+; lower training"
    ):
        run(tmp_path, given.model_copy(update={"training": too_fast}))
    assert not list((tmp_path / "checkpoints").glob("0*"))


def test_cosine_rises_and_falls_to_nothing():
    rate = learning_rate(settings(learning_rate=0.01, warmup=0.1).training, 1000)
    values = [float(rate(step)) for step in (0, 50, 100, 550, 1000)]
    np.testing.assert_allclose(values, [0, 0.005, 0.01, 0.005, 0], atol=1e-5)


@pytest.mark.parametrize(("steps", "rising"), [(1000, 100), (1000, 0), (1, 0), (3, 1)])
def test_schedule_is_that_of_keras(steps, rising):
    keras_has = keras.optimizers.schedules.CosineDecay(
        0.0 if rising else 0.01, max(1, steps - rising), warmup_target=0.01 if rising else None,
        warmup_steps=rising,
    )  # fmt: skip
    taken = np.linspace(0, steps + 5, 50).round()
    ours = Annealing(0.01, steps, rising)
    np.testing.assert_allclose([ours(s) for s in taken], [keras_has(s) for s in taken], rtol=1e-5, atol=1e-9)
    other = Annealing(0.02, 7, 2)
    other.follow(ours)
    assert [float(other(s)) for s in taken] == [float(ours(s)) for s in taken]
    assert Annealing(**other.get_config())(3) == ours(3)


def test_warm_start_begins_with_the_given_weights(tmp_path):
    first, before = run(tmp_path / "1", settings(epochs=10, learning_rate=0.01))
    first.save(tmp_path / "model.keras")
    base = Predecessor(str(tmp_path / "model.keras"), SPEC)
    _, after = run(tmp_path / "2", settings(learning_rate=1e-5), start_from=base)
    assert after[0]["val_loss"] == pytest.approx(before[-1]["val_loss"], rel=0.01)
    with pytest.raises(InputError, match="the live model has other layers or sizes"):
        run(tmp_path / "3", settings({"width": 9}), start_from=base)
    with pytest.raises(InputError, match="the Keras file of the live model is missing or cannot be read"):
        run(tmp_path / "4", settings(), start_from=Predecessor(str(tmp_path / "nothing.keras"), SPEC))


@pytest.mark.parametrize("preset", ["default", "length-free"])
def test_warm_start_gives_each_symbol_its_weights_whatever_its_id(tmp_path, preset):
    first, _ = run(tmp_path, settings({"preset": preset}, epochs=3, learning_rate=0.01))
    first.save(tmp_path / "model.keras")
    # 'new' comes first, so that every other symbol moves; two of them also change places.
    moved = ["new", *SPEC.vocabulary]
    moved[5], moved[-1] = moved[-1], moved[5]
    spec = SequenceSpec(length=5, vocabulary=moved)
    model = build_model(spec, settings({"preset": preset}).model)
    take_weights(model, Predecessor(str(tmp_path / "model.keras"), SPEC), spec)
    place = [spec.ids[symbol] for symbol in SPEC.vocabulary]
    expected, found = first(X).numpy(), model(np.array(place)[X]).numpy()
    np.testing.assert_allclose(found[:, place], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"features": ("op", "defs")}, "another sequence.features .'op', 'defs', now 'defs', 'op'."),
        ({"label": "answer"}, "another sequence.label .'answer', now 'res'."),
        ({"separator": "|"}, "another sequence.separator .'|', now ':'."),
        ({"padding": "|"}, "another sequence.padding .'|', now ' '."),
    ],
)
def test_warm_start_from_a_model_of_other_rows_is_refused(tmp_path, change, text):
    theirs = SequenceSpec(length=5, **change)
    with pytest.raises(InputError, match=text.replace("|", r"\|")):
        run(tmp_path, settings(), start_from=Predecessor(str(tmp_path / "model.keras"), theirs))


def test_model_through_which_padding_leaks_is_refused(tmp_path, monkeypatch, caplog):
    run(tmp_path / "1", settings({"preset": "reference"}))
    assert "layer 'reflect' (MaskedSelfAttention)" in caplog.text  # as its settings ask: only a warning

    def leaking(spec, config):
        return build_model(spec, config.model_copy(update={"attention_mask": "none", "rezero": False}))

    monkeypatch.setattr("maskline.trainer.fit.build_model", leaking)
    with pytest.raises(InputError, match=r"^model: layer 'reflect' \(MaskedSelfAttention\)"):
        run(tmp_path / "2", settings())


def test_tensorboard_gets_graph_scalars_and_histograms(tmp_path):
    run(tmp_path, settings(histograms=True))
    plugins = {}
    for file in map(str, tmp_path.rglob("events*")):
        for record in read_shard(file):
            for value in tf.compat.v1.Event.FromString(record.data).summary.value:
                plugins[value.tag] = value.metadata.plugin_data.plugin_name
    assert plugins["keras"] == "graph_keras_model"
    assert plugins["epoch_loss"] == plugins["epoch_accuracy"] == "scalars"
    assert any("embed" in tag and plugin == "histograms" for tag, plugin in plugins.items())


def test_empty_split_is_refused(tmp_path):
    nothing = Rows(ROWS.x[:0], ROWS.y[:0])
    with pytest.raises(InputError, match="split 'eval' holds no rows"):
        run(tmp_path, settings(), held_out=nothing)
    with pytest.raises(InputError, match="split 'train' holds no rows"):
        run(tmp_path, settings(), train=nothing)
