"""A backfill's plan, and how it goes through it. Runs are processes that end as they are told."""

from datetime import UTC, datetime

import pytest

from maskline.pipeline.errors import BusyError
from maskline.pipeline.schedule import child, intent, ledger
from maskline.pipeline.schedule.alone import alone
from maskline.pipeline.schedule.backfill import Todo, backfill, plan
from maskline.pipeline.schedule.child import Ended
from maskline.pipeline.schedule.intent import Intent
from maskline.pipeline.schedule.ledger import Decision, Tick
from maskline.pipeline.schedule.store import Seen
from maskline.pipeline.settings.load import load
from maskline.transform.errors import InputError
from maskline.transform.names import Exit
from tests.support import GOOD, maskline, write_shard

NOW = datetime(2026, 11, 27, 3, tzinfo=UTC)


class Past:
    """Spans, a root, and runs that end with the statuses that a test gives."""

    def __init__(self, folder, monkeypatch, *present):
        self.folder, self.asked, self.statuses, self.seen = folder, [], [], Seen()
        for number in present:
            write_shard(folder / f"spans/{number}/a.tfrecords", [GOOD])
        monkeypatch.setattr(child, "run", self._run)

    def _run(self, arguments, *, hours, grace):
        self.asked.append(arguments)
        return Ended(self.statuses.pop(0))

    @property
    def settings(self):
        return load(
            None, ["data.unchanged_for=0"], root=self.folder / "root", data=self.folder / "spans/{SPAN}"
        )

    def plan(self, first, last):
        past = ledger.ticks(self.settings.root)
        return plan(self.settings, self.seen, past, first=str(first), last=str(last))

    def fill(self, first, last, *statuses):
        self.statuses = list(statuses)
        steps = self.plan(first, last)
        return backfill(self.settings, ["--quick"], steps, clock=lambda: NOW, say=lambda line: None)

    @property
    def decisions(self):
        return [(tick.span, tick.decision) for tick in ledger.ticks(self.settings.root)]


@pytest.fixture
def past(tmp_path, monkeypatch):
    return Past(tmp_path, monkeypatch, 1, 2, 4, 5)


def test_only_the_newest_span_of_all_is_trained_on(past):
    assert [step.todo for step in past.plan(1, 5)] == [
        Todo.INGEST, Todo.INGEST, Todo.MISSING, Todo.INGEST, Todo.TRAIN,
    ]  # fmt: skip
    assert [step.todo for step in past.plan(1, 2)] == [Todo.INGEST] * 2, "a newer span is there"


def test_what_was_ingested_is_done_and_what_was_cut_short_is_not(past):
    past.seen = Seen("x", frozenset({(1, 0), (2, 0), (5, 0)}))
    for span, decision in (("2", Decision.INTERRUPTED), ("5", Decision.RELEASED)):
        ledger.append(past.settings.root, Tick(time=NOW, decision=decision, why="x", span=span))
    todo = [step.todo for step in past.plan(1, 5)]
    assert todo == [Todo.DONE, Todo.INGEST, Todo.MISSING, Todo.INGEST, Todo.DONE]


def test_spans_are_done_in_order_and_each_is_recorded(past):
    assert past.fill(1, 5, Exit.OK, Exit.BLOCKED, Exit.OK, Exit.OK) == Exit.OK
    spans = [arguments[arguments.index("--span") + 1] for arguments in past.asked]
    assert spans == ["1", "2", "4", "5"]
    assert ["--only-ingest" in arguments for arguments in past.asked] == [True, True, True, False]
    assert past.decisions == [
        ("1", Decision.INGESTED), ("2", Decision.BLOCKED), ("4", Decision.INGESTED), ("5", Decision.RELEASED),
    ]  # fmt: skip


def test_what_a_backfill_trained_is_accounted_for_once(past):
    past.fill(5, 5, Exit.OK)
    assert past.decisions == [("5", Decision.RELEASED)]
    assert intent.read(past.settings.root) is None, "the next tick would account for it again"


def test_what_a_killed_tick_left_is_accounted_for_before_the_first_step(past):
    left = Intent(span="4", depends_on="a", before="", began=NOW)
    intent.write(past.settings.root, left)
    past.fill(1, 1, Exit.OK)
    assert past.decisions == [("4", Decision.INTERRUPTED), ("1", Decision.INGESTED)]
    assert intent.read(past.settings.root) is None


@pytest.mark.parametrize(("status", "decision"), [(1, "failed"), (143, "interrupted"), (-9, "failed")])
def test_what_ends_a_run_ends_the_backfill(past, status, decision):
    ended = past.fill(1, 5, Exit.OK, status)
    assert ended == (status if status > 0 else 1)
    assert past.decisions == [("1", Decision.INGESTED), ("2", Decision(decision))]


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [("3", "1", "give the earlier one first"), ("7", "9", "no span from 7 to 9 is complete"),
     ("yesterday", "5", "'yesterday' is not a span"), ("0", "99999", "at most 10,000 spans")],
)  # fmt: skip
def test_range_that_is_none_is_refused(past, first, last, words):
    with pytest.raises(InputError, match=words):
        past.plan(first, last)


def test_tick_that_works_is_not_disturbed(past):
    with (
        alone(past.settings.root / "schedule/tick"),
        pytest.raises(BusyError, match="a tick works here"),
    ):
        past.fill(1, 5)


def test_dry_run_shows_the_plan_and_does_nothing(past, tmp_path):
    options = ("--root", tmp_path / "root", "--set", f"data.path={tmp_path}/spans/{{SPAN}}",
               "--set", "data.unchanged_for=0")  # fmt: skip
    done = maskline("backfill", "--from", 2, "--to", 5, "--dry-run", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(maxsplit=1) for line in done.stdout.splitlines()] == [
        ["2", "ingest"], ["3", "nothing: it is not there, or not complete"], ["4", "ingest"],
        ["5", "ingest, train, release if the gates allow it"],
    ]  # fmt: skip
    assert not (tmp_path / "root/metadata.sqlite").exists()
    plain = maskline("backfill", "--from", 2, "--to", 5, "--root", tmp_path / "root")
    assert plain.returncode == 2
    assert "has no spans" in plain.stderr
