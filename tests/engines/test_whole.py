"""The whole pipeline on an engine; its workers have our wheel and no checkout. `make engine-test`.

What this machine gives, the engine gives; what fails here, fails there with the same words and exit status.
The engine is Prism, or Beam's job server in Python where there is no Go; a whole run is compared on both.
"""

import json
import os
import signal
import sqlite3
import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_metadata.proto.v0 import statistics_pb2

from maskline.components.ingest.shards import read_shard
from tests.portable import Engine, free_port, worker_environment
from tests.support import GOOD, command, environment, maskline, transformed, write_shard

QUICK = ("--set", "training.epochs=1", "--set", "release_gate.min_accuracy=0",
         "--set", "release_gate.min_gain=-1")  # fmt: skip


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Two environments."""
    return [worker_environment(tmp_path_factory.mktemp("workers") / "environment") for _ in range(2)]


@pytest.fixture(scope="module")
def engine(tmp_path_factory, installed):
    started = Engine(tmp_path_factory.mktemp("engine"), *installed)
    yield started
    started.close()


@pytest.fixture(scope="module")
def shards(shared):
    """Two shards, and rows that the ingest sets aside: an unknown id, missing features, and no exercise."""
    folder = shared / "shards"
    assert maskline("data", "--out", folder, "--shards", 2, "--records", 300).returncode == 0
    write_shard(folder / "bad.tfrecord", [GOOD, {**GOOD, "op": [99]}, {"op": [3]}])
    return folder


def on(engine, shared):
    return (*engine.settings, "--set", f"beam.shared_storage=[{shared}]")


def run(root, shards, *options):
    return maskline("run", "--root", root, "--data", shards, *QUICK, *options, timeout=900)


@pytest.fixture(scope="module")
def here(shared, shards):
    done = run(shared / "here", shards)
    assert done.returncode == 0, done.stdout + done.stderr
    return shared / "here"


class There(NamedTuple):
    """A root whose Beam jobs an engine ran."""

    root: Path
    engine: Engine


@pytest.fixture(scope="module", params=[False, True], ids=["prism", "python"])
def finished_there(request, shared, shards, installed, tmp_path_factory):
    engine = Engine(tmp_path_factory.mktemp("engine"), *installed, python=request.param)
    try:
        root = shared / f"there-{request.param_index}"
        done = run(root, shards, *on(engine, shared))
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        yield There(root, engine)
    finally:
        engine.close()


@pytest.fixture
def there(finished_there):
    return finished_there.root


def only(root, pattern):
    [found] = sorted((root / "artifacts").glob(pattern))
    return found


def records(root, pattern):
    """All tf.Examples of the files, parsed and sorted: Beam writes them in any order."""
    files = sorted((root / "artifacts").glob(pattern))
    assert files
    found = [tf.train.Example.FromString(record.data) for path in files for record in read_shard(str(path))]
    return sorted(example.SerializeToString(deterministic=True) for example in found)


@pytest.mark.parametrize("split", ["train", "eval"])
def test_rows_are_the_same(here, there, split):
    examples = f"ExampleGen/examples/*/Split-{split}/*"
    assert records(there, examples) == records(here, examples)
    made = f"artifacts/Transform/transformed_examples/*/Split-{split}/*"
    assert transformed(there.glob(made)) == transformed(here.glob(made))


def test_quarantine_is_the_same(here, there):
    assert records(there, "ExampleGen/quarantine/*/rows*") == records(here, "ExampleGen/quarantine/*/rows*")
    reports = [json.loads(only(r, "ExampleGen/quarantine/*/report.json").read_text()) for r in (here, there)]
    assert reports[0] == reports[1]
    assert sum(reports[0]["quarantined"].values()) == 3


@pytest.mark.parametrize("split", ["train", "eval"])
def test_statistics_are_the_same(here, there, split):
    pattern = f"StatisticsGen/statistics/*/Split-{split}/FeatureStats.pb"
    first, second = (
        statistics_pb2.DatasetFeatureStatisticsList.FromString(only(root, pattern).read_bytes())
        for root in (here, there)
    )
    assert close(plain(second), plain(first))


def plain(statistics):
    """As a dictionary, with the features in the order of their names."""
    found = json_format.MessageToDict(statistics)
    for dataset in found["datasets"]:
        dataset["features"].sort(key=lambda feature: str(feature["path"]))
    return found


def close(first, second):
    """Equal, with numbers up to 1e-6."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(close(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(close, first, second))
    return first == (pytest.approx(second, rel=1e-6, abs=1e-6) if isinstance(first, float) else second)


def test_evaluation_is_the_same(here, there):
    first, second = (
        json.loads(only(root, "Evaluator/evaluation/*/metrics.json").read_text()) for root in (here, there)
    )
    assert close(second["slices"], first["slices"])


def test_workers_of_both_pools_did_it(finished_there):
    """Of the jobs of a run, each has a worker of its own."""
    started = finished_there.engine.pools.started
    assert len(started) == 2
    assert min(started.values()) >= 2


def test_the_store_holds_no_path_to_the_root(there):
    """As after a run on this machine: a root can be moved. Where a model was pushed to is told, not used."""
    with closing(sqlite3.connect(there / "metadata.sqlite")) as store:
        lines = [line for line in store.iterdump() if str(there) in line]
    assert all("'pushed_destination'" in line for line in lines)


def test_nothing_changed_nothing_runs(finished_there, shards, shared):
    again = run(finished_there.root, shards, *on(finished_there.engine, shared))
    assert again.returncode == 0
    assert "components reused" in again.stdout


@pytest.fixture(scope="module")
def many(shared):
    """So many rows that a worker reads them for a while."""
    folder = shared / "many"
    assert maskline("data", "--out", folder, "--shards", 2, "--records", 30_000).returncode == 0
    return folder


@pytest.mark.parametrize(("node", "reads"), [("ExampleGen", "many"), ("Evaluator", "artifacts/ExampleGen")])
def test_a_worker_that_is_killed_while_it_reads_is_a_retry_or_one_line(shared, many, engine, node, reads):
    root = shared / f"killed-{node}"
    place = shared / reads if reads == "many" else root / reads
    call = command("run", "--root", root, "--data", many, *QUICK, *on(engine, shared))
    with subprocess.Popen(
        call, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as asked:
        late = threading.Timer(900, asked.kill)  # nothing below waits for longer
        late.start()
        try:
            next(line for line in asked.stdout if line.strip() == f"{node} …")
            while not (readers := [worker for worker in engine.workers() if has_open(worker, place)]):
                assert asked.poll() is None, "no worker was seen to read"
                time.sleep(0.005)
            for worker in readers:
                os.kill(worker, signal.SIGKILL)
            rest = asked.stdout.read()
        finally:
            late.cancel()
    print(rest)
    assert asked.returncode in (0, 1)
    if asked.returncode:
        [failed] = [line for line in rest.splitlines() if line.startswith("Failed: ")]
        assert f"{node} failed: " in failed
        assert not (root / "serving").exists() or not list((root / "serving/maskline").glob("[0-9]*"))
    again = run(root, many, *on(engine, shared))
    assert again.returncode == 0, again.stdout + again.stderr


def has_open(process, folder):
    """Whether a process has a file below a folder open."""
    try:
        opened = [os.readlink(link) for link in Path(f"/proc/{process}/fd").iterdir()]
    except OSError:
        return False
    return any(Path(file).is_relative_to(folder) for file in opened)


def test_a_bad_shard_ends_with_the_same_words(shared, engine):
    shard = write_shard(shared / "truncated" / "a.tfrecord", [GOOD] * 5)
    shard.write_bytes(shard.read_bytes()[:-3])
    split = ("--set", "data.split_by=")  # these rows are no exercises, by which maskline.yaml splits
    ended = [
        run(shared / name, shard.parent, *split, *options)
        for name, options in (("bad-here", ()), ("bad-there", on(engine, shared)))
    ]
    assert [done.returncode for done in ended] == [2, 2]
    lines = [[line for line in done.stderr.splitlines() if "maskline: " in line] for done in ended]
    assert lines[0] == lines[1]
    assert "is truncated; 4 whole records were read" in lines[0][-1]


def test_a_blocked_gate_ends_with_the_same_words(shared, shards, engine):
    blocked = ("--set", "data_gate.max_bad_rows=0")
    ended = [
        run(shared / name, shards, *blocked, *options)
        for name, options in (("gate-here", ()), ("gate-there", on(engine, shared)))
    ]
    assert [done.returncode for done in ended] == [3, 3]
    headlines = [
        next(line for line in done.stdout.splitlines() if "locked" in line or "topped" in line)
        for done in ended
    ]
    assert headlines[0] == headlines[1]


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ({"without": True}, "do not have our package; install its wheel"),
        ({"version": "another"}, "have another version of our package than this machine"),
    ],
    ids=["without", "another"],
)
def test_workers_without_our_package(shared, shards, tmp_path, kind, problem):
    bare = "without" in kind
    engine = Engine(tmp_path / "engine", worker_environment(tmp_path / "environment", **kind), bare=bare)
    try:
        done = run(shared / "refused", shards, *on(engine, shared))
    finally:
        engine.close()
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert problem in done.stderr
    assert not (shared / "refused").exists()


def test_wrong_input_ends_before_anything_is_sent(shared, shards, engine, tmp_path):
    elsewhere = run(tmp_path / "root", shards, *on(engine, shared))
    assert elsewhere.returncode == 2
    assert f"root: {tmp_path / 'root'} is not a path on a worker" in elsewhere.stderr
    port = free_port()
    silent = (*on(engine, shared), "--set", f"beam.job_endpoint=localhost:{port}")
    done = run(shared / "silent", shards, *silent)
    assert done.returncode == 2
    assert f"no job server of portable answers at localhost:{port}" in done.stderr
    assert not (shared / "silent").exists()
    assert list(tmp_path.iterdir()) == []
