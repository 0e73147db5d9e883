"""How a run is followed and its end told, by whatever is left of it. The SDK's own client, a small server."""

import base64
import gzip
import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from maskline.pipeline.cluster.client import Client
from maskline.pipeline.cluster.follow import follow
from maskline.pipeline.cluster.last_words import LastWords
from maskline.pipeline.cluster.logs import unpack_log
from maskline.pipeline.cluster.outcome import show_run
from maskline.pipeline.cluster.waiting import WaitingPods
from maskline.pipeline.errors import RunError, UnreachableError
from maskline.pipeline.settings.cluster import ClusterSettings
from maskline.transform.errors import InputError
from maskline.transform.names import Exit
from tests.kfp_cluster import Attempt, Cluster, TaskRun
from tests.kfp_server import KfpServer

EMPTY = {"root": {"dag": {"tasks": {}}}}
ENDED = datetime(2026, 11, 25, 10, tzinfo=UTC)


@pytest.fixture
def server(tmp_path):
    server = KfpServer(Cluster(tmp_path, secrets={}, claims=set()))
    server.runs["r"] = {"run_id": "r"}
    server.executions["r"] = server.cluster.run("r", EMPTY, {}, {})
    yield server
    server.close()


def test_host_that_comes_back_is_followed_to_the_end(server):
    client, said = Client(ClusterSettings(host=server.url)), []
    back = threading.Timer(1.0, server.listen, [server.hang_up()])
    back.start()
    assert follow(client, "r", said.append, seconds=0.2, patience=60) is Exit.OK
    back.join()
    [gone, ended] = said
    assert gone.startswith(f"{server.url}: cannot be reached (")
    assert gone.endswith("; asking again for 60 s, the run goes on")
    assert ended == "succeeded"


def test_host_that_stays_away_is_given_up(server):
    client = Client(ClusterSettings(host=server.url))
    port = server.hang_up()
    try:
        with pytest.raises(UnreachableError, match="cannot be reached"):
            follow(client, "r", lambda _: None, seconds=0.2, patience=0.5)
    finally:
        server.listen(port)


def test_host_that_refuses_is_not_asked_again(server):
    said = []
    with pytest.raises(RunError, match="Run nobody not found"):
        follow(Client(ClusterSettings(host=server.url)), "nobody", said.append, patience=60)
    assert not said


def failed(server, tmp_path, *said, task="data-gate"):
    """A run whose one task failed, with an attempt for each of what its pods said last."""
    attempts = []
    for number, (state, reason) in enumerate(said):
        pod = f"maskline-{9 - number}"  # names end in a hash, so that their order says nothing
        words = LastWords("DataGate", state, reason, f"2026-11-25T10:0{number}:00Z")
        line = json.dumps({"level": "ERROR", **json.loads(words.as_json), "log": words.as_json})
        log = tmp_path / pod
        # In a stage's pod, other nodes ended before.
        earlier = words._replace(node="ExampleGen", state="COMPLETE", time="2026-11-25T09:59:00Z").as_json
        log.write_text(f"no JSON\n{json.dumps({'log': earlier})}\n{earlier}\n{line}\n")
        attempt = Attempt(task, pod, log, ENDED, process=None, number=number)
        attempt.ended = ENDED + timedelta(minutes=number)
        attempt.termination_log.write_text(words.as_json)
        attempts.append(attempt)
    run = server.executions["r"]
    run.join()
    ended = ENDED + timedelta(seconds=7)
    run.state = "FAILED"
    run.tasks = {task: TaskRun("FAILED", began=ENDED, ended=ended, attempts=attempts)}
    return Client(ClusterSettings(host=server.url))


WAYS = pytest.mark.parametrize("way", ["record", "pods", "archive", "artifact"])


@WAYS
@pytest.mark.parametrize("tell", [follow, show_run])
def test_last_attempt_s_words_are_found_by_every_way_that_is_left(server, tmp_path, way, tell):
    client = failed(server, tmp_path, ("FAILED", "disk full"), ("BLOCKED", "few rows"))
    server.ways, said = {way}, []
    assert tell(client, "r", said.append) is Exit.BLOCKED
    assert said == ["✗ data-gate  7 s", "data-gate: blocked: few rows", "blocked by a gate"]


@WAYS
def test_words_name_the_node_where_a_task_is_a_stage(server, tmp_path, way):
    client = failed(server, tmp_path, ("BLOCKED", "few rows"), task="ingest")
    server.ways, said = {way}, []
    assert follow(client, "r", said.append) is Exit.BLOCKED
    assert said == ["✗ ingest  7 s", "data-gate: blocked: few rows", "blocked by a gate"]


@WAYS
def test_refused_input_ends_as_wrong_input(server, tmp_path, way):
    client = failed(server, tmp_path, ("REFUSED", "/nowhere: no such data directory"))
    server.ways = {way}
    with pytest.raises(InputError, match=r"^data-gate: /nowhere: no such data directory$"):
        follow(client, "r", lambda _: None)


@WAYS
def test_failure_ends_as_one_with_its_reason(server, tmp_path, way):
    client = failed(server, tmp_path, ("FAILED", "OSError: disk full"))
    server.ways, said = {way}, []
    assert follow(client, "r", said.append) is Exit.ERROR
    assert said[1:] == ["data-gate: OSError: disk full", "failed"]


def test_pod_that_could_say_nothing_is_told_in_argo_s_words(server, tmp_path):
    client = failed(server, tmp_path, ("FAILED", ""))
    [attempt] = server.executions["r"].tasks["data-gate"].attempts
    for file in (attempt.log, attempt.termination_log):
        file.write_text("")
    said = []
    assert follow(client, "r", said.append) is Exit.ERROR
    assert said[1:] == ["data-gate: main: Error (exit code 1)", "failed"]


def test_failure_of_which_nothing_is_left_is_told_as_one(server, tmp_path):
    client = failed(server, tmp_path, ("BLOCKED", "few rows"))
    server.ways, said = set(), []
    assert follow(client, "r", said.append) is Exit.ERROR
    nothing = "data-gate: it said nothing, and its log is not there; kubectl describe pod may tell"
    assert said[1:] == [nothing, "failed"]


def test_run_that_works_is_shown_as_it_stands(server):
    client, run, said = Client(ClusterSettings(host=server.url)), server.executions["r"], []
    run.join()
    run.state, run.tasks = "RUNNING", {"trainer": TaskRun("RUNNING", began=ENDED)}
    server.more_nodes = [pending("ErrImagePull: x")]
    assert show_run(client, "r", said.append) is Exit.OK
    assert said == ["  trainer …", "trainer: waits: ErrImagePull: x", "running"]
    with pytest.raises(InputError, match="Run nobody not found; `maskline kubeflow submit` prints the id"):
        show_run(client, "nobody", said.append)


def pending(message):
    """A pod that waits, in Argo's record."""
    return {"id": "r-17", "name": "r.root.trainer.executor(0)", "type": "Pod", "templateName": "impl",
            "phase": "Pending", "message": message}  # fmt: skip


HOPELESS = [
    'ImagePullBackOff: Back-off pulling image "registry.example/x"',
    'Unschedulable: 0/1 nodes are available: persistentvolumeclaim "maskline" not found.',
    "Unschedulable: 0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
    'pods "r-17" is forbidden: exceeded quota: small, requested: cpu=1, used: cpu=2, limited: cpu=2',
]


@pytest.mark.parametrize("message", HOPELESS)
def test_pod_that_cannot_start_ends_the_run_as_wrong_input(server, message):
    client, run, said = Client(ClusterSettings(host=server.url)), server.executions["r"], []
    run.join()
    run.state, run.tasks = "RUNNING", {"trainer": TaskRun("RUNNING", began=ENDED)}
    server.more_nodes = [pending(message)]
    end = threading.Timer(300, setattr, [run, "state", "FAILED"])  # so that no mistake waits for ever
    end.daemon = True
    end.start()
    with pytest.raises(InputError) as refused:
        follow(client, "r", said.append, seconds=0.05, waiting=WaitingPods(factor=0.001))
    end.cancel()
    assert str(refused.value) == f"trainer: pod r-impl-17: {message}; run r was terminated"
    assert server.terminated == ["r"]
    assert said == ["  trainer …", f"trainer: waits: {message}"]


@pytest.mark.parametrize("tell", [follow, show_run])
def test_pod_that_kubernetes_does_not_take_ends_the_run_as_wrong_input(server, tell):
    client, run = Client(ClusterSettings(host=server.url)), server.executions["r"]
    run.join()
    run.state, run.tasks = "FAILED", {}
    why = 'pods "r-dag-driver-7" is forbidden: failed quota: small: must specify limits.memory for: init,wait'
    server.more_nodes = [{"id": "r-7", "name": "r(0).root-driver(0)", "type": "Pod", "phase": "Error",
                          "templateName": "dag-driver", "message": why}]  # fmt: skip
    with pytest.raises(InputError) as refused:
        tell(client, "r", lambda _: None)
    assert str(refused.value) == f"root: {why}"


def test_log_in_an_artifact_is_read_plain_and_packed():
    for pack in (bytes, gzip.compress):
        answer = json.dumps({"data": base64.b64encode(pack(b"a line\n")).decode()}).encode()
        assert unpack_log(answer) == b"a line\n"
    for broken in (b"", b"no JSON", b"[]", b'{"data": 3}', b'{"error_message": "gone"}'):
        assert unpack_log(broken) == b""
