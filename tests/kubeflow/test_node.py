"""The entry point of a pod: what it refuses, what it says, and how it ends."""

import hashlib
import json
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.dsl.compiler.compiler import Compiler
from tfx.dsl.experimental.conditionals.conditional import Cond
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.pipeline import Pipeline

from maskline.pipeline.cluster.ir import to_json
from maskline.pipeline.cluster.last_words import find_words
from maskline.pipeline.cluster.metadata import connection
from maskline.pipeline.cluster.node import Launch, NodeEnd, bind
from maskline.pipeline.cluster.store import Store, open_store
from maskline.transform.errors import InputError
from tests.small_nodes import Broken, Gate, Many, Reader, Sleeper, Writer, launch
from tests.support import PATIENCE, REPOSITORY, environment

NODE = REPOSITORY / "kubeflow" / "node.py"


@pytest.fixture(scope="module")
def address(database) -> str:
    address = database.database("nodes")
    open_store(connection(address, database.credentials), patience=60)
    return address


@pytest.fixture(scope="module")
def store(address, database) -> mlmd.ConnectionConfig:
    return connection(address, database.credentials)


def compiled(root: Path | str, *components: object) -> str:
    pipeline = Pipeline(pipeline_name=Path(root).name, pipeline_root=str(root), components=list(components))
    return to_json(Compiler().compile(pipeline))


def gated(root: Path | str, *, passed: int) -> str:
    gate = Gate(passed=passed)
    with Cond(gate.outputs["verdict"].future()[0].property("passed") == 1):
        reader = Reader(verdict=gate.outputs["verdict"])
    return compiled(root, gate, reader)


def test_gate_that_blocks_ends_as_failed_with_its_reason_and_what_is_behind_is_skipped(tmp_path, store):
    text, run = gated(tmp_path, passed=0), str(uuid.uuid4())
    blocked = NodeEnd(3, "BLOCKED", "rows of eval: 3 rows; at least 10")
    assert launch(text, "Gate", run, store) == blocked
    assert launch(text, "Gate", run, store) == blocked, "a retry does not let it pass"
    assert launch(text, "Gate", "cached", store) == blocked, "nor does the cache"
    assert launch(text, "Reader", run, store) == NodeEnd(0, "SKIPPED", "a condition does not hold")


def test_gate_that_passes_lets_on_what_is_behind(tmp_path, store):
    text, run = gated(tmp_path, passed=1), str(uuid.uuid4())
    assert launch(text, "Gate", run, store) == NodeEnd(0, "COMPLETE")
    assert launch(text, "Reader", run, store) == NodeEnd(0, "COMPLETE")
    assert launch(text, "Reader", run, store) == NodeEnd(0, "COMPLETE"), "what is done stays done"


def test_inputs_that_cannot_be_resolved_are_a_failure_though_the_launcher_says_nothing(tmp_path, store):
    gate = Gate(passed=1)
    text = compiled(tmp_path, gate, Reader(verdict=gate.outputs["verdict"]))
    outcome = launch(text, "Reader", str(uuid.uuid4()), store)
    assert (outcome.status, outcome.state) == (1, "FAILED")
    assert "InputResolutionError" in outcome.reason or "verdict" in outcome.reason


def test_failure_with_quotes_and_backslashes_is_recorded(tmp_path, store):
    text, run = compiled(tmp_path, Broken()), str(uuid.uuid4())
    attempt = Launch(*bind(text, "Broken", run, []), store)
    with pytest.raises(ValueError, match="luck"):
        attempt.run()
    assert attempt.outcome().status == 1


@pytest.fixture
def parametrised(tmp_path) -> str:
    return compiled(
        tmp_path,
        Writer(
            text=RuntimeParameter("text", ptype=str),
            number=RuntimeParameter("number", ptype=int, default=7),
            share=RuntimeParameter("share", ptype=float, default=0.5),
        ),
    )


def test_parameters_are_bound_by_their_types(parametrised, store):
    _, node = bind(parametrised, "Writer", "r", ["text=a=b", "number=3"])
    values = {name: value.field_value for name, value in node.parameters.parameters.items()}
    assert values["text"].string_value == "a=b"
    assert (values["number"].int_value, values["share"].double_value) == (3, 0.5)


@pytest.mark.parametrize(
    ("node", "run", "given", "problem"),
    [
        ("Writer", "r", ["text=x", "span=3"], "Writer: no parameter 'span'; it has number, share, text"),
        ("Writer", "r", ["text=x", "number=3.5"], "parameter 'number': '3.5' is no int"),
        ("Writer", "r", ["text=x", "share=much"], "parameter 'share': 'much' is no float"),
        ("Writer", "r", [], "parameter 'text' is not given and has no default"),
        ("Nobody", "r", [], "no node 'Nobody'; there are Writer"),
        ("Writer", "{{$.pipeline_job_uuid}}", ["text=x"], "is not a run id"),
        ("Writer", "", ["text=x"], "is not a run id"),
    ],
)
def test_parameter_is_refused(parametrised, node, run, given, problem):
    with pytest.raises(InputError) as refused:
        bind(parametrised, node, run, given)
    assert problem in str(refused.value)


def start(
    text: str, folder: Path, node: str, address: str, digest: str = "", *more: str, **env: str
) -> subprocess.Popen[str]:
    (folder / "ir.json").write_text(text)
    digest = digest or hashlib.sha256(text.encode()).hexdigest()
    arguments = ["--ir", folder / "ir.json", "--sha256", digest, "--node", node, "--metadata", address]
    return subprocess.Popen(
        [sys.executable, NODE, *map(str, arguments), "--run-id", "run-1", *more],
        stdout=subprocess.PIPE, text=True, env=environment() | {"PYTHONPATH": str(REPOSITORY)} | env,
    )  # fmt: skip


def test_sigterm_ends_it_and_another_attempt_takes_it_up(tmp_path, database, address, store):
    text = compiled(tmp_path, Sleeper(seconds=RuntimeParameter("seconds", ptype=float, default=300.0)))
    process = start(text, tmp_path, "Sleeper", address, **database.credentials)
    for line in process.stdout:
        if json.loads(line)["log"] == "asleep":
            break
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 143
    last = json.loads(out.splitlines()[-1])
    assert (last["event"], last["state"], last["reason"]) == ("ended", "STOPPED", "ended by SIGTERM")
    [execution] = executions_of(tmp_path.name, store)
    assert execution.last_known_state == mlmd.Execution.FAILED
    assert launch(text, "Sleeper", "run-1", store, "seconds=0") == NodeEnd(0, "COMPLETE")
    [again] = executions_of(tmp_path.name, store)
    assert (again.id, again.last_known_state) == (execution.id, mlmd.Execution.COMPLETE)


def executions_of(pipeline: str, config: mlmd.ConnectionConfig) -> list[mlmd.Execution]:
    client = Store(config)
    context = client.get_context_by_type_and_name("pipeline", pipeline)
    return client.get_executions_by_context(context.id)


def test_refused_before_anything_is_loaded(tmp_path):
    process = start("{}", tmp_path, "Trainer", "postgresql://nowhere:1/x", "0" * 64)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    [line] = map(json.loads, out.splitlines())
    assert "the image holds another pipeline (44136fa355b3) than was submitted" in line["log"]
    assert (line["node"], line["run"], line["state"]) == ("Trainer", "run-1", "REFUSED")


def test_missing_ir_is_named(tmp_path):
    arguments = [
        "--ir",
        "/nowhere/ir.json",
        "--sha256",
        "0",
        "--node",
        "A",
        "--run-id",
        "r",
        "--metadata",
        "x",
    ]
    done = subprocess.run(
        [sys.executable, NODE, *arguments], capture_output=True, text=True, env=environment()
    )
    assert done.returncode == 2
    assert "/nowhere/ir.json: the compiled pipeline cannot be read (No such file" in done.stdout


def test_nodes_of_a_stage_end_as_the_one_that_blocks(tmp_path, database, address, store):
    gate, writer = Gate(passed=0), Writer(text=RuntimeParameter("text", ptype=str), number=1, share=0.5)
    other = Many(files=1)
    last = tmp_path / "termination-log"
    last.touch()
    process = start(
        compiled(tmp_path, writer, gate, other), tmp_path, "Writer", address, "", "--node", "Gate", "--node",
        "Many", "--parameter", "text=x", TERMINATION_LOG=str(last), **database.credentials,
    )  # fmt: skip
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3, out
    ended = [line for line in map(json.loads, out.splitlines()) if line.get("event") == "ended"]
    assert [(line["node"], line["state"]) for line in ended] == [("Writer", "COMPLETE"), ("Gate", "BLOCKED")]
    assert find_words(last.read_text())[:3] == ("Gate", "BLOCKED", "rows of eval: 3 rows; at least 10")


def test_password_is_struck_from_whatever_is_logged(tmp_path):
    # LastWords of the refusal itself stand for a password that strays into a message.
    last = tmp_path / "termination-log"
    last.touch()  # as Kubernetes does
    process = start(
        "{}",
        tmp_path,
        "A",
        "x",
        "0" * 64,
        MASKLINE_METADATA_PASSWORD="holds another",
        TERMINATION_LOG=str(last),
    )
    out, _ = process.communicate(timeout=PATIENCE)
    for text in (out, last.read_text()):
        assert "the image *** pipeline" in text
        assert "another" not in text
    words = find_words(f"main: Error (exit code 1): {last.read_text()}")
    assert (words.node, words.state) == ("A", "REFUSED")
