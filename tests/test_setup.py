"""What leaves the repository: the wheel, and the archive that Beam's --setup_file sends to its workers."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from tests.support import REPOSITORY, environment

ROOMS = ("components", "pipeline", "trainer", "transform")
# A script that runs where none of our packages are; it begins with a check for that.
NO_MODULES = {"maskline.components.model_checks.probe"}
# TFX first: it stands in for a module of tfx-bsl that TensorFlow Data Validation looks for.
IMPORT = """
import importlib, sys
import tfx.v1
installed, *names = sys.argv[1:]
for name in names:
    module = importlib.import_module(name)
    assert module.__file__.startswith(installed), module.__file__
"""


def sources() -> set[Path]:
    """Every file of a room, at any depth, under its name in the package."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *ROOMS],
        cwd=REPOSITORY, check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    there = {name for name in listed if (REPOSITORY / name).is_file()}
    return {Path("maskline", name) for name in there} | {Path("maskline/__init__.py")}


def packed(folder: Path) -> set[Path]:
    found = (path for path in folder.glob("maskline/**/*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(folder) for path in found}


def test_wheel_holds_every_module_and_each_can_be_imported_from_it(tmp_path):
    subprocess.run(
        [sys.executable, "setup.py", "-q", "egg_info", "-e", tmp_path,
         "build", "--build-base", tmp_path / "build",  # a checkout's own build/ may hold what is gone
         "bdist_wheel", "--dist-dir", tmp_path],
        cwd=REPOSITORY, check=True, env=environment(), capture_output=True,
    )  # fmt: skip
    [wheel] = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    assert {path.name for path in installed.iterdir() if path.suffix != ".dist-info"} == {"maskline"}
    assert packed(installed) == sources()
    modules = {".".join(path.with_suffix("").parts).removesuffix(".__init__")
               for path in packed(installed) if path.suffix == ".py"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, str(installed), *sorted(modules - NO_MODULES)],
        cwd=tmp_path, env=environment() | {"PYTHONPATH": str(installed)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_archive_for_workers_holds_every_module(tmp_path):
    subprocess.run(
        [sys.executable, "setup.py", "-q", "egg_info", "-e", tmp_path, "sdist", "--dist-dir", tmp_path],
        cwd=REPOSITORY, check=True, env=environment(), capture_output=True,
    )  # fmt: skip
    [archive] = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "worker", filter="data")
    [folder] = (tmp_path / "worker").iterdir()
    assert packed(folder) == sources()
    assert not (folder / "PKG-INFO").read_text().count("Requires-Dist")
