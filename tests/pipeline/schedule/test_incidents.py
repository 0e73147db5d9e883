"""What people are told: each incident once when it begins and once when it is over, over a month of ticks."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from maskline.components.pusher import serving
from maskline.pipeline.notify import outbox
from maskline.pipeline.schedule import incidents, ledger
from maskline.pipeline.schedule.ledger import Decision, Pause, Tick
from maskline.pipeline.settings.load import load

START = datetime(2026, 11, 27, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Story:
    """A root, its ticks, and the messages that they made."""

    def __init__(self, root, *options):
        self.settings = load(None, ["notify.command=[cat]", *options], root=root)
        self.now = START
        incidents.begin(self.settings)

    def tick(self, decision, *, data="a", after=HOUR, status=0, why="so it is", **facts):
        self.now += after
        tick = Tick(time=self.now, decision=decision, why=why, depends_on=data, status=status, **facts)
        ledger.append(self.settings.root, tick)
        incidents.update(self.settings, [tick], self.now)

    def release(self, identity, why="released"):
        """Makes something live that looks like a model of an identity."""
        model = self.settings.root / identity
        (model / "assets.extra").mkdir(parents=True)
        (model / "assets.extra/maskline.json").write_text(json.dumps({"identity": identity}))
        (model / "saved_model.pb").write_bytes(b"x")
        serving.publish(model, self.settings.serving_dir, why=why)

    @property
    def told(self):
        return [entry.message.kind.value for entry in outbox.waiting(self.settings.root)]


@pytest.fixture
def story(tmp_path):
    return Story(tmp_path / "root")


def test_failure_is_told_once_and_so_is_its_end(story):
    for decision in (Decision.FAILED, Decision.WAITING, Decision.FAILED, Decision.GAVE_UP, Decision.GAVE_UP):
        story.tick(decision, status=1)
    assert story.told == ["failed"]
    story.tick(Decision.NOT_BLESSED, data="b", status=3)
    assert story.told == ["failed", "not_blessed", "recovered"]
    story.tick(Decision.NOTHING_NEW)
    story.tick(Decision.REFUSED, data="c", status=2)
    story.tick(Decision.NOTHING_NEW, data="c", status=2)
    assert story.told[3:] == ["failed"], "what was refused is not over while nothing changed"


def test_each_blocked_delivery_is_an_incident_of_its_own(story):
    story.tick(Decision.BLOCKED, why="drift of op", status=3)
    story.tick(Decision.NOTHING_NEW)
    story.tick(Decision.BLOCKED, data="b", why="bad rows", status=3)
    story.tick(Decision.RELEASED, data="c")
    assert story.told == ["blocked", "blocked", "recovered"]


def test_model_that_is_not_released_is_told_once(story):
    for _ in range(3):
        story.tick(Decision.NOT_BLESSED, status=3)
    assert story.told == ["not_blessed"]
    story.tick(Decision.NOT_BLESSED, data="b", status=3)
    assert story.told == ["not_blessed"] * 2


def test_releases_and_rollbacks_are_told_whoever_made_them(story):
    story.release("a")
    story.tick(Decision.RELEASED, version=1)
    story.release("b")
    story.release("c", why="rolled back to version 1: it was better")
    story.tick(Decision.NOTHING_NEW)
    story.tick(Decision.NOTHING_NEW)
    assert story.told == ["released", "released", "rolled_back"]
    assert "it was better" in outbox.waiting(story.settings.root)[2].message.text


def test_versions_from_before_the_schedule_are_no_news(tmp_path):
    before = Story(tmp_path / "root")
    before.release("a")
    (tmp_path / "root/schedule/incidents.json").unlink()
    story = Story(tmp_path / "root")
    story.tick(Decision.NOTHING_NEW)
    assert story.told == []
    story.release("b")
    story.tick(Decision.NOTHING_NEW)
    assert story.told == ["released"]


def test_old_model_and_silence_are_alarms_until_something_comes(tmp_path):
    story = Story(tmp_path / "root", "schedule.max_age=48", "schedule.max_silence=24")
    story.release("a")
    story.tick(Decision.RELEASED, version=1)
    for _ in range(23):
        story.tick(Decision.NOTHING_NEW)
    assert story.told == ["released"]
    story.tick(Decision.NOTHING_NEW, after=2 * HOUR)
    assert story.told == ["released", "stale"]
    assert "no new data came for 25 h" in outbox.waiting(story.settings.root)[-1].message.text
    for _ in range(30):
        story.tick(Decision.NOTHING_NEW)
    assert story.told == ["released", "stale", "stale"]
    assert "version 1, is 49 h old" in outbox.waiting(story.settings.root)[-1].message.text
    story.tick(Decision.NOT_BLESSED, data="b", status=3)
    assert story.told[3:] == ["not_blessed", "recovered"], "the model is as old as before"


def test_live_model_that_is_weak_on_new_rows_is_an_alarm(tmp_path):
    story = Story(tmp_path / "root", "schedule.min_live_accuracy=0.9")
    story.tick(Decision.NOT_BLESSED, status=3, scored=1, right=90, asked=100)
    assert story.told == ["not_blessed"]
    story.tick(Decision.NOT_BLESSED, data="b", status=3, scored=1, right=89, asked=100)
    story.tick(Decision.NOTHING_NEW)
    assert story.told == ["not_blessed", "not_blessed", "weak"]
    text = outbox.waiting(story.settings.root)[-1].message.text
    assert "live version 1 is right on 89.0% of 100 new rows" in text


def test_schedule_that_paused_itself_is_told_and_one_that_a_person_paused_is_not(story):
    ledger.pause(story.settings.root, Pause(time=START, who="me", why="holiday"))
    story.tick(Decision.PAUSED)
    assert story.told == []
    ledger.pause(story.settings.root, Pause(time=START, who="me", why="5 failed", automatic=True))
    story.tick(Decision.PAUSED)
    story.tick(Decision.PAUSED)
    assert story.told == ["paused"]
    ledger.resume(story.settings.root)
    story.tick(Decision.NOTHING_NEW)
    assert story.told == ["paused", "recovered"]


def test_wrong_settings_file_is_reported_once_and_so_is_its_end(story):
    for text in ("line 3", "line 3", None, None):
        incidents.report(story.settings, "settings", text, START)
    assert story.told == ["settings", "recovered"]


def test_disk_that_takes_no_message_fails_nothing(story):
    said = []

    def refuse():
        raise OSError(28, "No space left on device")

    incidents.guarded(refuse, said.append)
    assert said == ["messages wait: [Errno 28] No space left on device"]
