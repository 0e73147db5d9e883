"""What a tick decides. The run is a process that ends as it is told; the rest is real."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from maskline.pipeline.local import lock
from maskline.pipeline.schedule import attempt, ledger
from maskline.pipeline.schedule import tick as ticking
from maskline.pipeline.schedule.alone import alone
from maskline.pipeline.schedule.child import Ended
from maskline.pipeline.schedule.due import due as what_is_due
from maskline.pipeline.schedule.ledger import Decision, Pause, Tick
from maskline.pipeline.schedule.store import Seen
from maskline.pipeline.settings.load import load
from maskline.transform.names import Exit
from tests.support import GOOD, write_shard

START = datetime(2026, 11, 27, 3, tzinfo=UTC)


class World:
    """A root, data, a clock, and runs that end with the statuses that a test gives."""

    def __init__(self, folder, monkeypatch, *options, path="data"):
        self.folder, self.now, self.statuses, self.asked, self.said = folder, START, [], [], []
        self.options, self.path = options, path
        self.seen = Seen()
        monkeypatch.setattr(attempt, "run", self._run)
        for module in (ticking, attempt):
            monkeypatch.setattr(module, "look_at_store", lambda file: self.seen)

    def _run(self, settings, arguments):
        self.asked.append([a for a in arguments if a != "--quick"])
        return Ended(*self.statuses.pop(0))

    @property
    def settings(self):
        return load(None, ["data.unchanged_for=0", *self.options], root=self.folder / "root",
                    data=self.folder / self.path)  # fmt: skip

    def deliver(self, name="data"):
        write_shard(self.folder / name / "a.tfrecords", [GOOD])

    def tick(self, *statuses, after=timedelta()):
        self.now += after
        self.statuses = [s if isinstance(s, tuple) else (s, False) for s in statuses]
        status = ticking.tick_once(self.settings, ["--quick"], clock=lambda: self.now, say=self.said.append)
        assert not self.statuses, "a run was due and none was started"
        return status

    @property
    def decisions(self):
        return [tick.decision for tick in ledger.ticks(self.settings.root)]


@pytest.fixture
def world(tmp_path, monkeypatch):
    world = World(tmp_path, monkeypatch)
    world.deliver()
    return world


@pytest.mark.parametrize(
    ("status", "decision"),
    [
        (Exit.OK, Decision.RELEASED),
        (Exit.BLOCKED, Decision.NOT_BLESSED),
        (Exit.BAD_INPUT, Decision.REFUSED),
        (Exit.ERROR, Decision.FAILED),
        (Exit.INTERRUPTED, Decision.INTERRUPTED),
        (Exit.BUSY, Decision.BUSY),
    ],
)
def test_tick_ends_with_the_status_of_the_run_and_records_it(world, status, decision):
    assert world.tick(status) == status
    assert world.decisions == [decision]


def test_run_that_was_killed_or_took_too_long_is_a_failure(world):
    assert world.tick(-9) == Exit.ERROR
    assert "ended by signal 9" in world.said[-1]
    assert world.tick((143, True), after=timedelta(hours=1)) == Exit.ERROR
    assert "took longer than schedule.max_run_hours (24)" in world.said[-1]
    assert world.decisions == [Decision.FAILED] * 2


def test_nothing_new_starts_nothing(world):
    [due] = what_is_due(world.settings, Seen(), [])
    world.seen = Seen(last=due.depends_on)
    assert world.tick() == Exit.OK
    assert world.decisions == [Decision.NOTHING_NEW]
    world.deliver("data/more")  # a folder that the pattern does not reach
    assert world.tick() == Exit.OK
    write_shard(world.folder / "data/b.tfrecords", [GOOD])
    assert world.tick(Exit.OK) == Exit.OK


def test_failure_is_tried_again_later_and_later_and_only_so_often(world):
    world.tick(Exit.ERROR)
    world.tick(after=timedelta(seconds=299))
    world.tick(Exit.ERROR, after=timedelta(seconds=1))
    world.tick(after=timedelta(seconds=599))
    assert "attempt 3 is due at 2026-11-27 03:15:00 UTC" in world.said[-1]
    world.tick(Exit.ERROR, after=timedelta(seconds=1))
    assert world.tick(after=timedelta(days=1)) == Exit.ERROR
    assert world.decisions == [
        Decision.FAILED, Decision.WAITING, Decision.FAILED, Decision.WAITING, Decision.FAILED,
        Decision.GAVE_UP,
    ]  # fmt: skip
    write_shard(world.folder / "data/b.tfrecords", [GOOD])
    assert world.tick(Exit.OK) == Exit.OK, "new data begin anew"


def test_refused_input_is_not_tried_again_until_something_changes(world):
    world.tick(Exit.BAD_INPUT)
    assert world.tick(after=timedelta(days=1)) == Exit.BAD_INPUT
    write_shard(world.folder / "data/b.tfrecords", [GOOD])
    assert world.tick(Exit.OK) == Exit.OK


def test_data_that_are_not_there_are_looked_for_again(tmp_path, monkeypatch):
    world = World(tmp_path, monkeypatch)
    assert world.tick() == Exit.BAD_INPUT
    assert world.decisions == [Decision.NO_DATA]
    world.deliver()
    assert world.tick(Exit.OK) == Exit.OK


def test_failures_in_a_row_pause_the_schedule_until_a_person_resumes_it(tmp_path, monkeypatch):
    world = World(tmp_path, monkeypatch, "schedule.max_failures=2", "schedule.backoff=0")
    world.deliver()
    world.tick(Exit.ERROR)
    world.tick(Exit.ERROR)
    assert world.said[-1].startswith("paused: 2 ticks in a row failed")
    assert world.tick() == Exit.OK
    assert world.decisions[-1] is Decision.PAUSED
    assert ledger.resume(world.settings.root)
    assert not ledger.resume(world.settings.root)
    world.tick(Exit.OK)
    assert ledger.failures_in_a_row(ledger.ticks(world.settings.root)) == 0


def test_tick_beside_a_run_or_another_tick_starts_nothing(world):
    with lock.hold(world.settings.root):
        assert world.tick() == Exit.BUSY
    assert world.decisions == [Decision.BUSY]
    with alone(world.settings.root / "schedule" / "tick") as holder:
        assert holder is None
        assert world.tick() == Exit.BUSY
    assert len(world.decisions) == 1


SPANS = [f"spans/{number}" for number in range(1, 6)]


@pytest.mark.parametrize(
    ("catch_up", "limit", "asked"),
    [
        ("latest", 31, [[]]),
        ("all", 31, [["--span", "3"], ["--span", "4"], []]),
        ("all", 2, [["--span", "4"], []]),
        ("all", 1, [[]]),
    ],
)
def test_missed_spans_are_made_up_for_as_asked(tmp_path, monkeypatch, catch_up, limit, asked):
    options = (f"schedule.catch_up={catch_up}", f"schedule.max_catch_up={limit}")
    world = World(tmp_path, monkeypatch, *options, path="spans/{SPAN}")
    for span in SPANS:
        world.deliver(span)
    world.seen = Seen("earlier", frozenset({(1, 0), (2, 0)}))
    world.tick(*[Exit.OK] * len(asked))
    assert world.asked == asked


def test_new_version_of_an_old_span_is_made_up_for(tmp_path, monkeypatch):
    world = World(tmp_path, monkeypatch, "schedule.catch_up=all", path="spans/{SPAN}/v{VERSION}")
    for place in ("spans/1/v1", "spans/2/v1", "spans/2/v2", "spans/3/v1"):
        world.deliver(place)
    world.seen = Seen("earlier", frozenset({(1, 1), (2, 1)}))
    world.tick(Exit.OK, Exit.OK)
    assert world.asked == [["--span", "2"], []]


def test_first_tick_of_a_root_replays_no_past(tmp_path, monkeypatch):
    world = World(tmp_path, monkeypatch, "schedule.catch_up=all", path="spans/{SPAN}")
    for span in SPANS:
        world.deliver(span)
    world.tick(Exit.OK)
    assert world.asked == [[]]


def test_torn_line_is_passed_over_and_the_next_one_is_whole(tmp_path):
    tick = Tick(time=START, decision=Decision.RELEASED, why="x")
    ledger.append(tmp_path, tick)
    file = tmp_path / "schedule/ticks.jsonl"
    file.write_bytes(file.read_bytes() + b'{"time": "2026')
    assert ledger.ticks(tmp_path) == [tick]
    ledger.append(tmp_path, tick)
    with pytest.raises(ValueError, match=r"ticks\.jsonl: is damaged"):
        ledger.ticks(tmp_path)


def test_damaged_pause_is_a_pause(tmp_path):
    ledger.pause(tmp_path, Pause(time=START, who="a", why="b"))
    (tmp_path / "schedule/paused.json").write_text(json.dumps({"who": 3})[:5])
    found = ledger.paused(tmp_path)
    assert found is not None
    assert found.why == "the file that says why is damaged"
