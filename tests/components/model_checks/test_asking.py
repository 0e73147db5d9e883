"""The process that a model is asked in: started early, asked from a fork. Real TensorFlow, and no model."""

import json
import multiprocessing
import os
import signal

import psutil
import pytest

from maskline.components.model_checks import asking

pytestmark = pytest.mark.slow


def ask_from_a_fork(folder):
    """What a node of a run does: it is a fork of the process that started the probe."""

    def node():
        told = folder / "told"
        told.write_text(json.dumps(asking.answers_of(str(folder / "model"), str(folder / "golden"))))
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=node)
    process.start()
    process.join()
    return json.loads((folder / "told").read_text())


def probes():
    found = psutil.Process().children()
    return [child for child in found if str(asking.PROBE) in child.cmdline()]


@pytest.fixture
def cores(monkeypatch):
    return lambda count: monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(count)))


def test_process_that_was_started_early_is_asked_from_a_fork(cores, tmp_path):
    cores(2)
    with asking.started_early():
        [probe] = probes()
        answer = ask_from_a_fork(tmp_path)
        assert not probe.is_running() or probe.status() == psutil.STATUS_ZOMBIE  # it was this one
    assert str(tmp_path / "model") in answer["error"]
    assert not probes()


def test_process_that_is_gone_is_an_answer(cores, tmp_path):
    cores(2)
    with asking.started_early():
        [probe] = probes()
        probe.send_signal(signal.SIGKILL)
        answer = ask_from_a_fork(tmp_path)
    assert answer == {"error": "the process that asked it ended without an answer; the log may say why"}


def test_process_that_nobody_asks_is_ended(cores):
    cores(2)
    with asking.started_early():
        [probe] = probes()
    assert not probe.is_running()


def test_on_one_core_none_is_started_before_there_is_a_model(cores, tmp_path):
    cores(1)
    with asking.started_early():
        assert not probes()
        assert "error" in asking.answers_of(str(tmp_path), str(tmp_path / "golden"))
    assert not probes()


def test_what_cannot_be_started_early_is_left_to_its_turn(cores, monkeypatch):
    def full():
        raise OSError("no space left")

    cores(2)
    monkeypatch.setattr(asking, "Probe", full)
    with asking.started_early():
        assert not probes()
