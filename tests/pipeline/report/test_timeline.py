"""The history of a root: every run and tick once, with what became of it as its record has it."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from maskline.components.pusher.serving import LOCK_FILE
from maskline.components.verdict import Outcome
from maskline.pipeline.cli import cli
from maskline.pipeline.registry.history import History
from maskline.pipeline.report import history, timeline
from maskline.pipeline.schedule import ledger
from maskline.pipeline.schedule.ledger import Decision, Tick
from maskline.transform.errors import InputError
from maskline.transform.names import AUDIT_FILE, Exit
from tests.bench.history import many_runs

ONE, TWO = "2026-11-27T10-00-00.000000", "2026-11-28T10-00-00.000000"


def tick(hours, decision, why="because"):
    return Tick(time=datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=hours), decision=decision, why=why)


def test_each_run_is_told_as_its_record_tells_it(config, record):
    record(ONE, gate=Outcome.BLOCKED)
    record(TWO, gate=Outcome.PASSED)
    entries = timeline.read(config)
    assert [(e.name, e.decision, e.why) for e in entries] == [
        (ONE, "not released", "ReleaseGate"),
        (TWO, "passed", "this model was released before"),
    ]
    runs = History(config.metadata_file, config.serving_dir)
    assert [runs.run(e.name).exit for e in entries] == [Exit.BLOCKED, Exit.OK]


def test_metrics_have_their_change_from_the_run_before(config):
    many_runs(config, 3, slices=1)
    entries = timeline.read(config)
    assert [e.metrics["accuracy"] for e in entries] == pytest.approx([0.5, 0.501, 0.502])
    assert [e.change.get("accuracy") for e in entries] == [None, pytest.approx(0.001), pytest.approx(0.001)]
    assert [e.decision for e in entries] == ["not released", "passed", "not released"]


def test_evaluation_that_is_gone_leaves_the_run(config):
    many_runs(config, 2, slices=1)
    (config.root / "artifacts/Evaluator/evaluation/0/metrics.json").unlink()
    assert [e.metrics.get("accuracy") for e in timeline.read(config)] == [None, pytest.approx(0.501)]


def test_tick_that_started_no_run_is_there_and_one_that_did_is_its_run(config, record):
    record(ONE)
    [run] = timeline.read(config)
    for one in (
        tick(0, Decision.NOTHING_NEW),
        tick(1, Decision.REFUSED, "no such file"),
        Tick(time=run.time, decision=Decision.NOT_BLESSED, why="a gate", seconds=9),
    ):
        ledger.append(config.root, one)
    entries = timeline.read(config)
    assert [(e.kind, e.decision) for e in entries] == [
        ("tick", "nothing new"), ("tick", "refused"), ("run", "not released"),
    ]  # fmt: skip


def test_what_was_live_when_follows_the_audit_log(config, record):
    record(ONE)
    config.serving_dir.mkdir(parents=True)
    (config.serving_dir / LOCK_FILE).touch()
    times = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3)]
    lines = [
        {"time": time.isoformat(), "who": "a<b", "from": None, "to": n, "why": "w"}
        for n, time in enumerate(times, start=1)
    ]
    (config.serving_dir / AUDIT_FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    went = timeline.live(config)
    assert [(w.version, w.since) for w in went] == list(zip((1, 2, 3), times, strict=True))
    assert [w.until for w in went] == [*times[1:], None]
    assert timeline.read(config)[0].live == 3
    page = history.make(timeline.read(config), went, config.root / "reports/history.html")
    assert len(re.findall(r'id="live-version-\d"', page)) == 3
    assert "a<b" not in page


def test_page_links_to_the_reports_that_are_there(config, record):
    record(ONE)
    record(TWO)
    (config.root / "reports").mkdir()
    (config.root / "reports" / f"{ONE}.html").touch()
    page = history.make(timeline.read(config), [], config.root / "reports/history.html")
    assert re.findall(r'<a href="(2026[^"]+)"', page) == [f"{ONE}.html"]
    assert TWO in page


def told(capsys, root, *options):
    cli.main(["history", "--root", str(root), *options], standalone_mode=False)
    return capsys.readouterr().out


def test_command_prints_a_table_json_or_writes_a_page(config, record, capsys):
    record(ONE)
    table = told(capsys, config.root)
    assert ONE in table
    assert "not released: ReleaseGate" in table
    found = json.loads(told(capsys, config.root, "--json"))
    assert [entry["name"] for entry in found["entries"]] == [ONE]
    assert told(capsys, config.root, "--html") == f"{config.root}/reports/history.html\n"
    assert ONE in (config.root / "reports/history.html").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--json", "--html"), "give one of --json and --html"),
        (("--out", "x"), "--out: is for --html"),
        ((), "no run yet"),
    ],
)
def test_wrong_use_is_refused(tmp_path, capsys, options, words):
    with pytest.raises(InputError, match=words):
        told(capsys, tmp_path, *options)
