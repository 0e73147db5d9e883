"""The live model's score, the training policy, and ticks that were killed."""

import json
from datetime import timedelta

import pytest

from maskline.components.pusher import serving
from maskline.pipeline.schedule import attempt, intent, ledger
from maskline.pipeline.schedule.intent import Intent
from maskline.pipeline.schedule.ledger import Decision
from maskline.pipeline.schedule.scoring import Drift, Score
from maskline.pipeline.schedule.store import Seen
from maskline.transform.names import Exit
from tests.components.pusher.test_serving import saved_model
from tests.pipeline.schedule.test_tick import START, World


class Scored(World):
    """A world with a live model of accuracy 0.8, which answers new spans as a test says."""

    def __init__(self, folder, monkeypatch, *options):
        super().__init__(folder, monkeypatch, *options, path="spans/{SPAN}")
        self.score, self.scored = Score(rows=100, right=79), []
        monkeypatch.setattr(attempt, "Scoring", self._scoring)
        model = saved_model(folder / "model", "a")
        (model / "assets.extra/facts.json").write_text(json.dumps({"metrics": {"accuracy": 0.8}}))
        serving.publish(model, self.settings.serving_dir, why="test")

    def _scoring(self, version, folder, shards, sequence, before=()):
        self.scored.append((version, [path.parent.name for path in shards], len(before)))
        return self

    def result(self):
        return self.score.model_copy(update={"version": 1})

    def span(self, number, *statuses, after=timedelta(days=1)):
        self.deliver(f"spans/{number}")
        status = self.tick(*statuses, after=after)
        known = {(number, 0)} if statuses else set()
        self.seen = Seen("x", self.seen.spans | known)
        return status

    def decided(self):
        return self.last.decision

    @property
    def last(self):
        return ledger.ticks(self.settings.root)[-1]


def test_new_span_scores_the_live_model_once(tmp_path, monkeypatch):
    world = Scored(tmp_path, monkeypatch)
    world.span(1, Exit.OK)
    assert (world.last.scored, world.last.right, world.last.asked) == (1, 79, 100)
    assert str(world.last).endswith("live version 1 was right on 79.0%")
    world.tick(Exit.OK)
    assert world.last.asked == 0, "a span that was ingested is not new"
    assert world.scored == [(1, ["1"], 0)]


def test_score_that_was_lost_with_a_killed_run_is_made_again(tmp_path, monkeypatch):
    world = Scored(tmp_path, monkeypatch)
    world.score = Score(problem="killed")
    world.span(1, Exit.TERMINATED)
    world.score = Score(rows=10, right=5)
    world.tick(Exit.OK)
    assert world.last.accuracy == 0.5


@pytest.mark.parametrize(
    ("policy", "score", "trained"),
    [
        ("always", Score(rows=100, right=79), True),
        ("on_decay", Score(rows=100, right=79), False),
        ("on_decay", Score(rows=100, right=77), True),
        ("on_decay", Score(problem="it cannot be loaded"), True),
        ("on_drift", Score(rows=9, drift=(Drift(feature="op", divergence=0.006, chance=0.002),)), False),
        ("on_drift", Score(rows=9, drift=(Drift(feature="op", divergence=0.008, chance=0.002),)), True),
        ("on_drift", Score(rows=9), True),
    ],
)
def test_policy_decides_whether_a_new_span_is_trained_on(tmp_path, monkeypatch, policy, score, trained):
    world = Scored(tmp_path, monkeypatch, f"schedule.retrain={policy}")
    world.score = score
    world.span(1, *([Exit.OK] if trained else []))
    assert world.decided() == (Decision.RELEASED if trained else Decision.NOT_RETRAINED)
    assert world.last.asked == score.rows
    if not trained:
        assert world.last.why.startswith(f"schedule.retrain is {policy}")
        world.tick()
        assert world.decided() == Decision.NOTHING_NEW, "it is asked once"


def test_every_third_span_is_trained_on(tmp_path, monkeypatch):
    world = Scored(tmp_path, monkeypatch, "schedule.retrain=every 3 spans")
    world.seen = Seen("x", frozenset({(1, 0)}))
    for number, statuses in ((2, []), (3, []), (4, [Exit.OK]), (5, [])):
        world.span(number, *statuses)
    assert world.decisions == [
        Decision.NOT_RETRAINED, Decision.NOT_RETRAINED, Decision.RELEASED, Decision.NOT_RETRAINED,
    ]  # fmt: skip


def test_accuracy_below_the_alarm_is_decay_whatever_was_lost(tmp_path, monkeypatch):
    options = ("schedule.retrain=on_decay", "schedule.min_live_accuracy=0.795")
    world = Scored(tmp_path, monkeypatch, *options)
    world.span(1, Exit.OK)
    assert world.decided() == Decision.RELEASED


def test_killed_tick_is_accounted_for_by_the_next(tmp_path, monkeypatch):
    world = Scored(tmp_path, monkeypatch)
    world.deliver("spans/1")
    root = world.settings.root
    intent.write(root, Intent(span="1", depends_on="a", before="", began=START))
    world.tick(Exit.OK)
    assert world.decisions == [Decision.INTERRUPTED, Decision.RELEASED]
    assert intent.read(root) is None
    world.tick(Exit.OK)
    assert world.decisions[2:] == [Decision.RELEASED], "it is told once"


def test_span_whose_run_was_cut_short_is_made_up_for_although_it_was_ingested(tmp_path, monkeypatch):
    world = Scored(tmp_path, monkeypatch, "schedule.catch_up=all")
    world.seen = Seen("x", frozenset({(0, 0)}))
    world.span(1, Exit.TERMINATED)
    world.deliver("spans/2")
    world.tick(Exit.OK, Exit.OK)
    assert [tick.span for tick in ledger.ticks(world.settings.root)] == ["1", "1", "2"]


def test_span_that_cannot_be_read_hinders_no_other(tmp_path, monkeypatch):
    world = Scored(tmp_path, monkeypatch, "schedule.catch_up=all")
    world.seen = Seen("x", frozenset({(0, 0)}))
    (tmp_path / "spans/1").mkdir(parents=True)
    assert world.tick() == Exit.BAD_INPUT
    assert world.decided() == Decision.REFUSED
    assert "no shard matches" in world.last.why
    world.tick()
    assert world.decided() == Decision.NOTHING_NEW
    world.span(2, Exit.OK)
    assert world.decisions == [Decision.REFUSED, Decision.NOTHING_NEW, Decision.RELEASED]


def test_nothing_is_caught_up_where_the_settings_say_so(tmp_path, monkeypatch):
    options = ("schedule.catch_up=none", "schedule.cron=0 3 * * *")
    world = Scored(tmp_path, monkeypatch, *options)
    world.span(1, Exit.OK)
    world.span(2, after=timedelta(days=4))
    assert world.decided() == Decision.NOT_RETRAINED
    assert "3 ticks were missed" in world.last.why
    world.tick(after=timedelta(days=1))
    assert world.decided() == Decision.NOTHING_NEW
    world.span(3, Exit.OK)
    assert world.decided() == Decision.RELEASED
