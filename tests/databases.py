"""Database servers of the tests' own, from Debian's packages, each on a free port of loopback."""

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

from tests.support import PATIENCE

USER = "maskline"


class Server:
    """Runs as the package's user where the tests run as root, which PostgreSQL refuses to be.

    Args:
      package: Debian's.
      user: the package's.
      program: one of its programs, or a pattern of that, which says whether it is installed.
    """

    stop = signal.SIGTERM

    def __init__(self, package: str, user: str, program: str) -> None:
        found = sorted(glob.glob(program))
        if not found:
            pytest.skip(f"{package} is not installed; `make databases` installs Debian's package")
        self._bin = Path(found[-1]).parent
        self._user = user if os.geteuid() == 0 else None
        # Not under pytest's folder, which is closed to other users.
        self._folder = Path(tempfile.mkdtemp(prefix=f"maskline-{user}-"))
        self.password = secrets.token_hex(8)
        (self._folder / "password").write_text(self.password)
        if self._user:
            for path in (self._folder, self._folder / "password"):
                shutil.chown(path, self._user)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    @property
    def credentials(self) -> dict[str, str]:
        return {"MASKLINE_METADATA_USER": USER, "MASKLINE_METADATA_PASSWORD": self.password}

    def database(self, name: str) -> str:
        """Makes an empty database and gives its address."""
        raise NotImplementedError

    def close(self) -> None:
        self._server.send_signal(self.stop)
        self._server.wait(timeout=PATIENCE)
        shutil.rmtree(self._folder)

    def _start(self, server: list[object], ask: list[object]) -> None:
        """Starts the server, and waits until `ask` succeeds."""
        with open(self._folder / "log", "wb") as log:
            self._server = subprocess.Popen(
                [*map(str, server)], stdout=log, stderr=log, user=self._user, cwd=self._folder
            )
        until = time.monotonic() + PATIENCE
        while subprocess.call([*map(str, ask)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            assert time.monotonic() < until, (self._folder / "log").read_text()
            time.sleep(0.1)

    def _call(self, *command: object, text: str = "") -> None:
        subprocess.run(
            [*map(str, command)], check=True, capture_output=True, user=self._user, cwd=self._folder,
            env={**os.environ, "PGPASSWORD": self.password}, input=text.encode(),
        )  # fmt: skip


class Postgres(Server):
    """PostgreSQL."""

    stop = signal.SIGINT  # its fast shutdown; SIGTERM waits for clients

    def __init__(self) -> None:
        super().__init__("postgresql", "postgres", "/usr/lib/postgresql/*/bin/initdb")
        data, ready = self._folder / "data", self._bin / "pg_isready"
        self._call(self._bin / "initdb", "-D", data, "-U", USER, "-A", "scram-sha-256", "--no-sync",
                   "-E", "UTF8", "--pwfile", self._folder / "password")  # fmt: skip
        self._start(
            [self._bin / "postgres", "-D", data, "-p", self.port, "-c", "listen_addresses=127.0.0.1",
             "-c", "unix_socket_directories=", "-c", "fsync=off"],
            [ready, "-q", "-h", "127.0.0.1", "-p", self.port],
        )  # fmt: skip

    def database(self, name: str) -> str:
        self._call(self._bin / "createdb", "-h", "127.0.0.1", "-p", self.port, "-U", USER, name)
        return f"postgresql://127.0.0.1:{self.port}/{name}"


class MariaDB(Server):
    """MariaDB, which stands for MySQL: Debian has no other."""

    def __init__(self) -> None:
        super().__init__("mariadb-server", "mysql", "/usr/bin/mariadb-install-db")
        data = self._folder / "data"
        self._socket = self._folder / "socket"
        self._call(self._bin / "mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db",
                   "--auth-root-authentication-method=normal")  # fmt: skip
        self._start(
            ["/usr/sbin/mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={self._socket}",
             "--bind-address=127.0.0.1", f"--port={self.port}", "--skip-name-resolve",
             "--innodb-flush-log-at-trx-commit=0"],
            [self._bin / "mariadb-admin", "--no-defaults", f"--socket={self._socket}", "ping"],
        )  # fmt: skip
        # The one plugin that ml-metadata's client has.
        self._sql(f"create user '{USER}'@'127.0.0.1' identified via mysql_native_password "
                  f"using password('{self.password}')")  # fmt: skip

    def database(self, name: str) -> str:
        self._sql(f"create database {name}; grant all on {name}.* to '{USER}'@'127.0.0.1'")
        return f"mysql://127.0.0.1:{self.port}/{name}"

    def _sql(self, text: str) -> None:
        self._call(
            self._bin / "mariadb", "--no-defaults", f"--socket={self._socket}", "-u", "root", text=text
        )
