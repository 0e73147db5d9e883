"""A real MLflow server on loopback, from an environment of its own (`make mlflow`)."""

import os
import subprocess
import time
import urllib.request
from pathlib import Path
from urllib.error import URLError

import pytest

from tests.support import PATIENCE, REPOSITORY

MLFLOW = REPOSITORY / ".venv-mlflow/bin/mlflow"


def need_mlflow() -> None:
    """Skips where the server is not installed, and says what would install it."""
    if not MLFLOW.exists():
        pytest.skip("no MLflow server; `make mlflow` installs it")


class MlflowServer:
    """A server whose database and files are below a folder; it can go down and come back.

    Args:
      folder: made where it is missing.
      port: of loopback.
    """

    def __init__(self, folder: Path, port: int) -> None:
        folder.mkdir(exist_ok=True)
        self._folder, self._port = folder, port
        self.address = f"http://127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        options = ["server", "--host", "127.0.0.1", "--port", str(self._port), "--workers", "1",
                   "--backend-store-uri", f"sqlite:///{self._folder}/mlflow.db",
                   "--artifacts-destination", str(self._folder / "artifacts")]  # fmt: skip
        environment = {**os.environ, "GIT_PYTHON_REFRESH": "quiet", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [str(MLFLOW), *options], stdout=log, stderr=log, env=environment, cwd=self._folder,
                start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.address}/health", timeout=60):
                    return
            except (URLError, OSError):
                time.sleep(0.5)
        pytest.fail(f"the server did not start: {(self._folder / 'log').read_text()[-2000:]}")

    def stop(self) -> None:
        """Ends it with its workers, and waits for that."""
        if self._process:
            os.killpg(self._process.pid, 15)
            self._process.wait(timeout=PATIENCE)
            self._process = None
