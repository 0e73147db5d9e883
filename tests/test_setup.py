"""What leaves the repository: the archive that Beam's --setup_file sends to its workers."""

import subprocess
import sys
import tarfile

from tests.support import REPOSITORY, environment

ROOMS = {"components", "pipeline", "trainer", "transform"}


def test_archive_for_workers_holds_every_room(tmp_path):
    subprocess.run(
        [sys.executable, "setup.py", "-q", "egg_info", "-e", tmp_path, "sdist", "--dist-dir", tmp_path],
        cwd=REPOSITORY, check=True, env=environment(), capture_output=True,
    )  # fmt: skip
    [archive] = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "worker", filter="data")
    [folder] = (tmp_path / "worker").iterdir()
    source = {p.relative_to(REPOSITORY) for room in ROOMS for p in (REPOSITORY / room).glob("*.p*")}
    packed = {p.relative_to(folder) for room in ROOMS for p in (folder / room).glob("*.p*")}
    assert packed == source
    assert not (folder / "PKG-INFO").read_text().count("Requires-Dist")
