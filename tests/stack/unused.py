"""Runs a command and lists the locked packages of which it, and all that it started, read no module.

Usage: python -m tests.stack.unused COMMAND…

Nodes run in forked processes, which would have to be asked for `sys.modules` before they end, and it holds
modules that are deferred, too. Python's audit hook sees what each process reads. Nothing here is a test.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

from maskline.pipeline.fingerprint import chosen_stack
from tests.stack.locked import locked

# Python calls it in each process before anything else; every path is told once a process.
_HOOK = """
import os, sys
packages, told = os.environ["TOLD_PACKAGES"] + os.sep, set()
out = os.open(os.environ["TOLD_FILE"], os.O_WRONLY | os.O_APPEND)
def hook(event, given):
    path = given[0] if event == "open" and given else given[1] if event == "import" else None
    if isinstance(path, str) and path.startswith(packages) and path not in told:
        if path.endswith((".py", ".pyc", ".so")):
            told.add(path)
            os.write(out, (path + os.linesep).encode())
sys.addaudithook(hook)
"""


def opened(command: Sequence[str]) -> set[str]:
    """The modules of the environment that a command reads, as paths below `site-packages`."""
    packages = sysconfig.get_paths()["purelib"]
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "told")
        told.touch()
        Path(folder, "sitecustomize.py").write_text(_HOOK)
        given = {"PYTHONPATH": folder, "TOLD_PACKAGES": packages, "TOLD_FILE": str(told)}
        subprocess.run(command, check=True, env=os.environ | given)
        # Bytecode lies beside its source.
        return {_source(line.removeprefix(packages + os.sep)) for line in told.read_text().splitlines()}


def _source(path: str) -> str:
    if not path.endswith(".pyc"):
        return path
    found = Path(path)
    return str(found.parent.parent / f"{found.name.split('.')[0]}.py")


def of_packages(paths: set[str]) -> set[str]:
    """Which packages the files are of, by normalized name."""
    return {
        canonicalize_name(found.metadata["Name"])
        for found in metadata.distributions()
        if any(str(file) in paths for file in found.files or ())
    }


def main(command: Sequence[str]) -> None:
    """Prints each package that was not read, its size, and who asks for it."""
    used = of_packages(opened(command))
    for package in locked(chosen_stack()):
        if package.name not in used:
            files = [Path(str(file.locate())) for file in metadata.files(package.name) or ()]
            size = sum(file.stat().st_size for file in files if file.exists())
            print(f"{package.name}\t{size / 1e6:.1f} MB\t{', '.join(package.asked_by) or 'we'}")


if __name__ == "__main__":
    main(sys.argv[1:])
