"""Debian's buildah in a storage of its own: a base image of Debian's packages, and what is built on it."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import PATIENCE, REPOSITORY, environment

BASE, IMAGE = "localhost/python:3.13", "localhost/maskline"
PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
CERTIFICATES = Path("/etc/ssl/certs")
# Where packages come from may be another place than the public one, here as in the image.
INDEXES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL")


class Builder:
    """Needs root. Containers share the host's network, and have their own files and user.

    Args:
      folder: of all that it writes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for self._driver in ("overlay", "vfs"):  # overlay copies nothing; vfs works on any file system
            began = self("from", "--name", "base", "scratch")
            mounted = self("mount", "base")
            if began.returncode == mounted.returncode == 0:
                break
        else:
            pytest.skip(f"no container can be made here: {_last(began)}; {_last(mounted)}")
        self._make_base(Path(mounted.stdout.strip()))

    def __call__(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Runs buildah."""
        store = str(self._folder / self._driver)
        command = ["buildah", "--root", store, "--runroot", f"{store}-run", "--storage-driver", self._driver]
        return subprocess.run(
            [*command, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE,
            env={**environment(), "BUILDAH_ISOLATION": "chroot", "TMPDIR": str(self._folder)},
        )  # fmt: skip

    def _make_base(self, root: Path) -> None:
        """Makes what stands for the official Python image, which no test may have to fetch."""
        made = subprocess.run(
            ["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={PACKAGES}", "trixie", root],
            capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
        if made.returncode:
            pytest.skip(f"no base image can be made here: mmdebstrap: {_last(made)}")
        (root / "usr/lib/python3.13/EXTERNALLY-MANAGED").unlink()  # pip refuses; the official image has none
        # The build has to trust whom the host trusts. Links may lead to folders that the image lacks.
        shutil.rmtree(root / "etc/ssl/certs")
        shutil.copytree(CERTIFICATES, root / "etc/ssl/certs", ignore_dangling_symlinks=True)
        started = self("run", "base", "--", "true")
        if started.returncode:
            pytest.skip(f"no container can be started here: {_last(started)}")
        for name in set(INDEXES) & set(os.environ):
            self.check("config", "--env", f"{name}={os.environ[name]}", "base")
        self.check("commit", "--rm", "base", BASE)

    def check(self, *arguments: object) -> str:
        """Runs buildah, which must succeed, and gives what it printed."""
        done = self(*arguments)
        assert done.returncode == 0, f"buildah {arguments[0]}: {done.stdout[-4000:]}{done.stderr[-4000:]}"
        return done.stdout.strip()

    def build(self, context: Path) -> "Container":
        """Builds the Dockerfile that lies in a context, and makes a container of the image."""
        self.check("bud", "--pull-never", "--layers=false", f"--build-arg=PYTHON={BASE}",
                   "--file", context / "kubeflow/Dockerfile", "--tag", IMAGE, context)  # fmt: skip
        return Container(self, self.check("from", "--pull-never", IMAGE))


class Container:
    """A container of the image.

    Args:
      builder: that built it.
      name: buildah's for it.
    """

    def __init__(self, builder: Builder, name: str) -> None:
        self._builder, self._name = builder, name
        self.root = Path(builder.check("mount", name))
        inspected = json.loads(builder.check("inspect", "--type", "image", IMAGE))
        self.config: dict[str, Any] = inspected["OCIv1"]["config"]

    def run(
        self, argv: Sequence[str], *, volumes: dict[Path, str] | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command as a pod does: the image's user, folder and environment, and what is given here."""
        options = [f"--volume={folder}:{mount}" for folder, mount in (volumes or {}).items()]
        options += [f"--env={name}={value}" for name, value in env.items()]
        return self._builder("run", *options, self._name, "--", *argv)


@contextmanager
def image_builder() -> Iterator[Builder]:
    """A builder; where none can be started the test is skipped, and says why."""
    missing = [program for program in ("buildah", "mmdebstrap") if not shutil.which(program)]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed; `make builder` installs Debian's packages")
    if os.geteuid():
        pytest.skip("an image is built as root only")
    # Not under pytest's folder, which keeps the gigabytes of the last three runs.
    folder = Path(tempfile.mkdtemp(prefix="maskline-image-"))
    try:
        yield Builder(folder)
    finally:
        remove(folder)


def remove(folder: Path) -> None:
    """Unmounts what is mounted in a folder, and removes it."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in reversed(mounts):
        if Path(mount).is_relative_to(folder):
            subprocess.run(["umount", mount], check=True)  # removing goes on only if it is gone
    shutil.rmtree(folder)


def context_of_checkout(folder: Path) -> Path:
    """Copies what git knows or would add, as it lies in the checkout: edits count, leftovers do not."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, listed):
        source = REPOSITORY / name
        if source.is_file() or source.is_symlink():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name, follow_symlinks=False)
    return folder


def _last(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[-1] if lines else f"status {done.returncode}"
