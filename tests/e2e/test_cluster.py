"""The whole pipeline as Kubeflow Pipelines runs it: the SDK's client, a process a node, PostgreSQL."""

import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import kfp_server_api
import pytest
import tensorflow as tf
from click.testing import CliRunner
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.pipeline.cli import cli
from maskline.pipeline.cluster.metadata import connection
from maskline.pipeline.cluster.store import Store, open_store
from maskline.transform.errors import InputError
from maskline.transform.names import SPLITS
from tests.conftest import Finished
from tests.docs.outputs import assert_documented
from tests.faults.forks import Forks
from tests.kfp_cluster import Cluster, Execution
from tests.kfp_server import KfpServer
from tests.support import ANY_MODEL, GOOD, PATIENCE, REPOSITORY, example, tfrecord, transformed, versions

pytestmark = pytest.mark.slow
IMAGE = "registry.example/maskline@sha256:" + "0" * 64


class Site(NamedTuple):
    """What a platform engineer has set up, and two runs that succeed: a pod a node, and a pod a stage."""

    folder: Path
    server: KfpServer
    store: Store
    address: str
    credentials: dict[str, str]
    options: list[str]
    bundled: Any
    first: Any
    second: Any

    @property
    def executions(self) -> list[Execution]:
        return [self.execution(submitted) for submitted in (self.first, self.second)]

    def execution(self, submitted: Any) -> Execution:
        """The run that a `submit` started."""
        return self.server.executions[submitted.output.split("run ", 1)[1].split(":")[0]]

    def recorded(self, run: Execution) -> dict[str, list[mlmd.Execution]]:
        """What the metadata store holds of a run, by node."""
        context = self.store.get_context_by_type_and_name("pipeline_run", run._run_id)
        found: dict[str, list[mlmd.Execution]] = {}
        for execution in self.store.get_executions_by_context(context.id):
            contexts = self.store.get_contexts_by_execution(execution.id)
            node = next(c.name.split(".")[-1] for c in contexts if c.type == "node")
            found.setdefault(node, []).append(execution)
        return found


@pytest.fixture(scope="module")
def site(postgres, finished: Finished, tmp_path_factory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    address = postgres.database("maskline")
    config = connection(address, postgres.credentials)
    store = open_store(config, patience=60)
    shutil.copytree(finished.data, folder / "volume/data")
    (folder / "home").mkdir()
    shutil.copy(REPOSITORY / "kubeflow/node.py", folder / "home")
    secrets = {"maskline-metadata": {"user": "maskline", "password": postgres.password}}
    server = KfpServer(Cluster(folder, secrets=secrets, claims={"maskline"}))
    settings = {
        "host": server.url, "image": IMAGE, "home": f"{folder}/home", "data": f"{folder}/volume/data",
        "root": f"{folder}/volume/root", "volumes": {"maskline": f"{folder}/volume"},
        "metadata.host": "127.0.0.1", "metadata.port": postgres.port, "node.retry_seconds": 0,
        "grouping": "node", "nodes": {"DataGate": {"retries": 1}, "ExampleGen": {"retries": 0}},
    }  # fmt: skip
    options = [f"--set=cluster.{key}={json.dumps(value)}" for key, value in settings.items()]
    options += [f"--set={bar}" for bar in ANY_MODEL]
    bundled = call("bundle", *options, "--output", f"{folder}/home/bundle")
    assert bundled.exception is None, bundled.output
    killer = threading.Thread(target=kill_trainer, args=(server,))
    killer.start()
    first = call("submit", *options)
    killer.join()
    # Each of the first run's pods began with nothing. Later ones are mostly served from the cache or refused.
    server.cluster.forks = forks = Forks("tests.kubeflow.pod_imports")
    second = call("submit", *options, "--set=cluster.grouping=stage")
    yield Site(folder, server, store, address, postgres.credentials, options, bundled, first, second)
    server.close()
    forks.close()


def call(command: str, *options: str) -> Any:
    """The command line, in this process: importing TFX once is enough."""
    arguments = ["kubeflow", command, "--config", "maskline.yaml", *options]
    return CliRunner().invoke(cli, arguments, standalone_mode=False)  # or the exit status is lost


def kill_trainer(server: KfpServer) -> None:
    """SIGKILL in the middle of the first training."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for run in list(server.executions.values()):
            attempts = run.tasks["trainer"].attempts
            if attempts and b"epoch 2/" in attempts[0].log.read_bytes():
                os.kill(attempts[0].process.pid, signal.SIGKILL)
                return
        time.sleep(0.1)


def test_run_ends_pushed_though_a_node_was_killed(site):
    assert site.first.return_value == 0, site.first.output
    assert versions(site.folder / "volume/root") == ["1"]
    assert re.search(r"^✓ pusher +\d+ s$", site.first.output, re.M)
    trainer = site.executions[0].tasks["trainer"]
    assert [attempt.process.returncode for attempt in trainer.attempts] == [-signal.SIGKILL, 0]
    for name, task in site.executions[0].tasks.items():
        assert len(task.attempts) == (2 if name == "trainer" else 1), name


def test_docs_show_what_bundle_and_submit_print(site):
    assert_documented("bundle", site.bundled.output, replace={f"{site.folder}/home": "kubeflow"})
    host = {site.server.url: "http://localhost:8080"}
    assert_documented("submit", with_beginnings(site.second.output), replace=host)


def with_beginnings(printed: str) -> str:
    """A stage that came to its end between two looks was never seen at work."""
    lines: list[str] = []
    for line in printed.splitlines():
        begun = f"  {line.split()[1]} …" if line.startswith("✓ ") else ""
        lines += [begun, line] if begun and begun not in lines else [line]
    return "\n".join(lines)


def test_killed_node_has_one_execution_record(site):
    recorded = site.recorded(site.executions[0])
    assert {node: len(executions) for node, executions in recorded.items()} == dict.fromkeys(recorded, 1)
    assert {e.last_known_state for [e] in recorded.values()} == {mlmd.Execution.COMPLETE}
    assert "takes up execution" in site.executions[0].tasks["trainer"].attempts[1].log.read_text()


def test_second_run_is_all_cached(site):
    assert site.second.return_value == 0, site.second.output
    assert versions(site.folder / "volume/root") == ["1"]
    for node, [execution] in site.recorded(site.executions[1]).items():
        [kind] = site.store.get_execution_types_by_id([execution.type_id])
        asked = kind.name == "tfx.dsl.components.common.resolver.Resolver"  # always anew
        expected = mlmd.Execution.COMPLETE if asked else mlmd.Execution.CACHED
        assert execution.last_known_state == expected, node


def test_independent_nodes_ran_at_the_same_time(site):
    tasks = site.executions[0].tasks
    one, other = tasks["example-gen"], tasks["import-schema-gen"]
    assert max(one.began, other.began) < min(one.ended, other.ended)


def test_document_is_uploaded_once(site):
    for command in ("schedule", "unschedule"):
        assert call(command, *site.options).exception is None
    [pipeline] = site.server.pipelines.values()
    assert pipeline["display_name"] == "maskline"
    names = [v["display_name"] for v in site.server.versions.values()]
    assert len(names) == len(set(names)) == 3, "the pipeline's first, and one for each grouping"


def test_stages_have_a_pod_each(site):
    first, second = (list(run.tasks) for run in site.executions)
    assert (len(first), second) == (14, ["ingest", "release", "train"])
    assert re.search(r"^✓ train +\d+ s$", site.second.output, re.M)


def test_log_lines_are_json_and_name_node_and_run(site):
    for run in site.executions:
        for task in run.tasks.values():
            lines = [json.loads(line) for line in task.attempts[-1].log.read_text().splitlines()]
            assert {line["run"] for line in lines} == {run._run_id}
            assert lines[-1]["event"] == "ended"
            assert lines[-1]["state"] in ("COMPLETE", "CACHED")


def test_no_secret_in_logs_document_or_arguments(site):
    texts = [path.read_text() for path in site.folder.glob("*.log")]
    texts += [version["text"] for version in site.server.versions.values()]
    texts += [(site.folder / "home/bundle/pipeline.ir.json").read_text(), site.first.output]
    texts += [str(process.args) for process in site.server.cluster.working]
    assert len(texts) > 20
    password = site.credentials["MASKLINE_METADATA_PASSWORD"]
    assert not any(password in text for text in texts)


def test_cluster_and_laptop_make_the_same_artifacts(site, finished):
    here, there = finished.root / "artifacts", site.folder / "volume/root/artifacts"
    assert rows(here) == rows(there)
    for split in SPLITS:
        made = f"Transform/transformed_examples/*/Split-{split}/*"
        assert transformed(here.glob(made)) == transformed(there.glob(made))
    ours, theirs = (
        [json.loads(file.read_text()) for file in root.glob("Trainer/history/*/history.json")]
        for root in (here, there)
    )
    assert [h["identity"] for h in ours] == [h["identity"] for h in theirs]


def test_runs_of_the_cluster_are_shown_and_reported_as_local_ones(site, monkeypatch, tmp_path):
    for name, value in site.credentials.items():
        monkeypatch.setenv(name, value)

    def asked(*arguments: str) -> str:
        common = ["--root", f"{site.folder}/volume/root", "--metadata", site.address]
        done = CliRunner().invoke(cli, [*arguments, *common], standalone_mode=False)
        assert done.exception is None, done.output
        return done.output

    first, second = (run._run_id for run in site.executions)
    shown = json.loads(asked("show", first, "--json"))
    assert (shown["run"], shown["released_version"], shown["exit"]) == (first, 1, 0)
    assert shown["metrics"]["candidate"]["accuracy"] > 0
    assert not shown["lost"]
    assert [entry["name"] for entry in json.loads(asked("history", "--json"))["entries"]] == [first, second]
    page = tmp_path / "report.html"
    asked("report", first, "--out", str(page))
    assert "Released as version 1" in page.read_text()
    assert 'id="gates"' in page.read_text()


def rows(root: Path) -> dict[str, list[bytes]]:
    """Records by split, as examples rather than bytes: two runs never write the same bytes."""
    found = {}
    for split in sorted(root.glob("ExampleGen/examples/*/Split-*")):
        files = [str(file) for file in sorted(split.iterdir())]
        records = [r.numpy() for r in tf.data.TFRecordDataset(files, compression_type="GZIP")]
        examples = [tf.train.Example.FromString(record) for record in records]
        found[split.name] = sorted(e.SerializeToString(deterministic=True) for e in examples)
    assert sorted(found) == ["Split-eval", "Split-test", "Split-train"]
    assert found["Split-eval"]
    assert found["Split-train"]
    return found


def test_blocked_data_end_the_run_with_status_3_and_the_reason(site):
    """The gate's pod is tried twice: the cluster takes any failure for one that a retry may mend."""
    (site.folder / "volume/bad").mkdir()
    shard = sorted((site.folder / "volume/data").iterdir())[0]
    bad = tfrecord([example(**(GOOD | {"op": [3, 99, 4]}))] * 20)
    (site.folder / "volume/bad" / shard.name).write_bytes(shard.read_bytes() + bad)
    submitted = call("submit", *site.options, "--parameter", f"data={site.folder}/volume/bad")
    assert submitted.return_value == 3, submitted.output
    why = "bad rows: 20 of 520 rows, 3.85% (20 outside vocabulary); at most 1.00% is allowed"
    assert submitted.output.endswith(f"data-gate: blocked: {why}\nblocked by a gate\n")
    assert_documented("submit-blocked", submitted.output)
    run = site.execution(submitted)
    assert run.state == "FAILED"
    before = {"example-gen", "import-schema-gen", "statistics-gen", "example-validator", "previous-span"}
    assert {name for name, task in run.tasks.items() if task.attempts} == before | {"data-gate"}
    assert [attempt.process.returncode for attempt in run.tasks["data-gate"].attempts] == [3, 3]
    assert versions(site.folder / "volume/root") == ["1"]


def test_data_that_are_not_there_end_the_run_as_wrong_input(site):
    submitted = call("submit", *site.options, "--parameter", "data=/nowhere")
    assert isinstance(submitted.exception, InputError), submitted.output  # exit status 2
    assert str(submitted.exception).startswith("example-gen: /nowhere: no such data directory")
    run = site.execution(submitted)
    assert (run.state, run.tasks["statistics-gen"].attempts) == ("FAILED", [])
    [refused] = site.recorded(run)["ExampleGen"]
    assert refused.last_known_state == mlmd.Execution.FAILED


def test_schedule_twice_is_one_and_unschedule_removes_it(site):
    first, second = call("schedule", *site.options), call("schedule", *site.options)
    assert (first.exception, second.exception) == (None, None), first.output + second.output
    assert second.output.endswith(", as before\n")
    [run] = site.server.recurring.values()
    assert run["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * *"
    assert (int(run["max_concurrency"]), run["no_catchup"], run["mode"]) == (1, True, "ENABLE")

    changed = call("schedule", *site.options, "--set=cluster.schedule.cron='0 30 4 * * *'")
    assert changed.exception is None, changed.output
    [run] = site.server.recurring.values()
    assert run["trigger"]["cron_schedule"]["cron"] == "0 30 4 * * *"
    listed = call("schedules", *site.options).output
    assert listed.startswith("maskline\t0 30 4 * * *\tENABLED\t")
    removed = call("unschedule", *site.options).output
    assert removed == "1 schedule of maskline removed\n"
    assert_documented("schedule", changed.output + listed + removed)
    assert call("unschedule", *site.options).output == "0 schedules of maskline removed\n"
    assert not site.server.recurring


def test_bad_parameter_is_refused_here_and_by_the_backend(site):
    refused = call("submit", *site.options, "--parameter", "spam=3")
    assert "--parameter spam=3: write name=value; there are data, span" in str(refused.exception)
    import kfp

    with pytest.warns(FutureWarning):
        client = kfp.Client(host=site.server.url)
    version = list(site.server.versions.values())[-1]
    ids = {"pipeline_id": version["pipeline_id"], "version_id": version["pipeline_version_id"]}
    experiment = next(iter(site.server.experiments))
    for parameters, words in (({"spam": 3}, "not required by pipeline: spam"), ({"data": 3}, "type string")):
        with pytest.raises(kfp_server_api.ApiException) as told:
            client.run_pipeline(experiment, "x", params=parameters, **ids)
        assert told.value.status == 400
        assert words in told.value.body
