"""Following a run over a connection that breaks. The SDK's own client, a server that goes and comes back."""

import json
import threading
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from maskline.pipeline.cluster.client import Client
from maskline.pipeline.cluster.follow import follow
from maskline.pipeline.errors import RunError, UnreachableError
from maskline.pipeline.settings.cluster import ClusterSettings
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


def test_last_attempt_s_words_count_whatever_its_pod_is_called(server, tmp_path):
    """Argo's names of pods end in a hash, so that their order says nothing."""
    attempts = []
    for pod, minute, state, reason in (
        ("pod-z", 1, "FAILED", "disk full"),
        ("pod-a", 2, "BLOCKED", "few rows"),
    ):
        log = tmp_path / pod
        time = f"2026-11-25T10:0{minute}:00Z"
        said = {"time": time, "event": "ended", "node": "Gate", "state": state, "reason": reason}
        log.write_text(f"no JSON\n{json.dumps(said)}\n")
        attempts.append(Attempt("gate", pod, log, datetime.now(UTC), process=None))
    run = server.executions["r"]
    run.join()
    run.state, run.tasks = "FAILED", {"gate": TaskRun("FAILED", attempts=attempts)}
    said = []
    client = Client(ClusterSettings(host=server.url))
    assert follow(client, SimpleNamespace(nodes={"Gate": "gate"}), "r", said.append) is Exit.BLOCKED
    assert said == ["✗ gate", "gate: blocked: few rows", "blocked by a gate"]
