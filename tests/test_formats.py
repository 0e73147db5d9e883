"""What is on the disk: yesterday's files are read, today's have a number and a row in docs/formats.md.

The files in tests/formats/ were written by runs of earlier states of maskline, before there were numbers.
"""

import gzip
import json
import re
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from maskline.components.data_gate.resampling import Parts
from maskline.components.evaluation.report import EvaluationReport
from maskline.components.ingest.quarantine import IngestReport, QuarantinedRow
from maskline.components.ingest.shards import read_shard
from maskline.components.pusher import audit
from maskline.components.pusher.manifest import Manifest
from maskline.components.pusher.model_card import Facts
from maskline.components.verdict import Verdict
from maskline.pipeline.notify import outbox
from maskline.pipeline.predict.report import PredictReport
from maskline.pipeline.registry.history import History
from maskline.pipeline.registry.model_facts import read_facts
from maskline.pipeline.registry.store import connect
from maskline.pipeline.schedule import ledger
from maskline.pipeline.schedule.incidents import State
from maskline.pipeline.schedule.intent import Intent
from maskline.pipeline.settings.remembered import of_root
from maskline.transform.answers import AnswerSummary
from maskline.transform.attention import AttentionSummary
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec
from maskline.transform.names import AUDIT_FILE, ROWS_READ
from maskline.transform.problems import Reason
from maskline.transform.versioned import FORMAT, Versioned
from tests.support import REPOSITORY, example

FILES = Path(__file__).parent / "formats"
UNNUMBERED, EARLY = FILES / "unnumbered", FILES / "early"
# The form of each document, a part of what it says, and what that is in the two files.
FORMS: dict[str, tuple[type[Versioned], Callable[[Any], Any], list[Any]]] = {
    "data_gate_verdict.json": (Verdict, lambda v: (v.checks[0].name, v.passed), [("bad rows", True)] * 2),
    "model_checks_verdict.json": (Verdict, lambda v: (v.checks[0].name, v.passed), [("alone", True)] * 2),
    "release_gate_verdict.json": (Verdict, lambda v: (v.checks[0].name, v.passed), [("accuracy", True)] * 2),
    "quarantine_report.json": (IngestReport, lambda r: r.rows_in - r.bad_rows, [601, 10_000]),
    "metrics.json": (EvaluationReport, lambda r: r.overall.rows, [125, 2052]),
    "facts.json": (Facts, lambda f: f.data.read, [603, 10_000]),
    "manifest.json": (Manifest, lambda m: len(m.files), [9]),
    "answers.json": (AnswerSummary, lambda a: a.rows - a.wrong, [57]),
    "attention.json": (AttentionSummary, lambda a: len(a.rows), [3]),
    "predict_report.json": (PredictReport, lambda r: (r.rows_in, r.answered), [(2, 1)]),
    "paused.json": (ledger.Pause, lambda p: p.why, ["wrong labels since Monday"]),
    "incidents.json": (State, lambda s: s.version, [1]),
    "outbox_message.json": (outbox.Waiting, lambda w: w.ways, [("webhook",)]),
}  # fmt: skip
LATER = "has format 2, and this release of maskline reads 1; install a later release"


@pytest.mark.parametrize("name", sorted(FORMS))
def test_yesterday_s_document_is_read_and_written_with_a_number(name):
    form, part, expected = FORMS[name]
    files = [file for file in (UNNUMBERED / name, EARLY / name) if file.exists()]
    assert FORMAT not in json.loads(files[0].read_bytes())
    for file, value in zip(files, expected, strict=True):
        document = form.model_validate_json(file.read_bytes())
        assert part(document) == value
        written = json.loads(document.model_dump_json(by_alias=True))
        assert next(iter(written.items())) == (FORMAT, 1)
        assert form.model_validate(written) == document
        with pytest.raises(ValidationError, match=LATER):
            form.model_validate({**written, FORMAT: 2})


def test_every_form_of_a_file_has_an_old_file_here():
    """But what a tick is about to run, which a killed one alone leaves, and the times of sent messages."""
    lines = {audit.Change, ledger.Tick}
    assert set(Versioned.__subclasses__()) - {form for form, *_ in FORMS.values()} - lines == {
        Intent, outbox._Sent,
    }  # fmt: skip


def test_yesterday_s_logs_are_read_and_go_on_with_a_number(tmp_path):
    for folder in (UNNUMBERED, EARLY):
        serving = tmp_path / folder.name
        serving.mkdir()
        (serving / AUDIT_FILE).write_bytes((folder / AUDIT_FILE).read_bytes())
        [change] = audit.changes(serving)
        assert (change.before, change.to, change.model_id > 0) == (None, 1, True)
        audit.append(serving, change)
        assert audit.changes(serving) == [change, change]
        assert numbers(serving / AUDIT_FILE) == [None, 1]
        with open(serving / AUDIT_FILE, "a") as file:
            file.write(json.dumps({FORMAT: 2, "event": "unheard of"}) + "\n")
        assert audit.problems(serving) == [
            f"{serving / AUDIT_FILE}: line 3 cannot be read ({LATER}); put it back from a backup"
        ]
    record = tmp_path / ledger.FOLDER / "ticks.jsonl"
    record.parent.mkdir()
    record.write_bytes((UNNUMBERED / "ticks.jsonl").read_bytes())
    [tick] = ledger.ticks(tmp_path)
    assert (tick.decision, tick.rows, tick.quarantined) == (ledger.Decision.RELEASED, 603, 2)
    ledger.append(tmp_path, tick)
    assert numbers(record) == [None, 1]
    assert ledger.ticks(tmp_path) == [tick, tick]


def test_a_message_that_a_later_release_left_is_not_thrown_away(tmp_path):
    later = json.loads((UNNUMBERED / "outbox_message.json").read_bytes()) | {FORMAT: 2}
    files = [tmp_path / "schedule/outbox" / name for name in ("1.json", "2.json")]
    files[0].parent.mkdir(parents=True)
    files[0].write_text(json.dumps(later))
    files[1].write_text(files[0].read_text()[:40])
    assert outbox.waiting(tmp_path) == []
    assert [file.exists() for file in files] == [True, False]


def test_yesterday_s_root_tells_its_settings_and_its_runs(tmp_path):
    (tmp_path / "settings.json").write_bytes((UNNUMBERED / "settings.json").read_bytes())
    assert of_root(None, (), tmp_path).settings.training.epochs == 1
    store = tmp_path / "metadata.sqlite"
    store.write_bytes(gzip.decompress((UNNUMBERED / "metadata.sqlite.gz").read_bytes()))
    run = History(store, tmp_path / "serving", read_only=True).latest()
    assert run is not None
    assert (run.run, len(run.components)) == ("2026-11-27T21-43-34.860121", 14)
    newer = json.loads((tmp_path / "settings.json").read_bytes()) | {FORMAT: 2}
    (tmp_path / "settings.json").write_text(json.dumps(newer))
    with pytest.raises(InputError, match=f"{tmp_path}/settings.json: {LATER}"):
        of_root(None, (), tmp_path)


def test_yesterday_s_plain_documents_are_read():
    for folder, rows in ((UNNUMBERED, 603 - 2), (EARLY, 10_000)):
        assert sum(json.loads((folder / "history.json").read_bytes())["rows"].values()) == rows
        spec = SequenceSpec.of_export(json.loads((folder / "maskline.json").read_bytes())["sequence"])
        assert (spec.features, spec.length) == (("defs", "op"), 20)
        assert read_facts(folder / "facts.json")["settings"]["training"]["epochs"] == 1
    state = json.loads((UNNUMBERED / "checkpoint_state.json").read_bytes())
    assert state["history"][-1]["val_loss"] < state["history"][0]["val_loss"]


def test_yesterday_s_arrays_and_records_are_read():
    with open(UNNUMBERED / "parts.npz", "rb") as file:
        parts = Parts.read(file)
    assert (parts.rows, len(records("unnumbered/examples.tfrecord.gz"))) == (125, 37)
    golden = [records(f"{folder}/golden.tfrecord.gz") for folder in ("unnumbered", "early")]
    assert [len(rows) for rows in golden] == [125, 256]
    rows = [QuarantinedRow.unpack(data) for data in records("unnumbered/quarantine_rows.tfrecord.gz")]
    assert {row.reason for row in rows} == {Reason.OUTSIDE_VOCABULARY, Reason.MISSING}
    assert all(QuarantinedRow.unpack(row.pack()) == row for row in rows)


def numbers(log):
    """The number of each line."""
    return [json.loads(line).get(FORMAT) for line in log.read_text().splitlines()]


def records(name):
    return [record.data for record in read_shard(str(FILES / name))]


def listed():
    """The patterns of docs/formats.md."""
    text = (REPOSITORY / "docs/formats.md").read_text()
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {pattern for cell in cells for pattern in re.findall("`([^`]+)`", cell)}


@pytest.mark.slow
def test_every_file_of_a_root_is_listed_and_ours_have_a_number(finished):
    files = [path.relative_to(finished.root) for path in finished.root.rglob("*") if path.is_file()]
    assert sorted(str(file) for file in files if not any(fnmatch(str(file), p) for p in listed())) == []
    documents = [file for file in files if file.suffix in (".json", ".jsonl")]
    documents = [file for file in documents if file.name != "eval_config.json"]  # TFMA's
    assert len(documents) >= 14
    for file in documents:
        path = finished.root / file
        found = numbers(path) if file.suffix == ".jsonl" else [json.loads(path.read_text()).get(FORMAT)]
        assert set(found) == {1}, file
    numbered = example(format=[1])[2:]
    for name in ("golden.tfrecord.gz", "rows-00000-of-00001.tfrecord.gz"):
        for file in finished.root.rglob(name):
            assert all(numbered in record.data for record in read_shard(str(file))), file
    rows = connect(finished.root / "metadata.sqlite", read_only=True).get_artifacts_by_type("Examples")
    ingested = [artifact.custom_properties for artifact in rows if ROWS_READ in artifact.custom_properties]
    assert [properties[FORMAT].int_value for properties in ingested] == [1] * len(ingested)
    assert ingested
