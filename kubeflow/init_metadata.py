"""Prepares a cluster, once, before any node runs: `python init_metadata.py ADDRESS [FOLDER…]`.

It makes the metadata store's tables: ml-metadata makes them at the first connection, and fails where two
connect first at the same time. And it writes into each folder as a node would, so that a volume that nodes
cannot write to is found here, and not by the first run.
"""

import os
import stat
import sys
import tempfile
from pathlib import Path

from maskline.pipeline.cluster.metadata import connection
from maskline.pipeline.cluster.store import open_store
from maskline.transform.errors import InputError


def check_writable(folder: Path) -> None:
    """Writes a file into a folder and removes it.

    Raises:
      InputError: it cannot; says who asked, whom the folder belongs to, and what to do.
    """
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".maskline-check-"):
            pass
    except OSError as error:
        raise InputError(f"{folder}: nodes cannot write there ({error.strerror}); {_owner(folder)}") from None


def _owner(folder: Path) -> str:
    groups = " ".join(map(str, sorted({os.getegid(), *os.getgroups()})))
    asked = f"this pod runs as user {os.geteuid()} in groups {groups}"
    try:
        found = folder.stat()
    except OSError:
        return f"{asked}. Is the volume mounted?"
    belongs = f"the folder belongs to {found.st_uid}:{found.st_gid} with mode {found.st_mode & 0o7777:o}"
    if found.st_mode & stat.S_IWGRP:
        return f"{asked}, and {belongs}. Run this pod, and nodes by cluster.group, in group {found.st_gid}"
    return (
        f"{asked}, and {belongs}. Kubernetes applies fsGroup to no hostPath or NFS volume: there, run "
        f"`chown :10001 {folder} && chmod 2775 {folder}` where the volume lies"
    )


if __name__ == "__main__":
    address, *folders = sys.argv[1:]
    try:
        for name in folders:
            check_writable(Path(name))
        open_store(connection(address, os.environ), patience=300)
    except InputError as error:
        sys.exit(f"{error}")
    print("the metadata store is ready" + "".join(f", {name} can be written" for name in folders))
