"""A host that is not there, is something else, or wants to know who asks: one line that says what to do."""

import http.server
import threading

import pytest

from maskline.pipeline.cluster.client import Client
from maskline.pipeline.settings.cluster import ClusterSettings
from maskline.transform.errors import InputError
from tests.kfp_cluster import Cluster
from tests.kfp_server import KfpServer
from tests.support import REPOSITORY


@pytest.fixture
def server(tmp_path):
    server = KfpServer(Cluster(tmp_path, secrets={}, claims=set()))
    yield server
    server.close()


def refusal(url):
    with pytest.raises(InputError) as refused:
        Client(ClusterSettings(host=url)).schedules()
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_nobody_answers(server):
    port = server.hang_up()
    told = refusal(server.url)
    assert told.startswith(
        f"{server.url}: cannot be reached ([Errno 111] Connection refused); set cluster.host"
    )
    assert "start `kubectl -n kubeflow port-forward" in told
    server.listen(port)


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (404, b"nginx", "404 Not Found"),
        (200, b"<html>Sign in</html>", "200 OK"),
        (302, b"", "302 Found"),
        (200, b"", "200 OK"),
    ],
)
def test_something_else_answers(status, body, told):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path.startswith("/apis") else 200)
            if status == 302 and self.path.startswith("/apis"):
                self.send_header("Location", "/login")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{other.server_port}"
    try:
        assert refusal(url) == f"{url}: {told}; what answers there is no Kubeflow Pipelines 2"
    finally:
        other.shutdown()
        other.server_close()


def test_token_is_asked_for_and_a_wrong_one_refused(server, monkeypatch):
    server.token = "right"
    for given in (None, "wrong"):
        if given:
            monkeypatch.setenv("MASKLINE_CLUSTER_TOKEN", given)
        told = refusal(server.url)
        way_on = "set MASKLINE_CLUSTER_TOKEN to a token that this host takes, of a user who may do this"
        assert told == f"{server.url}: 401 Unauthorized; {way_on}"
    monkeypatch.setenv("MASKLINE_CLUSTER_TOKEN", "right")
    assert Client(ClusterSettings(host=server.url)).schedules() == []


def test_pipeline_of_a_namespace_is_found_there_again(server):
    server.multi_user = True
    document = (REPOSITORY / "tests/pipeline/cluster/golden/kubeflow.yaml").read_text()
    one, other = (Client(ClusterSettings(host=server.url, namespace=team)) for team in ("one", "other"))
    first = one.upload("maskline", document, "")
    assert one.upload("maskline", document, "") == first
    assert other.upload("maskline", document, "")[0] != first[0]
    assert [p["namespace"] for p in server.pipelines.values()] == ["one", "other"]
