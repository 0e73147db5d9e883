"""Publishing by identity, and finding the live model."""

import hashlib
import json
import re
import shutil
from importlib import metadata
from pathlib import Path

import pytest
from tfx.types.standard_artifacts import (
    Examples,
    InfraBlessing,
    Model,
    ModelBlessing,
    ModelEvaluation,
    PushedModel,
)

from maskline.components.artifacts import Release, TrainingHistory, VerdictArtifact
from maskline.components.evaluation.paired import Pairs
from maskline.components.evaluation.report import EvaluationReport, SliceReport
from maskline.components.pusher.component import GATES, Executor, Provenance
from maskline.components.pusher.manifest import digest
from maskline.components.pusher.model_card import Facts
from maskline.components.pusher.serving import FACTS_PATH as FACTS
from maskline.components.pusher.serving import publish, remove, versions
from maskline.components.release_gate.component import write_blessing
from maskline.components.resolvers.models import LiveModelStrategy
from maskline.components.verdict import Check, Verdict
from maskline.pipeline.registry.models import released
from maskline.transform.answers import AnswerSummary, Confusion, WrongRow
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec
from maskline.transform.names import (
    ACCURACY,
    ANSWERS_FILE,
    BLESSED,
    CARD_FILE,
    CHECKED_FILES,
    EVALUATION_FILE,
    FACTS_FILE,
    FILES,
    IDENTITY_FILE,
    READ_FROM,
    ROWS_READ,
)


def saved_model(folder: Path, identity: str) -> Path:
    card = folder / IDENTITY_FILE
    card.parent.mkdir(parents=True)
    card.write_text(json.dumps({"identity": identity}))
    (folder / "saved_model.pb").write_text(identity)
    return folder


def model(tmp_path, identity, number):
    artifact = Model()
    artifact.uri = str(tmp_path / f"model-{number}")
    artifact.id = number
    if not Path(artifact.uri).exists():
        saved_model(Path(artifact.uri) / "Format-Serving", identity)
    return artifact


def known(tmp_path):
    """What the nodes before it tell the Pusher of a model, as they write it."""
    folder = tmp_path / "known"
    folder.mkdir(exist_ok=True)
    rows = {"train": 80, "eval": 15}
    (folder / "history.json").write_text(json.dumps({"rows": rows, "parameters": 1234}))
    report = COMPARED if versions(tmp_path / "serving") else REPORT
    (folder / EVALUATION_FILE).write_text(report.model_dump_json())
    examples, history, evaluation = Examples(), TrainingHistory(), ModelEvaluation()
    examples.span = 20_000
    examples.set_int_custom_property(ROWS_READ, 100)
    examples.set_string_custom_property(READ_FROM, "/data/2024-10-04")
    examples.set_string_custom_property(FILES, "split:all,num_files:4")
    history.uri = evaluation.uri = str(folder)
    (folder / ANSWERS_FILE).write_text(ANSWERS.model_dump_json())
    inputs = {"examples": [examples], "history": [history], "evaluation": [evaluation]}
    for gate in GATES:
        verdict = VerdictArtifact()
        verdict.uri = str(folder / gate)
        verdict.write(Verdict(checks=(Check(name=gate, asked="a lot", measured="b|c", outcome="warned"),)))
        inputs[gate] = [verdict]
    return inputs


def push(tmp_path, identity, number, *, blessed=True):
    """Runs the Pusher; gives its Release and PushedModel."""
    blessing = ModelBlessing()
    blessing.set_int_custom_property("blessed", int(blessed))
    outputs = {"pushed_model": [PushedModel()], "release": [Release()]}
    outputs["pushed_model"][0].uri = str(tmp_path / f"pushed-{number}")
    candidate, checked = model(tmp_path, identity, number), InfraBlessing()
    checked.set_int_custom_property(BLESSED, 1)
    checked.set_string_custom_property(CHECKED_FILES, digest(Path(candidate.uri) / "Format-Serving"))
    inputs = {
        "model": [candidate],
        "model_blessing": [blessing],
        "infra_blessing": [checked],
        **known(tmp_path),
    }
    provenance = Provenance(settings=SETTINGS, code={"training": "0" * 16}, spans="{YYYY}-{MM}-{DD}")
    given = {"serving_dir": str(tmp_path / "serving"), "provenance": provenance.model_dump_json()}
    Executor().Do(inputs, outputs, given)
    return outputs["release"], outputs["pushed_model"][0]


METRICS = {"accuracy": 0.8, "loss": 0.5, "calibration_error": 0.02, "example_count": 15.0}
ERRORS = {"candidate": {"loss": 0.1, "calibration_error": 0.02}}
REPORT = EvaluationReport(
    slices=(
        SliceReport(name="", rows=15, metrics={"candidate": METRICS}, standard_errors=ERRORS),
        SliceReport(
            name="operator=+",
            rows=10,
            metrics={"candidate": METRICS},
            standard_errors=ERRORS,
            pairs={"live": Pairs(rows=10, better=1, worse=3)},
        ),
    )
)
COMPARED = EvaluationReport(
    slices=(
        REPORT.overall.model_copy(update={"metrics": {"candidate": METRICS, "live": METRICS}}),
        *REPORT.slices[1:],
    )
)
SETTINGS = {"sequence": SequenceSpec().model_dump(mode="json"), "training": {"seed": 7, "epochs": 3}}


DIGEST = hashlib.sha256(b"split:all,num_files:4").hexdigest()
ANSWERS = AnswerSummary(
    labels={"train": {"1": 50, "2": 30}, "eval": {"2": 11, "1": 4}},
    lengths={"train": {3: 40, 9: 40}, "eval": {3: 1, 4: 14}},
    rows=15,
    wrong=3,
    confusions=(Confusion(label="1", answer="2", rows=2), Confusion(label="2", answer="1", rows=1)),
    wrong_rows=(WrongRow(text="x=1:x", label="1", answer="2", probability=0.91),),
)


def identities(tmp_path):
    return [(v.number, v.identity) for v in versions(tmp_path / "serving")]


def test_pusher_records_what_went_live(tmp_path):
    [release], pushed = push(tmp_path, "a", 5)
    assert (release.version, release.identity, release.model_id) == (1, "a", 5)
    assert pushed.get_int_custom_property("pushed") == 1
    assert pushed.get_string_custom_property("pushed_destination") == str(tmp_path / "serving" / "1")


def test_version_carries_its_card_and_its_facts(tmp_path):
    push(tmp_path, "abc", 5)
    card = (tmp_path / "serving/1" / CARD_FILE).read_text()
    for line in (
        "# Model abc",
        "It is right on 80.0% of 15 held-out rows, the same that the training chose its epoch by; no other "
        "model was compared.",
        "They were read from `/data/2024-10-04`; SHA-256 of the list of shards, with sizes and times: "
        f"`{DIGEST}`.",
        "Lengths: train rows have 3 to 9 symbols, half of them at most 3 and 95% of them at most 9; "
        "eval rows have 3 to 4 symbols",
        "| `1` | 50 | 4 |",
        "The slices with the lowest accuracy: `operator=+` 80.0% of 10 rows.",
        "Its answers to 3 of 15 held-out rows are wrong.",
        "| `1` | `2` | 2 |",
        "| `x=1:x` | `1` | `2` | 0.910 |",
        "The held-out rows that chose the epoch also decided the release",
        "span 2024-10-04. Rows: 80 train + 15 eval. Of 100 rows that were read, 5 were quarantined.",
        "| slice | rows | accuracy | loss | calibration error | accuracy minus that of the live model |",
        # Wilson's interval of 12 in 15, and of 8 in 10, as in tables; 1.96 standard errors, not below 0
        "| all | 15 | 0.8000 (0.5481 … 0.9295) | 0.5000 (0.3040 … 0.6960) | 0.0200 (0.0000 … 0.0592) "
        "| no live model |",
        "| ReleaseGate | release_verdict | b\\|c | a lot | warned |",
        "- ModelChecks warned: checks_verdict: b|c; a lot.",
        "`training 0000000000000000`",
        ' "training": {',
    ):
        assert line in card.splitlines() or line in card, line
    assert "| operator=+ | 10 | 0.8000 (0.4902 … 0.9433) | 0.5000 (0.3" in card
    assert re.search(r"\| -0\.2000 \(-0\.\d{4} … \+0\.\d{4}\) \|$", card, re.M)
    assert "The model has 1,234 parameters and was trained with seed 7." in card
    assert f"tensorflow {metadata.version('tensorflow')}, " in card
    assert re.search(r"^Published as version 1 at 20\d\d-.* UTC by \S+: blessed\. It is right", card, re.M)
    [told] = released(tmp_path / "serving")
    assert told.metrics == METRICS
    assert told.data == {
        "span": "span 2024-10-04", "path": "/data/2024-10-04", "files": DIGEST,
        "rows": {"train": 80, "eval": 15}, "read": 100, "set_aside": 5,
    }  # fmt: skip


def test_version_that_came_back_has_a_card_that_says_so_and_the_same_facts(tmp_path):
    push(tmp_path, "a", 5), push(tmp_path, "b", 6)
    folder = tmp_path / "serving"
    publish(folder / "1", folder, why="rolled back to version 1")
    first, back = ((folder / number / CARD_FILE).read_text() for number in "13")
    assert re.search(r"^Published as version 3 at .*: rolled back to version 1\. Version 2 was ", back, re.M)
    assert first.splitlines()[3:] == back.splitlines()[3:]
    assert (folder / "1" / FACTS).read_text() == (folder / "3" / FACTS).read_text()


def test_earlier_model_with_facts_of_another_form_can_come_back(tmp_path):
    push(tmp_path, "a", 5), push(tmp_path, "b", 6)
    folder = tmp_path / "serving"
    (folder / "1" / FACTS).write_text('{"of": "another release"}')
    assert publish(folder / "1", folder, why="rolled back to version 1").identity == "a"
    assert (folder / "3" / CARD_FILE).read_text() == (folder / "1" / CARD_FILE).read_text()


def test_facts_of_a_model_that_is_held_back_are_kept_for_whoever_publishes_it_later(tmp_path):
    _, pushed = push(tmp_path, "a", 5, blessed=False)
    facts = Facts.model_validate_json(Path(pushed.uri, FACTS_FILE).read_text())
    assert (facts.parameters, facts.gates["DataGate"].checks[0].name) == (1234, "data_verdict")


def test_model_without_blessing_is_not_pushed(tmp_path):
    releases, pushed = push(tmp_path, "a", 5, blessed=False)
    assert (releases, identities(tmp_path), pushed.get_int_custom_property("pushed")) == ([], [], 0)


def test_published_but_not_recorded_is_recorded_and_not_published_again(tmp_path):
    push(tmp_path, "a", 5)
    [release], _ = push(tmp_path, "a", 6)
    assert (release.version, release.model_id) == (1, 6)
    assert identities(tmp_path) == [(1, "a")]


def test_model_that_was_not_compared_with_the_live_one_is_not_published(tmp_path, monkeypatch):
    push(tmp_path, "a", 5)
    monkeypatch.setattr(f"{__name__}.COMPARED", REPORT)
    with pytest.raises(InputError, match=r"serving/1: is live and was not compared with the candidate"):
        push(tmp_path, "b", 6)
    assert identities(tmp_path) == [(1, "a")]


def test_model_that_was_live_before_is_not_published_again(tmp_path):
    push(tmp_path, "a", 5)
    push(tmp_path, "b", 6)
    releases, _ = push(tmp_path, "a", 7)
    assert releases == []
    assert identities(tmp_path) == [(1, "a"), (2, "b")]


def test_model_whose_version_was_removed_is_not_published_again(tmp_path):
    push(tmp_path, "a", 5)
    push(tmp_path, "b", 6)
    remove(tmp_path / "serving", 1)
    releases, _ = push(tmp_path, "a", 7)
    assert (releases, identities(tmp_path)) == ([], [(2, "b")])


@pytest.mark.parametrize(
    ("history", "candidate", "baseline"),
    [
        ("", "a", None),
        ("a", "b", "a"),
        ("ab", "c", "b"),
        ("a", "a", None),  # a rerun of the first run asks what the first run asked
        ("ab", "b", "a"),
        ("aba", "c", "a"),  # rolled back to a: a is live
        ("aba", "b", "a"),
        ("aba", "a", None),
    ],
)
def test_baseline_is_the_live_model_and_never_the_candidate(tmp_path, history, candidate, baseline):
    models = [model(tmp_path, name, ord(name)) for name in sorted(set(history) | {candidate})]
    releases = []
    for number, name in enumerate(history, start=1):
        release = Release()
        release.id, release.version, release.identity, release.model_id = number, number, name, ord(name)
        releases.append(release)
    resolved = LiveModelStrategy().resolve_artifacts(
        None,
        {
            "candidate": [m for m in models if m.id == ord(candidate)],
            "model": models,
            "best": models,
            "release": releases[::-1],
            "blessing": [],
        },
    )
    assert [chr(m.id) for m in resolved["model"]] == ([baseline] if baseline else [])
    assert set(resolved) == {"candidate", "model", "best", "release", "blessing"}


def test_without_a_candidate_there_is_nothing_to_compare_with(tmp_path):
    found = {key: [model(tmp_path, "a", 97)] for key in ("model", "best", "release", "blessing")}
    resolved = LiveModelStrategy().resolve_artifacts(None, found | {"candidate": []})
    assert resolved == {"candidate": [], "model": [], "best": [], "release": [], "blessing": []}


@pytest.mark.parametrize(
    ("history", "candidate", "best"),
    [
        ("abc", "d", "a"),  # each a little worse than the one before
        ("bca", "d", None),  # the best is live, and compared with already
        ("abc", "b", None),  # a rerun asks what the first run asked: then a was live
        ("bc", "d", "b"),
        ("bc", "a", "b"),  # the candidate is the best of all, yet was never released
        ("abcg", "d", "a"),  # g was better, and is gone from the disk
    ],
)
def test_best_is_the_most_accurate_of_the_released(tmp_path, history, candidate, best):
    accuracy = {"a": 0.9, "b": 0.88, "c": 0.86, "d": 0.8, "g": 0.95}
    models = [model(tmp_path, name, ord(name)) for name in "abcdg"]
    shutil.rmtree(models[-1].uri)
    releases, blessings = [], []
    for number, name in enumerate(history, start=1):
        release = Release()
        release.id, release.version, release.identity, release.model_id = number, number, name, ord(name)
        releases.append(release)
    for found in models:
        blessing = ModelBlessing()
        blessing.uri = str(tmp_path / f"blessing-{found.id}")
        write_blessing(blessing, found, passed=True)
        blessing.set_float_custom_property(ACCURACY, accuracy[chr(found.id)])
        blessings.append(blessing)
    resolved = LiveModelStrategy().resolve_artifacts(
        None,
        {
            "candidate": [m for m in models if m.id == ord(candidate)],
            "model": models,
            "best": models,
            "release": releases,
            "blessing": blessings,
        },
    )
    assert [chr(m.id) for m in resolved["best"]] == ([best] if best else [])
