"""A node's last words, as they go into a pod's message and come out of Argo's record."""

import json

import pytest

from maskline.pipeline.cluster.last_words import LastWords, find_words, leave
from maskline.pipeline.cluster.workflow import pods_of, task_of

WORDS = LastWords("DataGate", "BLOCKED", 'few "rows" {3}', "2026-11-25T10:00:00Z")


@pytest.mark.parametrize(
    "before", ["", "main: Error (exit code 1): ", "retried {once} {", '{"level": "INFO"} '], ids=len
)
def test_words_are_found_behind_words_of_others(before):
    expected = None if before.startswith('{"') else WORDS
    assert find_words(before + WORDS.as_json) == expected


@pytest.mark.parametrize("text", ["", "main: Error (exit code 1)", "{", "{}", "[1]", '{"event": "ended"}'])
def test_what_is_none_gives_none(text):
    assert find_words(text) is None


def test_long_reason_is_cut_so_that_kubernetes_keeps_the_whole_message(tmp_path):
    place = tmp_path / "log"
    place.touch()
    leave(WORDS._replace(reason="ü secret " * 5000), str(place), lambda text: text.replace("secret", "***"))
    text = place.read_text()
    assert len(text.encode()) <= 2048
    assert "secret" not in text
    found = find_words(text)
    assert found.reason.startswith("ü *** ü ***")
    assert found.reason.endswith(" …")
    assert found[:2] == WORDS[:2]


def test_outside_a_pod_nothing_is_written(tmp_path):
    leave(WORDS, str(tmp_path / "log"), str)
    assert list(tmp_path.iterdir()) == []


def test_pods_of_argo_s_record():
    """As Argo 4.0 writes it for Kubeflow Pipelines, of which only what counts here is left."""

    def node(number, name, kind="Pod", **more):
        return {"id": f"run-{number}", "name": name, "type": kind, "templateName": "impl", **more}

    nodes = [
        node(1, "run", "DAG", phase="Failed", message="child 'run-2' failed"),
        node(2, "run.root.data-gate", "DAG", phase="Failed"),
        node(3, "run.root.data-gate.executor(1)", phase="Failed", finishedAt="2026-11-25T10:05:00Z",
             message=f"main: Error (exit code 1): {WORDS.as_json}"),
        node(4, "run.root.data-gate.executor(0)", phase="Error", finishedAt="2026-11-25T10:01:00Z",
             message="pod deleted"),
        node(5, "run.root.data-gate-driver(0)", phase="Succeeded", finishedAt="2026-11-25T10:00:00Z"),
        node(6, "run.root.trainer.executor", phase="Pending", message="PodInitializing"),
    ]  # fmt: skip
    workflow = {"metadata": {"name": "run"}, "status": {"nodes": {n["id"]: n for n in nodes}}}
    driver, first, last, waits = pods_of(json.loads(json.dumps(workflow)))
    assert {driver.task, first.task, last.task} == {"data-gate"}
    assert (first.words, last.words) == (None, WORDS)
    assert (waits.task, waits.name, waits.phase) == ("trainer", "run-impl-6", "Pending")
    assert pods_of({}) == pods_of({"metadata": {}, "status": {}}) == []


@pytest.mark.parametrize(
    ("path", "task"),
    [("r.root.data-gate.executor(0)", "data-gate"), ("r.root.a-driver", "a"), ("r.root-driver(0)", "root")],
)
def test_task_in_the_name_of_argo_s_node(path, task):
    assert task_of(path) == task
