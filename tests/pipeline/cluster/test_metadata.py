"""The metadata store of a cluster: addresses, first connections, and any string, in each kind of database."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from ml_metadata.errors import InternalError
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.pipeline.cluster.metadata import connection
from maskline.pipeline.cluster.store import Store, open_store
from maskline.transform.errors import InputError
from tests.support import PATIENCE, REPOSITORY, environment

WHO = {"MASKLINE_METADATA_USER": "u", "MASKLINE_METADATA_PASSWORD": "p"}
CONNECT = """
import os, sys, time
from maskline.pipeline.cluster.metadata import connection
from maskline.pipeline.cluster.store import Store
config = connection(sys.argv[1], os.environ)
time.sleep(max(0, float(sys.argv[2]) - time.time()))
Store(config).get_context_types()
"""


def test_address_and_credentials_become_a_connection():
    postgresql = connection("postgresql://db:5433/meta", WHO).postgresql
    assert (postgresql.host, postgresql.port, postgresql.dbname) == ("db", "5433", "meta")
    assert (postgresql.user, postgresql.password) == ("u", "p")
    mysql = connection("mysql://db:3307/meta", WHO).mysql
    assert (mysql.host, mysql.port, mysql.database, mysql.user, mysql.password) == (
        "db",
        3307,
        "meta",
        "u",
        "p",
    )


@pytest.mark.parametrize(
    ("address", "environment", "problem"),
    [
        ("sqlite:///x", WHO, "neither postgresql:// nor mysql://"),
        ("postgresql://db/meta", {}, "MASKLINE_METADATA_USER and MASKLINE_METADATA_PASSWORD are not set"),
        ("postgresql://u:p@db/meta", WHO, "address holds credentials; they belong in a Secret"),
    ],
)
def test_connection_is_refused(address, environment, problem):
    with pytest.raises(InputError, match=problem):
        connection(address, environment)


def connect_at_once(server, address: str) -> list[int]:
    """Exit statuses of eight pods that connect at the same moment."""
    at = str(time.time() + 2)
    pods = [
        subprocess.Popen(
            [sys.executable, "-c", CONNECT, address, at], cwd=REPOSITORY, stderr=subprocess.DEVNULL,
            env=environment() | server.credentials,
        )
        for _ in range(8)
    ]  # fmt: skip
    return [pod.wait(timeout=PATIENCE) for pod in pods]


def test_first_connections_at_once_fail_on_an_empty_database(database):
    tried = (connect_at_once(database, database.database(f"empty{number}")) for number in range(5))
    assert any(any(statuses) for statuses in tried), "the trap is gone, and with it the need for the job"


def test_init_job_prevents_it(database):
    address = database.database("prepared")
    job = subprocess.run(
        [sys.executable, REPOSITORY / "kubeflow/init_metadata.py", address],
        capture_output=True, text=True, env=environment() | database.credentials,
    )  # fmt: skip
    assert (job.returncode, job.stdout) == (0, "the metadata store is ready\n"), job.stderr
    assert connect_at_once(database, address) == [0] * 8


@pytest.fixture
def open_folder():
    """A folder that another user can reach; pytest's own are closed to all but theirs."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_init_job_says_why_nodes_cannot_write_to_the_volume(open_folder):
    """As the user of the image, on a folder that belongs to root: what a hostPath volume gives."""
    if os.getuid():
        pytest.skip("needs root, to work as another user")
    closed, missing = open_folder / "closed", open_folder / "missing"
    closed.mkdir(mode=0o755)
    open_to_all = open_folder / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)

    def check(folder):
        code = (
            "import os, runpy, sys; from pathlib import Path; "
            f"job = runpy.run_path({str(REPOSITORY / 'kubeflow/init_metadata.py')!r}); "
            "os.setgroups([]); os.setgid(10001); os.setuid(10001); "
            f"job['check_writable'](Path({str(folder)!r}))"
        )
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)

    assert check(open_to_all).returncode == 0, check(open_to_all).stderr
    assert list(open_to_all.iterdir()) == []
    refused = check(closed).stderr.splitlines()[-1]
    assert f"{closed}: nodes cannot write there (Permission denied); this pod runs as user 10001" in refused
    assert "belongs to 0:0 with mode 755" in refused
    assert f"`chown :10001 {closed} && chmod 2775 {closed}`" in refused
    other = open_folder / "other"
    other.mkdir()
    os.chown(other, 0, 4711)
    other.chmod(0o2775)
    told = "belongs to 0:4711 with mode 2775. Run this pod, and nodes by cluster.group, in group 4711"
    assert told in check(other).stderr
    assert "Is the volume mounted?" in check(missing).stderr


def test_database_that_is_not_there_is_waited_for_only_so_long():
    began = time.monotonic()
    with pytest.raises(RuntimeError, match="PostgreSQL"):
        open_store(connection("postgresql://127.0.0.1:1/x", WHO), patience=1)
    assert time.monotonic() - began > 1


TEXTS = [
    "\\",
    '{"a": "{\\"b\\": \\"c\\nd\\"}"}',
    "it's",
    '\'; drop table "Artifact"; --\\',
    "ü → \\x",
    "E'\\'",
    "",
]


def test_any_string_comes_back_as_it_was(database):
    store = Store(connection(database.database("strings"), database.credentials))
    kind = store.put_execution_type(mlmd.ExecutionType(name="t", properties={"a": mlmd.STRING}))
    for text in TEXTS:
        execution = mlmd.Execution(type_id=kind, name=f"n{text}")
        execution.properties["a"].string_value = text
        execution.custom_properties["b"].string_value = text
        [made] = store.put_executions([execution])
        assert execution.properties["a"].string_value == text, "the caller's own stays as it was"
        [read] = store.get_executions_by_id([made])
        assert (read.properties["a"].string_value, read.custom_properties["b"].string_value) == (text, text)
        assert store.get_execution_by_type_and_name("t", f"n{text}").id == made


def test_ml_metadata_s_own_client_makes_a_statement_that_is_no_sql(postgres):
    """The reason for ours."""
    store = MetadataStore(connection(postgres.database("own"), postgres.credentials))
    kind = store.put_execution_type(mlmd.ExecutionType(name="t", properties={"a": mlmd.STRING}))
    execution = mlmd.Execution(type_id=kind)
    execution.properties["a"].string_value = "{\\"
    with pytest.raises(InternalError, match="syntax error"):
        store.put_executions([execution])


def test_artifacts_come_in_the_order_in_which_they_are_asked_for(database):
    store = Store(connection(database.database("orders"), database.credentials))
    kind = store.put_artifact_type(mlmd.ArtifactType(name="t"))
    first, second = store.put_artifacts([mlmd.Artifact(type_id=kind, uri=uri) for uri in "ab"])
    for ids in ([first, second], [second, first]):
        assert [artifact.id for artifact in store.get_artifacts_by_id(ids)] == ids
    assert store.get_artifacts_by_id([second, 99]) == store.get_artifacts_by_id([second])
