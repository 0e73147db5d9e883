"""A person's word against the release gate: who may be overridden, and what is kept of it. A real store."""

import json
import os
import shutil

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.components.pusher import audit, manifest, serving
from maskline.components.verdict import Outcome
from maskline.pipeline.errors import BusyError
from maskline.pipeline.local import lock
from maskline.pipeline.registry.bless import bless_run
from maskline.pipeline.registry.history import History
from maskline.pipeline.registry.releases import releases
from maskline.transform.errors import InputError
from maskline.transform.names import FACTS_FILE, VERDICT_FILE, Exit
from tests.support import maskline

BLOCKED, PASSED = Outcome.BLOCKED, Outcome.PASSED


def read(config, run):
    return History(config.metadata_file, config.serving_dir).run(run)


def test_model_goes_live_and_who_when_and_why_are_kept(config, store, record):
    record("first"), record("second")
    assert read(config, "first").exit is Exit.BLOCKED
    version = bless_run(config, "first", reason="products\nare not  asked for")
    assert [v.identity for v in serving.versions(config.serving_dir)] == [version.identity] == ["first"]
    [change] = audit.changes(config.serving_dir)
    assert (change.why, change.who, change.override) == (
        "products are not asked for", audit.user(), True,
    )  # fmt: skip
    run = read(config, "first")
    assert (run.override.reason, run.override.version) == ("products are not asked for", 1)
    assert (run.exit, run.blessed) == (Exit.OK, False)
    assert read(config, "second").override is None
    # The next run's resolver compares with it.
    assert [r.properties["model_id"].int_value for r in releases(store)] == [run.candidate_id]


def test_last_is_the_newest_run(config, record):
    record("first"), record("second")
    assert bless_run(config, "last", reason="why not").identity == "second"


def test_show_tells_of_it_and_its_first_line_says_why_the_gate_held_it_back(config, record):
    record("first")
    before = maskline("show", "--root", config.root).stdout
    assert before.splitlines()[0] == "Not released: accuracy of operator=*: much; little."
    assert before.index("✗ accuracy of operator=*: much; little") < before.index("ModelChecks: passed")
    assert before.count("Not released") == 1
    assert f"maskline bless --root {config.root} first --reason" in before
    done = maskline("bless", "first", "--reason", "it is meant", "--root", config.root)
    assert done.stdout == f"Released on purpose as version 1: {config.serving_dir / '1'}\n", done.stderr
    after = maskline("show", "--root", config.root).stdout
    assert f"Released on purpose by {audit.user()}, 20" in after
    assert after.count("it is meant") == 1
    shown = json.loads(maskline("show", "--json", "--root", config.root).stdout)
    assert (shown["override"]["reason"], shown["exit"]) == ("it is meant", 0)
    passed = {gate: verdict["passed"] for gate, verdict in shown["verdicts"].items()}
    assert passed == {"ModelChecks": True, "ReleaseGate": False}


@pytest.mark.parametrize(
    ("made", "name", "reason", "problem"),
    [
        ({}, "last", " \n", "--reason: say in words why"),
        ({}, "2001", "trust me", "no run '2001'; `maskline show` names the last one"),
        ({"gate": PASSED}, "last", "trust me", "ReleaseGate blessed its model; `maskline rollback`"),
        ({"gate": None}, "last", "trust me", "made no model that ReleaseGate judged"),
        (
            {"checks": BLOCKED},
            "last",
            "trust me",
            r"ModelChecks cannot be overridden \(accuracy of operator=\*: much; little\)",
        ),
    ],
)
def test_what_a_person_cannot_release(config, record, made, name, reason, problem):
    record("first", **made)
    with pytest.raises(InputError, match=problem) as caught:
        bless_run(config, name, reason=reason)
    assert "\n" not in str(caught.value)
    assert not serving.versions(config.serving_dir)


def test_model_that_is_live_or_gone_is_not_released(config, record):
    record("first")
    bless_run(config, "first", reason="it is meant")
    with pytest.raises(InputError, match="its model is live already, as version 1"):
        bless_run(config, "first", reason="once more")
    second = record("second")
    second.rename(second.parent / "elsewhere")
    with pytest.raises(InputError, match=r"its model is gone from .*; train it again"):
        bless_run(config, "second", reason="it is meant")


def test_model_that_is_not_what_was_checked_is_not_released(config, store, record):
    model = record("first")
    [blessing] = store.get_artifacts_by_type("InfraBlessing")
    blessing.custom_properties["checked_files"].string_value = manifest.digest(model)
    store.put_artifacts([blessing])
    data = model / "variables/variables.data-00000-of-00001"
    whole = data.read_bytes()
    data.write_bytes(whole[:-1] + b"!")  # of the same size
    with pytest.raises(InputError) as refused:
        bless_run(config, "first", reason="it is meant")
    assert str(refused.value) == (
        f"{model}: is damaged: it is not what ModelChecks checked; remove this folder, and the next "
        "`maskline run` trains the model again"
    )
    assert serving.versions(config.serving_dir) == []
    data.write_bytes(whole)
    assert bless_run(config, "first", reason="it is meant").number == 1


@pytest.mark.parametrize("gate", ["ModelChecks", "ReleaseGate"])
@pytest.mark.parametrize("damage", ["lost", "truncated"])
def test_gate_whose_verdict_is_gone_is_not_overridden(config, store, record, gate, damage):
    """Nobody knows any more whether it blocked."""
    record("first")
    [file] = (config.root / "artifacts" / gate).rglob(VERDICT_FILE)
    os.truncate(file, 9) if damage == "truncated" else shutil.rmtree(file.parent)
    with pytest.raises(InputError, match=rf"{file.parent}: the verdict is gone or damaged; `maskline run`"):
        bless_run(config, "first", reason="it is meant")
    assert serving.versions(config.serving_dir) == []


def test_facts_that_cannot_be_read_are_named(config, store, record):
    record("first")
    [model] = store.get_artifacts_by_type("Model")
    kind = store.put_artifact_type(mlmd.ArtifactType(name="PushedModel"))
    pushed = mlmd.Artifact(type_id=kind, uri="artifacts/Pusher/pushed_model/99")
    node = mlmd.Execution(type_id=store.put_execution_type(mlmd.ExecutionType(name="Pusher")))
    events = [(model, mlmd.Event(type=mlmd.Event.INPUT)), (pushed, mlmd.Event(type=mlmd.Event.OUTPUT))]
    store.put_execution(node, events, [])
    file = config.root / pushed.uri / FACTS_FILE
    file.parent.mkdir(parents=True)
    file.write_text("{")
    with pytest.raises(InputError, match=f"{file}: cannot be read; `maskline run` makes it again"):
        bless_run(config, "first", reason="it is meant")
    assert serving.versions(config.serving_dir) == []


def test_working_run_is_left_alone(config, record):
    record("first")
    with lock.hold(config.root), pytest.raises(BusyError):
        bless_run(config, "first", reason="it is meant")


def test_before_the_first_run(config):
    with pytest.raises(InputError, match="no run yet"):
        bless_run(config, "last", reason="it is meant")
