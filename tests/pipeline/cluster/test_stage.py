"""Nodes that share a pod: in turn, until one does not end well."""

import os
import signal
import subprocess
import sys

import pytest

from maskline.pipeline.cluster.stage import run_in_turn
from tests.support import PATIENCE, REPOSITORY, environment


def test_nodes_run_in_turn_until_one_does_not_end_well(tmp_path):
    def run(node):
        (tmp_path / "ran").open("a").write(f"{node} {os.getpid()}\n")
        return {"b": 3}.get(node, 0)

    assert run_in_turn(["a", "b", "c"], run) == ("b", 3)
    ran = dict(line.split() for line in (tmp_path / "ran").read_text().splitlines())
    assert list(ran) == ["a", "b"]
    assert len({*ran.values(), str(os.getpid())}) == 3, "each in a process of its own"
    assert run_in_turn(["a", "c"], run) == ("c", 0)


def test_node_that_was_killed_is_named_with_the_signal():
    def run(_):
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    assert run_in_turn(["a"], run) == ("a", -signal.SIGKILL)


WAITS = """
import os, signal, sys, time
from maskline.pipeline.cluster.stage import run_in_turn

def run(node):
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    print("waits", flush=True)
    time.sleep(600)

sys.exit(run_in_turn(["a", "b"], run)[1])
"""


# As if the process had been put aside right after the fork, which a busy machine does.
SLOW_FORK = """
fork = os.fork

def slow_fork():
    child = fork()
    if child:
        time.sleep(1)
    return child

os.fork = slow_fork
"""


@pytest.mark.parametrize("before", ["", SLOW_FORK], ids=["at work", "just forked"])
def test_sigterm_reaches_the_node_that_works(before):
    program = WAITS.replace("sys.exit", before + "\nsys.exit")
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment(), cwd=REPOSITORY
    )
    assert process.stdout.readline() == "waits\n"
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (143, "")
