"""The first line says released or not, why, and how good, for every way that a run can end."""

from datetime import UTC, datetime

import pytest

from maskline.components.evaluation.paired import Pairs
from maskline.components.evaluation.quality import quality
from maskline.components.evaluation.report import EvaluationReport, SliceReport
from maskline.components.verdict import Check, Outcome, Verdict
from maskline.pipeline.headline import headline
from maskline.pipeline.registry.overrides import Override
from maskline.pipeline.registry.record import Component, Run

ALL_DONE = {"DataGate": "COMPLETE", "Trainer": "COMPLETE", "Pusher": "COMPLETE"}


def run(states=ALL_DONE, **facts):
    return Run(
        run="r", components=[Component(name=n, state=s, seconds=0) for n, s in states.items()], **facts
    )


def verdict(*outcomes):
    return Verdict(
        checks=tuple(
            Check(name=f"check {n}", subject="all", asked="little", measured="much", outcome=outcome)
            for n, outcome in enumerate(outcomes)
        )
    )


def report(split="test", **models):
    pairs = {name: Pairs(rows=1000, better=b, worse=w) for name, (_, b, w) in models.items() if b is not None}
    metrics = {"candidate": {"accuracy": 0.75}}
    metrics |= {name: {"accuracy": accuracy} for name, (accuracy, *_) in models.items()}
    whole = SliceReport(name="", rows=1000, metrics=metrics, pairs=pairs)
    return EvaluationReport(slices=(whole,), split=split)


def test_quality_compares_with_every_model_that_was_measured():
    assert quality(report()) == "It is right on 75.0% of 1,000 held-out rows; no other model was compared."
    assert quality(report("eval")) == (
        "It is right on 75.0% of 1,000 held-out rows, the same that the training chose its epoch by; no "
        "other model was compared."
    )
    found = quality(
        report(majority=(0.5, 300, 50), live=(0.755, 0, 5), best=(0.85, 0, 100), nameless=(0.6, None, None))
    )
    assert found == (
        "It is right on 75.0% of 1,000 held-out rows: better than always giving the most frequent answer "
        "(50.0%), no clear difference from the live model (75.5%), worse than the best released model "
        "(85.0%), better than nameless (60.0%)."
    )


GATES = {"ModelChecks": verdict(Outcome.PASSED), "ReleaseGate": verdict(*[Outcome.BLOCKED] * 3)}
ON_PURPOSE = Override(time=datetime(2026, 1, 1, tzinfo=UTC), who="me", reason="it is meant", version=4)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"blessed": True, "released_version": 3, "live_version": 3}, "Released as version 3."),
        (
            {"blessed": True, "released_version": 3, "live_version": 5},
            "Released as version 3. Version 5 is live now.",
        ),
        (
            {"blessed": True, "live_version": 5},
            "All gates passed, and this model was released before. Live is version 5.",
        ),
        (
            {"blessed": False, "verdicts": GATES},
            "Not released: check 0 of all: much; little (and 2 more).",
        ),
        (
            {"blessed": False, "verdicts": GATES, "live_version": 2, "is_live": True},
            "This very model is live, as version 2, and stays live, but it breaks a rule of today: "
            "check 0 of all: much; little (and 2 more).",
        ),
        (
            {"blessed": False, "verdicts": GATES, "override": ON_PURPOSE},
            "Released as version 4 although ReleaseGate blocked it.",
        ),
        (
            {"states": {"DataGate": "COMPLETE"}, "verdicts": {"DataGate": verdict(Outcome.BLOCKED)}},
            "Not released: DataGate blocked the data (check 0 of all); nothing was trained.",
        ),
        (
            {"states": {"DataGate": "COMPLETE", "Trainer": "FAILED"}},
            "Failed: Trainer did not finish. Nothing was released.",
        ),
        (
            {"states": {"DataGate": "COMPLETE", "Transform": "CANCELED"}},
            "Interrupted while Transform was at work. `maskline run` continues.",
        ),
        ({"states": {"DataGate": "COMPLETE"}}, "Interrupted. `maskline run` continues."),
    ],
)
def test_every_end_has_its_line(given, text):
    assert headline(run(**given)).text == text


@pytest.mark.parametrize("state", ["RUNNING", "CANCELED"])
def test_interrupted_training_says_where_it_continues(state):
    stopped = run({"DataGate": "COMPLETE", "Trainer": state})
    assert headline(stopped, epoch=3).text == (
        "Interrupted while Trainer was at work. `maskline run` continues after epoch 3."
    )
    assert headline(stopped).text.endswith("continues with the first epoch.")
    assert headline(stopped, working=77, epoch=3).text == "Running in process 77: Trainer."


def test_cause_of_a_failure_stands_in_the_line():
    failed = run({"Trainer": "FAILED"})
    assert headline(failed, cause="Trainer failed: ValueError: x").text == (
        "Failed: Trainer failed: ValueError: x. Nothing was released."
    )
