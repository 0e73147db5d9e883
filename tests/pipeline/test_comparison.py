"""Two runs side by side: better or worse in words, and what may be chance."""

import json

import pytest

from maskline.components.evaluation.report import EvaluationReport, SliceReport
from maskline.pipeline.comparison import change_in_words, compare_runs, lines
from maskline.pipeline.registry.record import Component, Run


def run(name, accuracy, loss, tmp_path, *, rows=10_000, **settings):
    facts = tmp_path / f"{name}.json"
    facts.write_text(json.dumps({"settings": settings}))
    whole = SliceReport(
        name="",
        rows=rows,
        metrics={"candidate": {"example_count": rows, "accuracy": accuracy, "loss": loss}},
        standard_errors={"candidate": {"loss": 0.001}},
    )
    parts = tuple(
        SliceReport(name=f"length={n}", rows=rows // 2, metrics={"candidate": {"accuracy": value}})
        for n, value in enumerate((accuracy - 0.1, 0.7))
    )
    trainer = Component(name="Trainer", state="COMPLETE", seconds=1, records_in={"train": 7, "eval": rows})
    return Run(
        run=name, components=[trainer], evaluation=EvaluationReport(slices=(whole, *parts)), facts=facts
    )


def test_facts_of_earlier_releases_called_the_settings_otherwise(tmp_path):
    one, two = run("one", 0.5, 0.5, tmp_path, seed=1), run("two", 0.5, 0.5, tmp_path, seed=2)
    earlier = json.loads(one.facts.read_text())
    one.facts.write_text(json.dumps({"configuration": earlier.pop("settings"), **earlier}))
    assert compare_runs(one, two, ("", "")).settings == {"seed": (1, 2)}


@pytest.mark.parametrize(
    ("metric", "before", "after", "words"),
    [
        ("loss", 0.5, 0.5064, "loss 0.0064 higher: worse"),
        ("loss", 0.5, 0.4, "loss 0.1000 lower: better"),
        ("calibration_error", 0.1, 0.05, "calibration error 0.0500 lower: better"),
        ("accuracy", 0.5, 0.5089, "accuracy 0.0089 higher: better"),
        ("macro_f1", 0.5, 0.4, "macro f1 0.1000 lower: worse"),
        ("accuracy", 0.5, 0.5, "accuracy equal"),
    ],
)
def test_direction_is_said_in_words(metric, before, after, words):
    assert change_in_words(metric, before, after) == words


def test_differences_that_chance_explains_are_said_to_be_so(tmp_path):
    one = run("one", 0.80, 0.5, tmp_path, training={"epochs": 3, "seed": 0})
    two = run("two", 0.803, 0.4, tmp_path, training={"epochs": 5, "seed": 0})
    found = compare_runs(one, two, ("Released.", "Not released."))
    by_name = {change.metric: change for change in found.metrics}
    assert by_name["accuracy"].finding == "may be chance"
    assert by_name["accuracy"].low < 0 < by_name["accuracy"].high
    # Two shares of 0.8 of 10,000 rows: 1.96 · sqrt(2 · 0.8 · 0.2 / 10,000).
    assert by_name["accuracy"].high - 0.003 == pytest.approx(0.0111, abs=2e-4)
    assert by_name["loss"].finding == "better"
    assert found.settings == {"training.epochs": (3, 5)}
    told = list(lines(found))
    assert told[:2] == ["one: Released.", "two: Not released."]
    assert "Setting training.epochs: 3; then 5." in told
    assert any(line.startswith("accuracy 0.0030 higher: better (0.8000, then") for line in told)
    assert "Slices without a clear difference: 2 of 2." in told


def test_slice_that_clearly_changed_is_named(tmp_path):
    one, two = run("one", 0.8, 0.5, tmp_path), run("two", 0.6, 0.5, tmp_path)
    told = list(lines(compare_runs(one, two, ("", ""))))
    assert any(line.startswith("Slice length=0: accuracy 0.2000 lower: worse") for line in told)
    assert "Settings: the same." in told


def test_run_without_a_model_is_compared_as_far_as_it_went(tmp_path):
    one = run("one", 0.8, 0.5, tmp_path)
    two = Run(run="two", components=[])
    told = list(lines(compare_runs(one, two, ("", ""))))
    assert "Metrics: at least one of the two runs measured no model." in told
    assert "Settings: not recorded for a run that made no model." in told
