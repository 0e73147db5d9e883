"""Makes a metadata store forget runs that were pruned, and gives the space back. No TFX, no TensorFlow.

ml-metadata has no call that removes a record, so this speaks SQL to the tables of its schema 10, which
ml-metadata 1.17 writes (https://github.com/google/ml-metadata). Ids are never given again.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from ml_metadata.proto import metadata_store_pb2 as mlmd

from maskline.pipeline.registry import store
from maskline.transform.names import RUN_CONTEXT, ArtifactType

_SCHEMA = 10
# What stays: whatever made an artifact that is still there, as resolvers find artifacts by what made them;
# and the ingest's Examples, which say that a span was ingested.
_FORGET = f"""
CREATE TEMP TABLE gone_run AS SELECT c.id FROM Context c JOIN Type t ON t.id = c.type_id
  WHERE t.name = '{RUN_CONTEXT}' AND c.name NOT IN (SELECT name FROM kept);
CREATE TEMP TABLE gone_execution AS SELECT DISTINCT a.execution_id AS id FROM Association a
  WHERE a.context_id IN (SELECT id FROM gone_run)
  AND NOT EXISTS (SELECT 1 FROM Association o JOIN Context c ON c.id = o.context_id
    JOIN Type t ON t.id = c.type_id WHERE o.execution_id = a.execution_id AND t.name = '{RUN_CONTEXT}'
    AND c.name IN (SELECT name FROM kept))
  AND NOT EXISTS (SELECT 1 FROM Event e JOIN Artifact f ON f.id = e.artifact_id
    WHERE e.execution_id = a.execution_id AND e.type = {mlmd.Event.OUTPUT}
    AND f.state <> {mlmd.Artifact.DELETED});
DELETE FROM EventPath WHERE event_id IN
  (SELECT id FROM Event WHERE execution_id IN (SELECT id FROM gone_execution));
DELETE FROM Event WHERE execution_id IN (SELECT id FROM gone_execution);
DELETE FROM Association WHERE execution_id IN (SELECT id FROM gone_execution)
  OR context_id IN (SELECT id FROM gone_run);
DELETE FROM ExecutionProperty WHERE execution_id IN (SELECT id FROM gone_execution);
DELETE FROM Execution WHERE id IN (SELECT id FROM gone_execution);
CREATE TEMP TABLE gone_artifact AS SELECT f.id FROM Artifact f JOIN Type t ON t.id = f.type_id
  WHERE f.state = {mlmd.Artifact.DELETED} AND t.name <> '{ArtifactType.EXAMPLES}'
  AND NOT EXISTS (SELECT 1 FROM Event e WHERE e.artifact_id = f.id);
DELETE FROM Attribution WHERE artifact_id IN (SELECT id FROM gone_artifact)
  OR context_id IN (SELECT id FROM gone_run);
DELETE FROM ArtifactProperty WHERE artifact_id IN (SELECT id FROM gone_artifact);
DELETE FROM Artifact WHERE id IN (SELECT id FROM gone_artifact);
DELETE FROM ContextProperty WHERE context_id IN (SELECT id FROM gone_run);
DELETE FROM ParentContext WHERE context_id IN (SELECT id FROM gone_run);
DELETE FROM Context WHERE id IN (SELECT id FROM gone_run);
"""


def forget(metadata_file: Path, kept: Iterable[str]) -> int:
    """Removes the records of runs, in one transaction, and compacts the file; hold the root's lock.

    Args:
      metadata_file: the SQLite store; let go of every other connection to it before.
      kept: names of the runs that stay.

    Returns:
      how many bytes smaller the file is; 0 where ml-metadata's tables are of another schema.

    Raises:
      sqlite3.Error: the disk or another process refused; the store is as it was.
    """
    before = metadata_file.stat().st_size
    with closing(sqlite3.connect(metadata_file, timeout=store.PATIENCE, isolation_level=None)) as database:
        [schema] = database.execute("SELECT schema_version FROM MLMDEnv").fetchone()
        if schema != _SCHEMA:
            return 0
        database.execute("CREATE TEMP TABLE kept (name TEXT PRIMARY KEY)")
        database.executemany("INSERT OR IGNORE INTO kept VALUES (?)", [(name,) for name in kept])
        database.execute("BEGIN IMMEDIATE")
        try:
            for statement in filter(str.strip, _FORGET.split(";\n")):
                database.execute(statement)
            database.execute("COMMIT")
        except sqlite3.Error:
            database.execute("ROLLBACK")
            raise
        database.execute("VACUUM")
    return max(0, before - metadata_file.stat().st_size)
