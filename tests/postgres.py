"""A PostgreSQL server of the tests' own, from Debian's package, on a free port of loopback."""

import glob
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

USER = "maskline"


class Postgres:
    """Runs as `postgres` where the tests run as root, which PostgreSQL refuses to be."""

    def __init__(self) -> None:
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb")) or [shutil.which("initdb") or ""]
        if not found[-1]:
            pytest.skip("PostgreSQL is not installed; `make postgres` installs Debian's package")
        self._bin = Path(found[-1]).parent
        self._user = "postgres" if os.geteuid() == 0 else None
        # Not under pytest's folder, which is closed to other users.
        self._folder = Path(tempfile.mkdtemp(prefix="maskline-postgres-"))
        self.password = secrets.token_hex(8)
        (self._folder / "password").write_text(self.password)
        if self._user:
            for path in (self._folder, self._folder / "password"):
                shutil.chown(path, self._user)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        data = self._folder / "data"
        self._call("initdb", "-D", data, "-U", USER, "-A", "scram-sha-256", "--no-sync", "-E", "UTF8",
                   "--pwfile", self._folder / "password")  # fmt: skip
        with open(self._folder / "log", "wb") as log:
            self._server = subprocess.Popen(
                [self._bin / "postgres", "-D", data, "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
                 "-c", "unix_socket_directories=", "-c", "fsync=off"],
                stdout=log, stderr=log, user=self._user, cwd=self._folder,
            )  # fmt: skip
        until = time.monotonic() + 60
        while subprocess.call([self._bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]):
            assert time.monotonic() < until, (self._folder / "log").read_text()
            time.sleep(0.1)

    def database(self, name: str) -> str:
        """Makes an empty database and gives its address."""
        self._call("createdb", "-h", "127.0.0.1", "-p", self.port, "-U", USER, name)
        return f"postgresql://127.0.0.1:{self.port}/{name}"

    @property
    def credentials(self) -> dict[str, str]:
        return {"MASKLINE_METADATA_USER": USER, "MASKLINE_METADATA_PASSWORD": self.password}

    def close(self) -> None:
        self._server.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown; SIGTERM waits for clients
        self._server.wait(timeout=60)
        shutil.rmtree(self._folder)

    def _call(self, program: str, *arguments: object) -> None:
        subprocess.run(
            [self._bin / program, *map(str, arguments)], check=True, capture_output=True, user=self._user,
            cwd=self._folder, env={**os.environ, "PGPASSWORD": self.password},
        )  # fmt: skip
