"""An engine for tests: Prism, or Beam's job server in Python, and worker pools in environments of their own.

In their environments our package is installed as `setup.py` builds it; the checkout is not on their path.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import venv
from contextlib import suppress
from pathlib import Path

from tests.support import REPOSITORY
from tests.worker_pools import Pools

BEAM = "v2.77.0"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "maskline" / "bin"
_START = 120.0  # seconds, on a machine that does much else


def prism() -> Path | None:
    """Beam's runner in Go, built once; None where there is no Go and it was not built before."""
    program = _CACHE / "prism"
    if not program.exists():
        go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
        if go is None:
            return None
        package = f"github.com/apache/beam/sdks/v2/go/cmd/prism@{BEAM}"
        subprocess.run([go, "install", package], env=os.environ | {"GOBIN": str(_CACHE)}, check=True)
    return program


def worker_environment(folder: Path, *, version: str = "", without: bool = False) -> Path:
    """Makes an environment whose workers have the locked packages and our wheel; gives its `bin`.

    Args:
      folder: made.
      version: of a changed source in the place of ours.
      without: leave our package out.
    """
    venv.create(folder, with_pip=False)
    packages = folder / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    # A path in a .pth file is searched, but .pth files in it are not read: the checkout, which one of those
    # names, stays unseen.
    (packages / "locked.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    if not without:
        built = folder / "wheel"
        subprocess.run(
            [sys.executable, "setup.py", "-q", "bdist_wheel", "--dist-dir", built],
            cwd=_copy(folder / "source"), check=True, capture_output=True,
        )  # fmt: skip
        [wheel] = built.glob("maskline-*.whl")
        shutil.unpack_archive(wheel, packages, "zip")
        if version:
            with open(packages / "maskline" / "transform" / "errors.py", "a") as file:
                file.write(f"# {version}\n")
    return folder / "bin"


def _copy(folder: Path) -> Path:
    """The files from which the wheel is built: building writes beside them."""
    rooms = ("maskline", "components", "pipeline", "trainer", "transform")
    names = ("setup.py", "pyproject.toml", "README.md", "LICENSE", *rooms)
    folder.mkdir()
    for name in names:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(
                source, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(source, folder / name)
    return folder


class Engine:
    """A job server and its worker pools.

    Args:
      folder: for logs and working folders.
      bin_folders: of the environment of each pool's workers.
      bare: the workers' environments lack our package.
      python: takes Beam's job server in Python, as where there is no Go.
    """

    def __init__(self, folder: Path, *bin_folders: Path, bare: bool = False, python: bool = False) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._processes: list[subprocess.Popen[bytes]] = []
        self.job_port = free_port()
        self.pools = Pools([self._start_pool(bin_folder, bare=bare) for bin_folder in bin_folders])
        program = None if python else prism()
        if program:
            served = [program, f"--job_port={self.job_port}", "--serve_http=false"]
        else:
            server = "apache_beam.runners.portability.local_job_service_main"
            served = [sys.executable, "-m", server, f"--port={self.job_port}"]
        self._start("job_server", [str(part) for part in served], os.environ.copy(), self.job_port)

    @property
    def settings(self) -> list[str]:
        """Options of `maskline` that name this engine, all but the shared storage."""
        values = ("engine=portable", f"job_endpoint=localhost:{self.job_port}",
                  f"environment=external:localhost:{self.pools.port}")  # fmt: skip
        return [part for value in values for part in ("--set", f"beam.{value}")]

    def _start_pool(self, bin_folder: Path, *, bare: bool) -> int:
        """Starts a pool and gives its port; `bare` is Beam's own, for workers without our package."""
        port = free_port()
        # A pool starts `python` from PATH, and not its own interpreter.
        path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
        module = ["maskline.pipeline.cli", "worker", f"--port={port}"]
        if bare:
            module = ["apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
        call = [str(bin_folder / "python"), "-m", *module]
        quiet = {"PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
        self._start(f"pool-{port}", call, environment | quiet, port)
        return port

    def workers(self) -> list[int]:
        """Process ids of the workers that the pools started."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                text = entry.read_bytes()
            except OSError:
                continue
            if b"maskline.pipeline.engines.worker" in text and str(self.folder).encode() in _cwd(
                entry.parent
            ):
                found.append(int(entry.parent.name))
        return found

    def close(self) -> None:
        """Ends all of it."""
        self.pools.close()
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _start(self, name: str, call: list[str], environment: dict[str, str], port: int) -> None:
        place = self.folder / name
        place.mkdir(exist_ok=True)
        # Into a file: a pool whose output nobody reads stops after 300 KB.
        with open(self.folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen(
                call, cwd=place, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self._processes.append(process)
        until = time.monotonic() + _START
        while not listens(port):
            assert process.poll() is None, (self.folder / f"{name}.log").read_text()[-2000:]
            assert time.monotonic() < until, f"{name} does not answer"
            time.sleep(0.1)


def _cwd(process: Path) -> bytes:
    try:
        return os.fsencode(os.readlink(process / "cwd"))
    except OSError:
        return b""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return int(free.getsockname()[1])


def listens(port: int) -> bool:
    try:
        socket.create_connection(("localhost", port), timeout=1).close()
    except OSError:
        return False
    return True
