"""Several seeds: each trained as alone, the best on held-out rows kept; and when training stops by itself."""

import numpy as np
import pytest

from maskline.trainer.seeds import fit_seeds
from maskline.trainer.settings import TrainerSettings, TrainingSettings
from tests.trainer.test_fit import ROWS, SPEC, run, settings, weights

pytestmark = pytest.mark.slow


def fitted(folder, given, told=None):
    return fit_seeds(
        ROWS, ROWS, SPEC, given, log_dir=folder / "logs", checkpoints=folder / "checkpoints",
        after_first_epoch=None if told is None else told.append,
    )  # fmt: skip


def test_the_model_is_told_of_once_after_its_first_epoch_unless_another_may_be_kept(tmp_path):
    told = []
    model, history, _ = fitted(tmp_path / "one", settings(epochs=3), told)
    assert told == [model]
    assert len(history) == 3
    fitted(tmp_path / "one", settings(epochs=3), told)  # has come to its end: no epoch is trained
    fitted(tmp_path / "two", settings(epochs=2, seeds=[3, 4]), told)
    assert told == [model]


def test_each_seed_is_trained_as_alone_and_that_of_the_lowest_loss_is_kept(tmp_path):
    alone = {seed: run(tmp_path / f"alone-{seed}", settings(seed=seed)) for seed in (3, 4)}
    lowest = min(alone, key=lambda seed: min(e["val_loss"] for e in alone[seed][1]))
    model, history, learned = fitted(tmp_path / "both", settings(seeds=[3, 4]))
    assert [one.seed for one in learned.seeds] == [3, 4]
    assert learned.seed == lowest
    np.testing.assert_array_equal(weights(model), weights(alone[lowest][0]))
    assert [e["loss"] for e in history] == [e["loss"] for e in alone[lowest][1]]
    for one in learned.seeds:
        assert one.loss == min(e["val_loss"] for e in alone[one.seed][1])

    # A run that was killed after them trains none of them again.
    _, again, _ = fitted(tmp_path / "both", settings(seeds=[3, 4]))
    assert [e["seconds"] for e in again] == [e["seconds"] for e in history]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, 6),
        ({"epochs": 5}, 3),
        ({"epochs": 90}, 45),
        ({"patience": 0}, 0),
        ({"patience": 7}, 7),
        ({"best_weights": False}, 0),
    ],
)
def test_it_stops_by_default_after_half_of_the_epochs(given, expected):
    assert TrainingSettings(**given).stop_after == expected


def test_the_reference_never_stops_early():
    assert TrainerSettings.model_validate({"model": {"preset": "reference"}}).training.stop_after == 0
