"""Which files a command looks at, as the kernel saw: damage to others cannot change what it does."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

# As in: openat(AT_FDCWD</home>, "root/serving", O_RDONLY|O_DIRECTORY) = 3</home/root/serving>
_CALL = re.compile(r'\((?:[\w]+<(?P<base>[^>]*)>, )?"(?P<path>[^"]*)"(?P<rest>.*)')


class Looks(NamedTuple):
    """What a command looked at: the paths of its system calls, and the folders that it listed."""

    paths: frozenset[str]
    listed: frozenset[str]

    def at(self, path: Path) -> bool:
        """Whether it looked at a file or folder, into it, or at the list in which it stands."""
        name = str(path)
        return str(path.parent) in self.listed or any(
            seen == name or seen.startswith(f"{name}/") for seen in self.paths
        )


def looks(folder: Path, arguments: tuple[str, ...]) -> Looks | None:
    """Runs a command in `folder` under strace; None where there is none."""
    if not shutil.which("strace"):
        return None
    trace = folder / "trace.txt"
    command = "import sys; sys.argv[0] = 'maskline'; from maskline.pipeline.cli import main; main()"
    subprocess.run(
        ["strace", "-f", "-y", "-qq", "-s", "4096", "-e", "trace=%file", "-o", trace,
         sys.executable, "-c", command, *arguments],
        cwd=folder, capture_output=True, check=False,
    )  # fmt: skip
    paths, listed = set(), set()
    for line in trace.read_text(encoding="utf-8", errors="replace").splitlines():
        if not (call := _CALL.search(line)):
            continue
        # A call that names no folder may mean either of those in which commands work.
        for base in [call["base"]] if call["base"] else [str(folder), str(folder / "root")]:
            path = os.path.normpath(os.path.join(base, call["path"]))
            if not path.startswith(f"{folder}/"):
                continue
            paths.add(path)
            if "O_DIRECTORY" in call["rest"]:
                listed.add(path)
    return Looks(frozenset(paths), frozenset(listed))
