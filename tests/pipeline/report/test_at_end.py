"""The report that a run makes when it ends: it can neither fail the run nor outlive it."""

import multiprocessing
import os
import signal
import threading
import time

import pytest

from maskline.pipeline.console import Console
from maskline.pipeline.local import run
from maskline.pipeline.report import at_end, plots, report
from maskline.pipeline.report.at_end import make_report

RUN = "2026-11-27T10-00-00.000000"


@pytest.fixture
def log(config):
    return config.root / "run.log"


def test_report_of_a_recorded_run_is_made(config, record, log):
    record(RUN)
    assert make_report(config, RUN, log) == config.root / "reports" / f"{RUN}.html"
    text = (config.root / "reports" / f"{RUN}.html").read_text()
    assert "Why not: ReleaseGate said no" in text
    assert "accuracy of operator=*: much; little" in text
    assert "No learning curve is recorded" in text
    assert log.read_text() == ""


def test_what_cannot_be_drawn_does_not_end_the_training(monkeypatch):
    def fail(*_, **__):
        raise ValueError("a fault")

    monkeypatch.setattr(plots, "draw", fail)
    at_end.prepare()


@pytest.mark.parametrize("how", ["raises", "is killed", "never ends"])
def test_what_goes_wrong_is_in_the_log_and_nowhere_else(config, record, log, monkeypatch, how):
    record(RUN)

    def fail(*_, **__):
        if how == "raises":
            raise ValueError("a fault")
        if how == "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(600)

    monkeypatch.setattr(report, "make", fail)
    monkeypatch.setattr(at_end, "PATIENCE", 1.0 if how == "never ends" else 60.0)
    assert make_report(config, RUN, log) is None
    assert list(config.root.glob("reports/*")) == []
    assert ("ValueError: a fault" in log.read_text()) is (how == "raises")
    assert multiprocessing.active_children() == []


def test_interrupt_ends_the_report_too(config, record, log, monkeypatch):
    record(RUN)
    monkeypatch.setattr(report, "make", lambda *_, **__: time.sleep(600))
    main = threading.main_thread().ident
    threading.Timer(1.0, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        make_report(config, RUN, log)
    assert multiprocessing.active_children() == []


def test_run_says_where_the_report_is_or_that_there_is_none(config, record, log, monkeypatch, capsys):
    record(RUN)
    run._report(config, RUN, log, Console(config))
    assert capsys.readouterr().out == f"report: {config.root}/reports/{RUN}.html\n"
    monkeypatch.setattr(report, "make", lambda *_, **__: 1 / 0)
    run._report(config, RUN, log, Console(config))
    assert " ".join(capsys.readouterr().out.split()) == f"warning: no report was made; {log} says why"
