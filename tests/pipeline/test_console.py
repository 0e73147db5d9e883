"""What a person sees at 60 columns: whole names, whole numbers, failed gates first."""

import re
import shlex

import pytest

from maskline.components.evaluation.paired import Pairs
from maskline.components.evaluation.report import EvaluationReport, SliceReport
from maskline.components.verdict import Check, Outcome, Verdict
from maskline.pipeline import console
from maskline.pipeline.cli import cli
from maskline.pipeline.console import Console
from maskline.pipeline.registry.record import Component, Run
from maskline.transform.answers import AnswerSummary, WrongRow

NAMES = ["ExampleGen", "ImportSchemaGen", "ExampleValidator", "Trainer", "Pusher"]
MODELS = {"candidate": 0.7512, "live": 0.7423, "best": 0.7611, "majority": 0.5081, "linear": 0.6132}


def whole_run():
    counts = {"train": 7_948_123, "eval": 2_052_456, "test": 1_052_789}
    metrics = {
        model: {"example_count": 2052, "accuracy": a, "calibration_error": 0.0331}
        for model, a in MODELS.items()
    }
    pairs = {m: Pairs(rows=2052, better=90, worse=60) for m in ("live", "best", "majority", "linear")}
    overall = SliceReport(name="", rows=2052, metrics=metrics, pairs=pairs)
    parts = [
        SliceReport(name=f"operator={n}", rows=500 + n, metrics={"candidate": {"accuracy": 0.5 + n / 10}})
        for n in (3, 1, 2)
    ]
    report = EvaluationReport(slices=(overall, *parts))

    def check(name, outcome):
        return Check(name=name, asked="at least 0.1234 is needed", measured="0.0567", outcome=outcome)

    return Run(
        run="2026-11-27T10-00-00.000000",
        components=[
            Component(name=n, state="COMPLETE", seconds=12345.6, records_in=counts, records_out=counts)
            for n in NAMES
        ],
        metrics=report.metrics,
        evaluation=report,
        verdicts={
            "DataGate": Verdict(checks=(check("skew", Outcome.PASSED), check("rows", Outcome.WARNED))),
            "ReleaseGate": Verdict(
                checks=(check("first that passed", Outcome.PASSED), check("that failed", Outcome.BLOCKED))
            ),
        },
        blessed=False,
    )


def shown(config, capsys, monkeypatch, width, **given):
    if width:
        monkeypatch.setenv("COLUMNS", str(width))
    Console(config).show(whole_run(), config.root / "none.log", **given)
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_name_and_no_number_is_cut(config, capsys, monkeypatch, width):
    words = re.split(r"\s+", shown(config, capsys, monkeypatch, width))
    figures = {"12345.6", "7,948,123", "2,052,456", "1,052,789", "2,052", "0.7512", "0.7423", "0.0331", "501"}
    bare = {word.strip(",():.") for word in words}
    assert figures | set(NAMES) <= bare
    assert "…" not in {word[-1] for word in words if word and word != "'…'"}


@pytest.mark.parametrize("width", [60, 80])
def test_lines_wrap_at_words_and_stay_within_the_width(config, capsys, monkeypatch, width):
    out = shown(config, capsys, monkeypatch, width)
    copied = ("log: ", "Next: ", "      ")
    lines = [line for line in out.splitlines() if not line.startswith(copied)]
    assert max(map(len, lines)) <= width


def test_elsewhere_a_line_stays_a_line(config, capsys, monkeypatch):
    out = shown(config, capsys, monkeypatch, None)
    assert out.splitlines()[0].startswith(
        "Not released: that failed: 0.0567; at least 0.1234 is needed. It is"
    )
    assert out.splitlines()[0].endswith("(61.3%).")


def test_what_failed_stands_before_what_passed(config, capsys, monkeypatch):
    out = shown(config, capsys, monkeypatch, 120)
    order = ["Not released", "Blocked by ReleaseGate", "DataGate warns", "ReleaseGate: not passed",
             "✗ that failed", "✓ first that passed", "DataGate: passed", "! rows", "✓ skew"]  # fmt: skip
    assert [out.index(text) for text in order] == sorted(out.index(text) for text in order)


def test_slices_are_shown_the_worst_first(config, capsys, monkeypatch):
    out = shown(config, capsys, monkeypatch, 80)
    places = [out.index(f"operator={n}") for n in (1, 2, 3)]
    assert places == sorted(places)


def test_comparison_with_the_live_model_is_in_words(config, capsys, monkeypatch):
    out = shown(config, capsys, monkeypatch, None)
    assert "Against the live model: accuracy 0.0089 higher: better; calibration error equal." in out


def test_no_command_is_hinted_at_that_must_fail(config, capsys, monkeypatch):
    """There is no model that could be blessed."""
    assert "maskline bless" not in shown(config, capsys, monkeypatch, None)


def test_commands_that_are_hinted_at_can_be_typed_as_they_are_printed(config, capsys, monkeypatch):
    monkeypatch.setattr(console, "releasable", lambda *_: None)
    hinted = re.findall(r"^(?:Next: |      )(maskline .*)$", shown(config, capsys, monkeypatch, None), re.M)
    assert [command.split()[1] for command in hinted] == ["bless", "show"]
    for command in hinted:
        _, name, *words = shlex.split(command, comments=True)
        cli.commands[name].make_context(name, words)


def test_wrong_rows_are_text_with_the_most_confident_first(config, capsys):
    rows = [WrongRow(text=f"x={n}", label="1", answer="2", probability=0.9 - n / 10) for n in range(3)]
    answers = AnswerSummary(labels={}, lengths={}, rows=100, wrong=30, confusions=(), wrong_rows=tuple(rows))
    Console(config).wrong(answers, 2)
    assert capsys.readouterr().out.splitlines() == [
        "30 of 100 held-out rows are answered wrong; the 2 of which the model is most confident:",
        "  90.0% 2, labelled 1: x=0",
        "  80.0% 2, labelled 1: x=1",
    ]


def test_last_lines_of_a_run_begin_with_the_outcome(config, capsys, monkeypatch):
    Console(config).summary(whole_run(), config.root / "a.log")
    ended = capsys.readouterr().out.splitlines()
    assert ended[0] == ""
    assert ended[1].startswith("Not released: that failed")
    assert ended[-1] == f"log: {config.root / 'a.log'}"
    assert not any("first that passed" in line for line in ended)  # `show` lists what passed
    Console(config).unchanged(whole_run())
    again = capsys.readouterr().out.splitlines()
    assert again[0].startswith("Nothing changed since run 2026-11-27T10-00-00.000000: all 5 components")
    assert again[1] == ended[1]
