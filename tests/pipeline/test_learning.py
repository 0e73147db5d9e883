"""What a terminal shows of a training: how far it is while it works, and a curve when it is done."""

import io
import logging

import pytest
import rich.console

from maskline.pipeline.console import Console
from maskline.pipeline.learning import Learning
from maskline.trainer.progress import Progress
from maskline.trainer.settings import TrainingSettings

LOSSES = [2.0, 1.5, 1.25, 1.0]


def line(number, loss, of=8):
    return f"epoch {number}/{of}: loss {loss:.4f}, held-out loss {loss + 1:.4f}, held-out accuracy 0.500"


@pytest.fixture
def learned():
    told = Learning(100.0)
    for number, loss in enumerate(LOSSES, start=1):
        told.hear(line(number, loss), 100.0 + 10 + 2 * number)  # the first one takes longer
    return told


def test_time_left_counts_epochs_at_the_speed_of_those_after_the_first(learned):
    assert learned.done == (4, 8)
    assert learned.seconds_left(118.0) == pytest.approx(8.0)
    assert learned.seconds_left(119.0) == pytest.approx(7.0)
    assert learned.words(118.0) == "epoch 4/8: loss 1.0000, held-out 2.0000, about 8 s left"


def test_nothing_is_told_of_a_training_that_told_nothing():
    told = Learning(0.0)
    told.hear("before epoch 1: held-out loss 3.2", 1.0)
    assert (told.done, told.words(2.0), told.curve(80), told.seconds_left(2.0)) == (None, "", [], None)


@pytest.mark.parametrize("width", [30, 40, 80, 200])
def test_curve_falls_as_the_loss_does_and_fits(learned, width):
    loss, held_out, accuracy = learned.curve(width)
    assert loss.split()[0] == "loss"
    blocks = loss.split()[2] if width > 35 else ""
    assert list(blocks) == sorted(blocks, reverse=True)
    if width >= 40:
        assert max(map(len, (loss, held_out, accuracy))) <= width
        assert (blocks[0], blocks[-1]) == ("█", "▁")
    assert loss.endswith("1.0000")


def test_line_that_the_trainer_logs_is_understood(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(Progress, "_save", lambda self: None)
    caplog.set_level(logging.INFO, "maskline.trainer.progress")
    progress = Progress(tmp_path, TrainingSettings(epochs=3))
    progress._model = type("Model", (), {"optimizer": type("Optimizer", (), {"learning_rate": 0.1})})
    progress.on_epoch_begin(0)
    progress.on_epoch_end(0, {"loss": 1.5, "val_loss": 2.5, "val_accuracy": 0.25, "rows": 9})
    told = Learning(0.0)
    for record in caplog.records:
        told.hear(record.getMessage(), 1.0)
    assert told.words(1.0) == "epoch 1/3: loss 1.5000, held-out 2.5000"


@pytest.mark.parametrize("width", [40, 80])
def test_terminal_has_a_bar_while_it_trains_and_the_curve_stays(config, width):
    console, screen = Console(config), io.StringIO()
    console._rich = rich.console.Console(file=screen, force_terminal=True, width=width, color_system=None)
    with console._start_live() as console._live:
        console.began("Trainer")
        for number, loss in enumerate(LOSSES, start=1):
            console.progressed("Trainer", line(number, loss))
            console.tick()
        while_at_work = screen.getvalue()
        console.ended("Trainer", 12.0, ok=True)
    stays = screen.getvalue()[len(while_at_work) :]
    assert ("━" in while_at_work) is (width == 80)
    assert "epoch" in while_at_work
    assert "✓ Trainer" in stays
    assert "held-out accuracy" in stays
    assert "█" in stays


def test_pipe_has_a_line_an_epoch_and_no_curve(config, capsys):
    console = Console(config)
    console.began("Trainer")
    for number, loss in enumerate(LOSSES, start=1):
        console.progressed("Trainer", line(number, loss))
    console.ended("Trainer", 12.0, ok=True)
    out = capsys.readouterr().out
    assert out.count("epoch ") == len(LOSSES)
    assert "█" not in out
