"""A sweep: refused in one line where it tries nothing, killed and gone on with, and what it ends with."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from maskline.pipeline.settings.load import load_with_sources
from maskline.pipeline.tune import report, space
from maskline.pipeline.tune.ledger import Ledger, Trial
from maskline.transform.errors import InputError
from tests.support import REPOSITORY, environment

SMALL = [
    "root=root", "sequence.length=13", "model.width=8", "model.kernel=3", "training.epochs=4",
    "training.batch_size=32", "data.schema=null",
]  # fmt: skip
TRIED = (
    "tune={training.learning_rate: {min: 0.001, max: 0.05, log: true}, model.hidden: [[8], [16, 8]], "
    "training.epochs: {min: 3, max: 4}}"
)


def loaded(*more):
    return load_with_sources(REPOSITORY / "maskline.yaml", [*SMALL, *more])


@pytest.mark.parametrize(
    ("tried", "words"),
    [
        ("{}", "tune: no setting to try is named; write a section such as"),
        ("{training.learning_rat: [1]}", "no such setting; did you mean training.learning_rate?"),
        ("{data.window: [1, 2]}", "'data.window': no such setting; a sweep tries those of `model` and"),
        ("{training.seed: [1, 2]}", "tune.training.seed: cannot be tried"),
        ("{training.learning_rate: []}", "tune.training.learning_rate: the list is empty"),
        ("{training.learning_rate: {min: 1, max: 1}}", "1 is not above min, 1, so the range is empty"),
        ("{training.learning_rate: {min: 0, max: 1, log: true}}", "0 has no logarithm"),
        ("{model.kernel: [3, 4]}", "model.kernel: 4 is even"),
        ("{training.epochs: [many]}", "training.epochs: 'many' is not allowed; it must be an integer"),
        ("{training.epochs: {min: 1, max: 2, loq: true}}", "no such setting; allowed: min, max, log"),
    ],
)
def test_a_sweep_over_what_is_not_there_or_is_empty_is_refused(tried, words):
    with pytest.raises(InputError) as error:
        space.check(loaded(f"tune={tried}"))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_good_sweep_is_not_refused():
    space.check(loaded(TRIED))


def test_a_torn_line_of_the_ledger_is_a_trial_that_was_not_ended(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.note(Trial(number=1, values={"a": 1}, state="done", losses=(0.5,)))
    ledger.note(Trial(number=2, values={"a": 2}))
    file = tmp_path / "trials.jsonl"
    file.write_bytes(file.read_bytes() + b'{"number": 2, "values": {"a": 2}, "sta')
    again = Ledger(tmp_path)
    assert again.unfinished == Trial(number=2, values={"a": 2})
    again.note(Trial(number=2, values={"a": 2}, state="done", losses=(0.4,)))
    assert [trial.number for trial in Ledger(tmp_path).ended] == [2, 1]


def test_it_ends_with_settings_that_can_be_pasted_and_a_picture(tmp_path):
    trials = [
        Trial(number=2, values={"model.hidden": (8,), "training.learning_rate": 0.01, "model.width": 4},
              state="done", losses=(0.9, 0.4), accuracy=0.8, seconds=3),
        Trial(number=1, values={"model.hidden": (16,)}, state="stopped", losses=(0.9,), accuracy=0.5),
        Trial(number=3, values={"model.hidden": (16,)}, state="refused", why="no"),
    ]  # fmt: skip
    pasted = "\n".join(report.to_paste(trials[0]))
    assert pasted == "model:\n  hidden: [8]\n  width: 4\ntraining:\n  learning_rate: 0.01"
    (tmp_path / "own.yaml").write_text(pasted)
    assert load_with_sources(tmp_path / "own.yaml").settings.model.hidden == (8,)
    report.write_page(tmp_path / "sweep.html", trials, "eval")
    page = (tmp_path / "sweep.html").read_text()
    assert "<svg" in page
    assert "Trial 2 is the best of 3 on the eval split" in page
    assert report.trials_table(trials).row_count == 3


def rows():
    from maskline.trainer.dataset import Rows

    rng = np.random.default_rng(0)
    x = np.where(np.arange(13) < rng.integers(1, 14, (256, 1)), rng.integers(1, 20, (256, 13)), 0)
    return Rows(x.astype(np.int32), x[:, 0].astype(np.int32))


def searched(folder, *, trials, say=lambda _: None, minutes=float("inf")):
    from maskline.pipeline.tune.search import search

    return search(loaded(TRIED), (rows(), rows()), Path(folder), trials=trials, minutes=minutes, say=say)


@pytest.mark.slow
def test_a_sweep_that_was_killed_goes_on_where_it_was(tmp_path):
    # Trials as short as these write no checkpoint, unless there is no pause between two.
    script = (
        "from maskline.trainer import progress; progress._PAUSE = 0; "
        f"from {__name__} import searched; searched({str(tmp_path / 'killed')!r}, trials=3)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], env=environment(), cwd=REPOSITORY, stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + 300
        while not list(tmp_path.glob("killed/trial-1/checkpoints/00002/state.json")):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    before = Ledger(tmp_path / "killed")
    assert before.unfinished
    assert before.unfinished.losses

    said = []
    after = searched(tmp_path / "killed", trials=3, say=said.append)
    assert said[0] == "0 trials were made before; the sweep goes on where it was"
    assert sorted(after.trials) == [1, 2, 3]
    assert after.trials[1].state == "done"
    assert len(after.trials[1].losses) == after.trials[1].values["training.epochs"]
    assert after.trials[1].losses[: len(before.unfinished.losses)] == before.unfinished.losses
    assert len({json.dumps(trial.values) for trial in after.trials.values()}) == 3

    # It is the sweep that it would have been, to the last digit, but for the time that it took.
    whole = searched(tmp_path / "whole", trials=3)
    assert [t.model_copy(update={"seconds": 0}) for t in after.trials.values()] == [
        t.model_copy(update={"seconds": 0}) for t in whole.trials.values()
    ]

    # Asked again, it has nothing to do; without time, it begins nothing.
    assert searched(tmp_path / "killed", trials=3).trials == after.trials
    assert searched(tmp_path / "killed", trials=9, minutes=0).trials == after.trials


@pytest.mark.slow
def test_a_trial_is_stopped_that_is_not_among_the_best_third_at_a_rung():
    from maskline.pipeline.tune.stopping import Watch

    class Model:
        stop_training = False

    def told(losses, others, over=False):
        noted = []
        watch = Watch(others, lambda: over, Trial(number=9, values={}), noted.append)
        watch.set_model(Model())
        for epoch, loss in enumerate(losses):
            watch.on_epoch_end(epoch, {"val_loss": loss})
            if watch.model.stop_training:
                break
        assert noted[-1].losses == tuple(losses[: epoch + 1])
        return watch.state, epoch + 1

    assert told([2.0, 1.9, 1.8, 1.7], []) == ("done", 4)  # nothing to compare with
    assert told([2.0], [(1.0,)]) == ("stopped", 1)  # few are known: the best goes on
    others = [(1.0, 0.8, 0.6, 0.1), (1.1, 0.4, 0.5, 0.1), (1.2,), (1.3,), (1.4,)]
    assert told([1.05, 9, 0.3, 9], others) == (
        "done",
        4,
    )  # second of six after epoch 1, best of three after 3
    assert told([1.15], others) == ("stopped", 1)
    assert told([1.05, 0.2, 0.9, 9], others) == ("done", 4)  # its lowest loss so far counts
    assert told([1.05, 0.9, 0.5], others) == ("stopped", 3)  # the second of others had 0.4
    assert told([0.1], [], over=True) == ("over", 1)


@pytest.mark.slow
def test_a_trial_that_is_gone_on_with_knows_its_first_epochs():
    from maskline.pipeline.tune.stopping import Watch

    watch = Watch([(1.0, 0.8, 0.6)], lambda: False, Trial(number=2, values={}, losses=(0.5, 0.7)))
    watch.on_epoch_end(1, {"val_loss": 0.9})  # from the checkpoint of epoch 1, so epoch 2 is made again
    assert watch.losses == [0.5, 0.9]
    watch.on_epoch_end(2, {"val_loss": 0.9})
    assert watch.state == "done"


@pytest.mark.slow
def test_it_begins_with_the_settings_as_they_are_where_they_are_among_those_to_try():
    from maskline.pipeline.tune.proposals import as_they_are

    assert as_they_are(loaded("tune={model.width: {min: 4, max: 16}, training.epochs: [2, 4]}")) == {
        "model.width": 8, "training.epochs": 4,
    }  # fmt: skip
    assert as_they_are(loaded("tune={model.hidden: [[8], [128, 64]]}")) == {"model.hidden": (128, 64)}
    assert as_they_are(loaded("tune={model.width: {min: 9, max: 16}}")) is None
    assert as_they_are(loaded("tune={model.width: [4], training.epochs: [4]}")) is None


@pytest.mark.slow
def test_proposals_are_the_same_for_the_same_trials_and_stay_in_the_space():
    from maskline.pipeline.tune.proposals import next_values

    for number in range(1, 4):
        values = next_values(loaded(TRIED).settings.tune, {}, number)
        assert 0.001 <= values["training.learning_rate"] <= 0.05
        assert values["model.hidden"] in ((8,), (16, 8))
        assert values["training.epochs"] in (3, 4)
    # After some random ones, a Gaussian process goes where it is good.
    tried = loaded("tune={training.learning_rate: {min: 0, max: 1}}").settings.tune
    known = {
        n: Trial(number=n, values={"training.learning_rate": x}, state="done", losses=(abs(x - 0.3),))
        for n, x in enumerate((0.0, 0.25, 0.35, 0.6, 1.0), start=1)
    }
    values = next_values(tried, known, 6)
    assert values == next_values(tried, known, 6)
    assert 0.1 < values["training.learning_rate"] < 0.5
    # Losses are compared by the same epoch: the first here, which is all that most trials have.
    longer = {
        n: t.model_copy(update={"losses": (*t.losses, 0.0) if n == 5 else t.losses}) for n, t in known.items()
    }
    assert next_values(tried, longer, 6) == values
    few = {"model.kernel": (3, 5)}
    done = {
        n: Trial(number=n, values={"model.kernel": k}, state="done", losses=(1.0,))
        for n, k in ((1, 3), (2, 5))
    }
    assert next_values(few, done, 3) is None


@pytest.mark.slow
def test_of_five_settings_and_noise_proposals_learn_which_matter():
    from maskline.pipeline.tune.proposals import next_values

    tried = loaded(
        "tune={training.learning_rate: {min: 0.001, max: 0.02, log: true}, model.width: [16, 32, 48], "
        "model.kernel: [0, 3, 9], model.queries: [1, 4], model.dropout: {min: 0, max: 0.7}}"
    ).settings.tune
    rng, trials = np.random.default_rng(0), {}
    for number in range(1, 26):
        values = next_values(tried, trials, number)
        far = abs(np.log(values["training.learning_rate"] / 0.006)) + values["model.dropout"]
        losses = (float(np.exp(far + 0.1 * rng.normal())),)
        trials[number] = Trial(number=number, values=values, state="done", losses=losses)
    found = [trial.losses[0] for trial in trials.values()]
    assert np.median(found[15:]) < min(found[:10])
