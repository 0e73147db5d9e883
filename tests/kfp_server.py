"""A small Kubeflow Pipelines API server, v2beta1, on loopback, for the SDK's own client.

It validates uploads and parameters as the backend does and hands runs to `tests.kfp_cluster`. It knows what
maskline's client asks for and no more; what it does not know is answered with 404.
"""

import base64
import io
import json
import re
import tarfile
import threading
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from maskline.pipeline.cluster.rules import document_problems
from tests.kfp_cluster import TEMPLATE, Attempt, Cluster, Execution

Json = dict[str, Any]
_KINDS = {"STRING": str, "NUMBER_INTEGER": (int, float), "NUMBER_DOUBLE": (int, float), "BOOLEAN": bool}


class Refused(Exception):
    """Answered with a status and the backend's words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class KfpServer:
    """The API; `url` is where it listens."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        # What is left of a run: Argo's record of it, logs of pods that are there, archived logs, and logs as
        # an artifact of Argo's. For one user, the backend reads no pod: its experiments have no namespace
        # (`getNamespaceFromRunId` in backend/src/apiserver/resource/resource_manager.go).
        self.ways = {"record", "archive", "artifact"}
        self.multi_user = False
        self.pipelines: dict[str, Json] = {}
        self.versions: dict[str, Json] = {}
        self.experiments: dict[str, Json] = {}
        self.runs: dict[str, Json] = {}
        self.executions: dict[str, Execution] = {}
        self.recurring: dict[str, Json] = {}
        self.terminated: list[str] = []
        # Of Argo's record, what no process here stands for, as a pod that waits for its image.
        self.more_nodes: list[Json] = []
        self.token = ""  # that requests must carry
        self.listen()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def listen(self, port: int = 0) -> None:
        """Takes connections; on a free port, or on the one that it had before `hang_up`."""
        self._http = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"api": self}))
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def hang_up(self) -> int:
        """Takes no more connections, until `listen`; gives the port."""
        self._http.shutdown()
        self._http.server_close()
        return self._http.server_port

    def close(self) -> None:
        self.hang_up()
        self.cluster.close()

    # What the client asks for, by method and path.

    def healthz(self, **_: Any) -> Json:
        return {"multi_user": self.multi_user}

    def upload(self, query: Json, file: str, **_: Any) -> Json:
        _check_document(file)
        name = query["name"]
        own = {"display_name": name, "namespace": query.get("namespace", "")}
        if any(own.items() <= pipeline.items() for pipeline in self.pipelines.values()):
            raise Refused(409, "Failed to create a pipeline and a pipeline version")
        made = _put(self.pipelines, "pipeline_id", name=name, **own)
        _put(
            self.versions,
            "pipeline_version_id",
            display_name=name,
            pipeline_id=made["pipeline_id"],
            text=file,
        )
        return made

    def upload_version(self, query: Json, file: str, **_: Any) -> Json:
        _check_document(file)
        pipeline, name = query["pipelineid"], query["name"]
        if pipeline not in self.pipelines:
            raise Refused(400, "Failed to create a pipeline version")
        if any(v["pipeline_id"] == pipeline and v["display_name"] == name for v in self.versions.values()):
            raise Refused(409, "Failed to create a pipeline version")
        return _public(
            _put(self.versions, "pipeline_version_id", display_name=name, pipeline_id=pipeline, text=file)
        )

    def list_pipelines(self, query: Json, **_: Any) -> Json:
        # Without a namespace, those that all namespaces share (`ListPipelines` in pipeline_server.go).
        there = {k: v for k, v in self.pipelines.items() if v["namespace"] == query.get("namespace", "")}
        return {"pipelines": _filtered(there, query) or None}

    def list_versions(self, query: Json, pipeline: str, **_: Any) -> Json:
        own = {k: v for k, v in self.versions.items() if v["pipeline_id"] == pipeline}
        return {"pipeline_versions": [_public(v) for v in _filtered(own, query)]}

    def list_experiments(self, query: Json, **_: Any) -> Json:
        return {"experiments": _filtered(self.experiments, query) or None}

    def create_experiment(self, body: Json, **_: Any) -> Json:
        if body.get("namespace"):
            raise Refused(400, "In single-user mode, CreateExperimentRequest shouldn't contain namespace.")
        return _put(self.experiments, "experiment_id", display_name=body["display_name"])

    def create_run(self, body: Json, **_: Any) -> Json:
        spec, pods = self._document(body)
        values = body.get("runtime_config", {}).get("parameters") or {}
        _check_parameters(spec, values)
        run = _put(self.runs, "run_id", **body, created_at=_now())
        self.executions[run["run_id"]] = self.cluster.run(run["run_id"], spec, pods, values)
        return self.get_run(run=run["run_id"])

    def get_run(self, run: str, **_: Any) -> Json:
        if run not in self.runs:
            raise Refused(404, f"Run {run} not found")
        execution = self.executions[run]
        details = [detail for name, task in execution.tasks.items() for detail in _details(run, name, task)]
        return {
            **self.runs[run],
            "state": execution.state,
            "finished_at": execution.ended and execution.ended.isoformat(),
            "run_details": {"task_details": details},
        }

    def get_run_v1(self, run: str, **_: Any) -> Json:
        """As `GetRunV1`: Argo's workflow as text (`toApiRunDetailV1`, apiserver/server/api_converter.go)."""
        if run not in self.runs:
            raise Refused(404, f"Run {run} not found")
        if "record" not in self.ways:
            return {"run": {"id": run}, "pipeline_runtime": {}}
        nodes = {attempt.node: _argo_node(attempt) for attempt in self._attempts(run)}
        nodes |= {node["id"]: node for node in self.more_nodes}
        workflow = {"metadata": {"name": run[:8]}, "status": {"nodes": nodes}}
        return {"run": {"id": run}, "pipeline_runtime": {"workflow_manifest": json.dumps(workflow)}}

    def terminate_run(self, run: str, **_: Any) -> Json:
        self.terminated.append(run)
        self.executions[run].state = "CANCELING"
        return {}

    def read_log(self, run: str, node: str, **_: Any) -> bytes:
        """As `ReadRunLogV1`: status 200 has been sent before anything is looked for, errors come as JSON."""
        for attempt in self._attempts(run):
            if "pods" in self.ways and node == attempt.pod_name:
                return attempt.log.read_bytes()
            if "archive" in self.ways and node == attempt.node:
                return _as_archived(attempt.log.read_bytes())
        return json.dumps({"error_message": f"Failed to read logs from pod {node}: not found"}).encode()

    def read_artifact(self, run: str, node: str, artifact: str, **_: Any) -> Json:
        """As `ReadArtifact`: what lies in the object store, in base64. Argo packs it with tar and gzip."""
        for attempt in self._attempts(run):
            if "artifact" in self.ways and artifact == "main-logs" and node == attempt.node:
                packed = io.BytesIO()
                with tarfile.open(fileobj=packed, mode="w:gz") as archive:
                    archive.add(attempt.log, "main.log")
                return {"data": base64.b64encode(packed.getvalue()).decode()}
        raise Refused(404, "artifact not found")

    def _attempts(self, run: str) -> list[Attempt]:
        return [attempt for task in self.executions[run].tasks.values() for attempt in task.attempts]

    def create_recurring(self, body: Json, **_: Any) -> Json:
        spec, _pods = self._document(body)
        _check_parameters(spec, body.get("runtime_config", {}).get("parameters") or {})
        cron = body["trigger"]["cron_schedule"]["cron"]
        if len(cron.split()) not in (5, 6):
            raise Refused(400, f"Schedule cron is not a supported format (https://godoc.org/…): {cron}")
        if not 1 <= int(body["max_concurrency"]) <= 10:
            raise Refused(400, "The max concurrency of the recurring run must be between 1 and 10")
        return _put(self.recurring, "recurring_run_id", **body, status="ENABLED", created_at=_now())

    def list_recurring(self, query: Json, **_: Any) -> Json:
        return {"recurringRuns": _filtered(self.recurring, query) or None}

    def delete_recurring(self, recurring: str, **_: Any) -> Json:
        if not self.recurring.pop(recurring, None):
            raise Refused(404, f"RecurringRun {recurring} not found")
        return {}

    def _document(self, body: Json) -> tuple[Json, Json]:
        version = self.versions.get(body["pipeline_version_reference"]["pipeline_version_id"])
        if not version:
            raise Refused(404, "PipelineVersion not found")
        spec, platform = yaml.safe_load_all(version["text"])
        return spec, platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def _as_archived(log: bytes) -> bytes:
    """As the backend's `CopyLogFromArchiveReader`: of a line that is JSON it prints the key `log` alone."""
    lines = []
    for line in log.decode().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            lines.append(line)
        else:
            lines.append(entry.get("log", "") if isinstance(entry, dict) else line)
    return "".join(f"{line}\n" for line in lines).encode()


def _check_document(text: str) -> None:
    if broken := document_problems(text):
        raise Refused(400, f"Invalid input error: {'; '.join(broken)}")


def _check_parameters(spec: Json, values: Mapping[str, Any]) -> None:
    """As the backend's `validatePipelineJobInputs`."""
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for name, parameter in declared.items():
        kind = parameter["parameterType"]
        if name not in values and "defaultValue" not in parameter and not parameter.get("isOptional"):
            raise Refused(
                400,
                f"parameter {name} is not optional, yet has neither default value nor user provided value",
            )
        if name in values and not isinstance(values[name], _KINDS[kind]):
            raise Refused(400, f"input parameter {name} requires type {kind.lower()}, but the value is not")
    if extra := sorted(set(values) - set(declared)):
        raise Refused(400, f"parameter(s) provided are not required by pipeline: {', '.join(extra)}")


def _details(run: str, name: str, task: Any) -> list[Json]:
    """A task as Argo shows it: its driver, itself, and below it the retries with a pod each."""
    times = {
        "start_time": task.began and task.began.isoformat(),
        "end_time": task.ended and task.ended.isoformat(),
    }
    state = "PENDING" if task.state == "QUEUED" else task.state
    retries = f"{run[:8]}-{name}-retries"
    # Under this name the backend gives the id of Argo's node, which no pod is called by.
    pods = [{"pod_name": attempt.node} for attempt in task.attempts]
    return [
        {"run_id": run, "display_name": f"{name}-driver", "state": "SUCCEEDED"},
        {
            "run_id": run,
            "display_name": name,
            "state": state,
            "child_tasks": [{"pod_name": retries}],
            **times,
        },
        {"run_id": run, "display_name": "executor", "state": state, "child_tasks": pods, **times},
    ]


def _argo_node(attempt: Attempt) -> Json:
    """One pod in Argo's record, `NodeStatus` in pkg/apis/workflow/v1alpha1/workflow_types.go."""
    working = attempt.ended is None
    bad = not working and (attempt.process is None or attempt.process.returncode != 0)
    return {
        "id": attempt.node, "name": attempt.path, "type": "Pod", "displayName": f"executor({attempt.number})",
        "templateName": TEMPLATE, "phase": "Running" if working else "Failed" if bad else "Succeeded",
        **({"message": attempt.message} if bad else {}),
        **({} if working else {"finishedAt": attempt.ended.strftime("%Y-%m-%dT%H:%M:%SZ")}),
    }  # fmt: skip


def _put(table: dict[str, Json], key: str, **values: Any) -> Json:
    identity = str(uuid.uuid4())
    table[identity] = {key: identity, "created_at": _now(), **values}
    return table[identity]


def _public(version: Json) -> Json:
    return {key: value for key, value in version.items() if key != "text"}


def _filtered(table: Mapping[str, Json], query: Json) -> list[Json]:
    predicates = json.loads(query.get("filter") or "{}").get("predicates", [])
    assert all(p["operation"] in ("EQUALS", 1) for p in predicates)
    return [row for row in table.values() if all(row.get(p["key"]) == p["stringValue"] for p in predicates)]


def _now() -> str:
    return datetime.now(UTC).isoformat()


ROUTES: list[tuple[str, str, Callable[..., Any]]] = [
    ("GET", "/apis/v2beta1/healthz", KfpServer.healthz),
    ("POST", "/apis/v2beta1/pipelines/upload", KfpServer.upload),
    ("POST", "/apis/v2beta1/pipelines/upload_version", KfpServer.upload_version),
    ("GET", "/apis/v2beta1/pipelines", KfpServer.list_pipelines),
    ("GET", "/apis/v2beta1/pipelines/(?P<pipeline>[^/]+)/versions", KfpServer.list_versions),
    ("GET", "/apis/v2beta1/experiments", KfpServer.list_experiments),
    ("POST", "/apis/v2beta1/experiments", KfpServer.create_experiment),
    ("POST", "/apis/v2beta1/runs", KfpServer.create_run),
    ("GET", "/apis/v2beta1/runs/(?P<run>[^/]+)", KfpServer.get_run),
    ("POST", "/apis/v2beta1/runs/(?P<run>[^/:]+):terminate", KfpServer.terminate_run),
    ("GET", "/apis/v1beta1/runs/(?P<run>[^/]+)", KfpServer.get_run_v1),
    ("GET", "/apis/v1alpha1/runs/(?P<run>[^/]+)/nodes/(?P<node>[^/]+)/log", KfpServer.read_log),
    (
        "GET",
        "/apis/v1beta1/runs/(?P<run>[^/]+)/nodes/(?P<node>[^/]+)/artifacts/(?P<artifact>[^/]+):read",
        KfpServer.read_artifact,
    ),
    ("POST", "/apis/v2beta1/recurringruns", KfpServer.create_recurring),
    ("GET", "/apis/v2beta1/recurringruns", KfpServer.list_recurring),
    ("DELETE", "/apis/v2beta1/recurringruns/(?P<recurring>[^/]+)", KfpServer.delete_recurring),
]


class _Handler(BaseHTTPRequestHandler):
    api: KfpServer
    protocol_version = "HTTP/1.0"  # a connection for each request, so that none outlives `hang_up`

    def _answer(self) -> None:
        url = urlsplit(self.path)
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        given: Json = {"query": {key: values[0] for key, values in parse_qs(url.query).items()}}
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/"):
            parts = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + data).get_payload()
            given["file"] = parts[0].get_payload(decode=True).decode()
        elif data:
            given["body"] = json.loads(data)
        status, answer = self._call(url.path, given)
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(answer, bytes) else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _call(self, path: str, given: Json) -> tuple[int, Any]:
        if self.api.token and self.headers.get("Authorization") != f"Bearer {self.api.token}":
            return 401, {"error": "Request header error: there is no user identity header."}
        for method, pattern, function in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and method == self.command:
                try:
                    return 200, function(self.api, **given, **match.groupdict())
                except Refused as refused:
                    return refused.status, {"error": str(refused), "code": 3, "message": str(refused)}
        return 404, {"message": f"{self.command} {path}: not found"}

    do_GET = do_POST = do_DELETE = _answer

    def log_message(self, *_: Any) -> None:
        pass
