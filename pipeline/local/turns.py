"""Processes take turns at the metadata store. Uses TFX's connection to it.

Two that meet in SQLite's file do not queue: ml-metadata sleeps for 0.1 to 0.3 s, up to ten times, and then
gives up. A node needs the store for some hundredths of a second, before and after its work.
"""

import fcntl
from types import TracebackType
from typing import IO

from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.orchestration import metadata


class MetadataInTurn(metadata.Metadata):
    """TFX's connection, which one process at a time has.

    Args:
      connection: to the store.
      turns: a file that all who take turns have open. The kernel ends a turn with its process.
    """

    def __init__(self, connection: mlmd.ConnectionConfig, turns: IO[bytes]) -> None:
        super().__init__(connection)
        self._turns = turns

    def __enter__(self) -> "MetadataInTurn":
        fcntl.lockf(self._turns, fcntl.LOCK_EX)
        try:
            super().__enter__()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            self._leave()

    def _leave(self) -> None:
        if not self._users:  # TFX opens a connection within a connection
            fcntl.lockf(self._turns, fcntl.LOCK_UN)
