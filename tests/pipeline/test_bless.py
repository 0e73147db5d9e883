"""A person's word against the release gate: who may be overridden, and what is kept of it. A real store."""

import json

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components import audit, serving
from components.verdict import FILE, Check, Outcome, Verdict
from pipeline import lock
from pipeline.bless import bless
from pipeline.config import load
from pipeline.errors import BusyError
from pipeline.history import Exit, History, connect
from pipeline.releases import releases
from tests.components.test_serving import saved_model
from tests.support import maskline
from transform.errors import InputError

BLOCKED, PASSED = Outcome.BLOCKED, Outcome.PASSED


@pytest.fixture
def config(tmp_path):
    (tmp_path / "root").mkdir()
    return load(root=tmp_path / "root")


@pytest.fixture
def store(config):
    return connect(config.metadata_file)


@pytest.fixture
def record(config, store):
    """Writes what a run leaves in the metadata store: nodes, their outputs, and files of its gates."""

    def contexts(run, node):
        kinds = {"pipeline": "maskline", "pipeline_run": run, "node": f"maskline.{node}"}
        for kind, name in kinds.items():
            found = store.get_context_by_type_and_name(kind, name)
            if not found:
                type_id = store.put_context_type(mlmd.ContextType(name=kind))
                store.put_contexts([mlmd.Context(type_id=type_id, name=name)])
            yield found or store.get_context_by_type_and_name(kind, name)

    def node(run, name, **outputs):
        events = []
        for kind, uri in outputs.items():
            type_id = store.put_artifact_type(mlmd.ArtifactType(name=kind))
            artifact = mlmd.Artifact(type_id=type_id, uri=str(uri), state=mlmd.Artifact.LIVE)
            events.append((artifact, mlmd.Event(type=mlmd.Event.OUTPUT)))
        type_id = store.put_execution_type(mlmd.ExecutionType(name=name))
        done = mlmd.Execution(type_id=type_id, last_known_state=mlmd.Execution.COMPLETE)
        return store.put_execution(done, events, list(contexts(run, name)))[1]

    def verdict(run, gate, outcome):
        check = Check(name="accuracy", subject="operator=*", asked="little", measured="much", outcome=outcome)
        folder = config.root / "artifacts" / gate / run
        folder.mkdir(parents=True)
        (folder / FILE).write_text(Verdict(checks=(check,)).model_dump_json())
        return folder

    def record(run, *, gate=BLOCKED, checks=PASSED):
        model = config.root / "artifacts" / "Trainer" / run
        saved_model(model / "Format-Serving", run)
        node(run, "Trainer", Model=model)
        node(run, "ModelChecks", MasklineVerdict=verdict(run, "ModelChecks", checks))
        if gate:
            ids = node(
                run, "ReleaseGate", MasklineVerdict=verdict(run, "ReleaseGate", gate), ModelBlessing=""
            )
            [blessing] = store.get_artifacts_by_id(ids[1:])
            blessing.custom_properties["blessed"].int_value = int(gate is PASSED)
            store.put_artifacts([blessing])
        node(run, "Pusher")
        return model / "Format-Serving"

    return record


def read(config, run):
    return History(config.metadata_file, config.serving_dir).run(run)


def test_model_goes_live_and_who_when_and_why_are_kept(config, store, record):
    record("first"), record("second")
    assert read(config, "first").exit is Exit.NOT_BLESSED
    version = bless(config, "first", reason="products\nare not  asked for")
    assert [v.identity for v in serving.versions(config.serving_dir)] == [version.identity] == ["first"]
    [change] = audit.changes(config.serving_dir)
    assert (change.why, change.who) == ("blessed on purpose: products are not asked for", audit.user())
    run = read(config, "first")
    assert (run.override.reason, run.override.version) == ("products are not asked for", 1)
    assert (run.exit, run.blessed) == (Exit.OK, False)
    assert read(config, "second").override is None
    # The next run's resolver compares with it.
    assert [r.properties["model_id"].int_value for r in releases(store)] == [run.candidate_id]


def test_last_is_the_newest_run(config, record):
    record("first"), record("second")
    assert bless(config, "last", reason="why not").identity == "second"


def test_show_tells_of_it_and_its_first_line_says_why_the_gate_held_it_back(config, record):
    record("first")
    before = maskline("show", "--root", config.root).stdout
    assert before.splitlines()[0] == "Not blessed: accuracy of operator=*: much; little"
    assert "✗ accuracy of operator=*: much; little" in before
    assert before.count("Not blessed") == 1
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
        bless(config, name, reason=reason)
    assert "\n" not in str(caught.value)
    assert not serving.versions(config.serving_dir)


def test_model_that_is_live_or_gone_is_not_released(config, record):
    record("first")
    bless(config, "first", reason="it is meant")
    with pytest.raises(InputError, match="its model is live already, as version 1"):
        bless(config, "first", reason="once more")
    second = record("second")
    second.rename(second.parent / "elsewhere")
    with pytest.raises(InputError, match=r"its model is gone from .*; train it again"):
        bless(config, "second", reason="it is meant")


def test_working_run_is_left_alone(config, record):
    record("first")
    with lock.hold(config.root), pytest.raises(BusyError):
        bless(config, "first", reason="it is meant")


def test_before_the_first_run(config):
    with pytest.raises(InputError, match="no run yet"):
        bless(config, "last", reason="it is meant")
