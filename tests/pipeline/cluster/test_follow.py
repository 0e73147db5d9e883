"""Following a run over a connection that breaks. The SDK's own client, a server that goes and comes back."""

import base64
import gzip
import json
import threading
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from maskline.pipeline.cluster.client import Client, unpack_log
from maskline.pipeline.cluster.follow import follow
from maskline.pipeline.errors import RunError, UnreachableError
from maskline.pipeline.settings.cluster import ClusterSettings
from maskline.transform.errors import InputError
from maskline.transform.names import Exit
from tests.kfp_cluster import Attempt, Cluster, TaskRun
from tests.kfp_server import KfpServer

EMPTY = {"root": {"dag": {"tasks": {}}}}
NO_NODES = SimpleNamespace(nodes={})


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
    assert follow(client, NO_NODES, "r", said.append, seconds=0.2, patience=60) is Exit.OK
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
            follow(client, NO_NODES, "r", lambda _: None, seconds=0.2, patience=0.5)
    finally:
        server.listen(port)


def test_host_that_refuses_is_not_asked_again(server):
    said = []
    with pytest.raises(RunError, match="Run nobody not found"):
        follow(Client(ClusterSettings(host=server.url)), NO_NODES, "nobody", said.append, patience=60)
    assert not said


def failed(server, tmp_path, *said):
    """A run whose one task failed, with an attempt for each of what its pods said last."""
    attempts = []
    for number, (state, reason) in enumerate(said):
        pod = f"maskline-{9 - number}"  # names end in a hash, so that their order says nothing
        last = {"event": "ended", "node": "Gate", "state": state, "reason": reason,
                "time": f"2026-11-25T10:0{number}:00Z"}  # fmt: skip
        line = json.dumps({"level": "ERROR", **last, "log": json.dumps(last)})
        log = tmp_path / pod
        log.write_text(f"no JSON\n{json.dumps({'log': 'Gate begins'})}\n{line}\n")
        attempts.append(Attempt("gate", pod, log, datetime.now(UTC), process=None))
    run = server.executions["r"]
    run.join()
    run.state, run.tasks = "FAILED", {"gate": TaskRun("FAILED", attempts=attempts)}
    return Client(ClusterSettings(host=server.url)), SimpleNamespace(nodes={"Gate": "gate"})


@pytest.mark.parametrize("way", ["pods", "archive", "artifact"])
def test_last_attempt_s_words_are_found_by_every_way_that_a_backend_hands_on_logs(server, tmp_path, way):
    client, compiled = failed(server, tmp_path, ("FAILED", "disk full"), ("BLOCKED", "few rows"))
    server.ways, said = {way}, []
    assert follow(client, compiled, "r", said.append) is Exit.BLOCKED
    assert said == ["✗ gate", "gate: blocked: few rows", "blocked by a gate"]


@pytest.mark.parametrize("way", ["pods", "archive", "artifact"])
def test_refused_input_ends_as_wrong_input(server, tmp_path, way):
    client, compiled = failed(server, tmp_path, ("REFUSED", "/nowhere: no such data directory"))
    server.ways = {way}
    with pytest.raises(InputError, match=r"^gate: /nowhere: no such data directory$"):
        follow(client, compiled, "r", lambda _: None)


def test_failure_without_any_log_is_told_as_one(server, tmp_path):
    client, compiled = failed(server, tmp_path, ("BLOCKED", "few rows"))
    server.ways, said = set(), []
    assert follow(client, compiled, "r", said.append) is Exit.ERROR
    assert said[1:] == ["gate: its log is not there; kubectl logs may have it", "failed"]


def test_log_in_an_artifact_is_read_plain_and_packed():
    for pack in (bytes, gzip.compress):
        answer = json.dumps({"data": base64.b64encode(pack(b"a line\n")).decode()}).encode()
        assert unpack_log(answer) == b"a line\n"
    for broken in (b"", b"no JSON", b"[]", b'{"data": 3}', b'{"error_message": "gone"}'):
        assert unpack_log(broken) == b""
