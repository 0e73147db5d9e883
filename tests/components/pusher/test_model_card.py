"""The model card, read by a person who must decide. Made-up figures; no TFX."""

from datetime import UTC, datetime

import pytest

from maskline.components.evaluation.paired import Pairs
from maskline.components.evaluation.report import EvaluationReport, SliceReport
from maskline.components.pusher.audit import Change
from maskline.components.pusher.model_card import Data, Facts, card
from maskline.transform.features import SequenceSpec


@pytest.fixture
def text():
    metrics = {
        "candidate": {"example_count": 1000.0, "accuracy": 0.9, "loss": 0.3, "calibration_error": 0.02},
        "live": {"example_count": 1000.0, "accuracy": 0.88, "loss": 0.4, "calibration_error": 0.03},
        "majority": {"example_count": 1000.0, "accuracy": 0.6, "loss": 1.1, "calibration_error": 0.01},
        "linear": {"example_count": 1000.0, "accuracy": 0.7, "loss": 0.8},
    }
    pairs = {
        "live": Pairs(rows=1000, better=60, worse=40),
        "majority": Pairs(rows=1000, better=320, worse=20),
    }
    evaluation = EvaluationReport(slices=(SliceReport(name="", rows=1000, metrics=metrics, pairs=pairs),))
    settings = {"sequence": SequenceSpec().model_dump(mode="json"), "training": {"seed": 0}}
    facts = Facts(
        data=Data(rows={"train": 9, "test": 1}, read=10, set_aside=0), parameters=7, evaluation=evaluation,
        metrics=metrics["candidate"], gates={}, settings=settings, code={}, stack={},
    )  # fmt: skip
    change = Change(
        time=datetime(2026, 1, 1, tzinfo=UTC), who="me", why="all gates passed", before=None, to=1,
        identity="abcdef0123456789",
    )  # fmt: skip
    return card(facts, change)


def test_baselines_and_the_live_model_stand_beside_the_model(text):
    lines = text.splitlines()
    [head] = [place for place, line in enumerate(lines) if line.startswith("| all rows |")]
    assert lines[head] == (
        "| all rows | this model | the live model | always giving the most frequent answer "
        "| a linear model on counts of symbols |"
    )
    assert lines[head + 2 : head + 5] == [
        "| accuracy | 0.9000 | 0.8800 | 0.6000 | 0.7000 |",
        "| loss | 0.3000 | 0.4000 | 1.1000 | 0.8000 |",
        "| calibration error | 0.0200 | 0.0300 | 0.0100 | – |",
    ]
    assert lines[head + 5] == ""


def test_card_begins_with_how_good_the_model_is(text):
    assert "It is right on 90.0% of 1,000 held-out rows" in text.splitlines()[2]
    assert "better than always giving the most frequent answer (60.0%)" in text.splitlines()[2]
