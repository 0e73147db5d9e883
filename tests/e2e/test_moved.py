"""A root that was cleaned up, moved and is reached through a link: all of it comes from the cache."""

import shutil

import pytest

from tests.conftest import Finished
from tests.support import RESOLVERS, maskline, show, states

pytestmark = pytest.mark.slow


def test_root_that_moved_runs_from_the_cache_and_is_healthy(finished: Finished, tmp_path):
    root, link = tmp_path / "elsewhere" / "root", tmp_path / "link"
    shutil.copytree(finished.root, root, symlinks=True)
    assert maskline("gc", "--keep", 1, "--root", root).returncode == 0
    root = root.rename(tmp_path / "moved")
    link.symlink_to(root)
    bars = ("--set", "release_gate.min_accuracy=0.3", "--set", "release_gate.margin=0.04")
    done = maskline("run", "--data", finished.data, "--root", tmp_path / "x" / ".." / "link", *bars)
    assert done.returncode == 0, done.stdout + done.stderr
    anew = {name for name, state in states(show(root)).items() if state != "CACHED"} - RESOLVERS
    # Only the gate asks for the margin; Pusher, which is told its verdict, finds the model live already.
    assert anew == {"ReleaseGate", "Pusher"}
    healthy = maskline("doctor", "--root", link)
    assert (healthy.stdout, healthy.returncode) == (f"{link}: healthy\n", 0)
