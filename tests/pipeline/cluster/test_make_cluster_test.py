"""`make cluster-test` without what it needs: one line, exit status 2. With it, CI runs nothing."""

import os
import stat
import subprocess
import sys

import pytest

from tests.support import PATIENCE, REPOSITORY, environment


def told(tmp_path, kubectl, **env):
    """What it says, with a kubectl that answers as the text says."""
    program = tmp_path / "kubectl"
    program.write_text(f"#!/bin/sh\n{kubectl}\n")
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    done = subprocess.run(
        [sys.executable, "-m", "tests.cluster"], cwd=REPOSITORY, capture_output=True, text=True,
        timeout=PATIENCE, env=environment() | {"PATH": f"{tmp_path}:{os.environ['PATH']}", **env},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    [line] = done.stderr.splitlines()
    return line.removeprefix("make cluster-test: ")


@pytest.mark.parametrize(
    ("kubectl", "words"),
    [
        ("echo The connection was refused >&2; exit 1",
         "no cluster answers; set KUBECONFIG to one (kubectl get: The connection was refused)"),
        ('test "$2" = --raw || exit 0',
         "no Kubeflow Pipelines in namespace kubeflow, which has no service ml-pipeline; install it, or set "
         "KFP_NAMESPACE"),
        ("echo service/ml-pipeline",
         "set IMAGE to an image of this checkout by digest, or REGISTRY to a registry that this machine may "
         "push to and the cluster may pull from"),
    ],
    ids=["cluster", "pipelines", "image"],
)  # fmt: skip
def test_what_is_missing_is_one_line(tmp_path, kubectl, words):
    assert told(tmp_path, kubectl) == words
