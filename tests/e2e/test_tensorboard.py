"""TensorBoard on a finished root: named trainings, and a graph that it can draw."""

import json
import signal
import socket
import subprocess
import time
import urllib.request

import pytest

from tests.support import REPOSITORY, command, environment, maskline

pytestmark = pytest.mark.slow


def ask(address, what):
    with urllib.request.urlopen(address + what, timeout=60) as answer:
        return json.load(answer)


def until_there(address, what):
    """What TensorBoard answers when it has read the logs, which it does by and by."""
    until = time.monotonic() + 600
    while not (found := ask(address, what)) and time.monotonic() < until:
        time.sleep(0.5)
    return found


def test_trainings_have_readable_names_and_a_graph(finished):
    options = command("tensorboard", "--root", finished.root, "--port", 0)
    with subprocess.Popen(
        options, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        try:
            words, address = process.stdout.readline().split(" at ")
            assert words == "1 trainings"
            names = until_there(address.strip(), "data/runs")
            [run] = {name.rsplit("/", 1)[0] for name in names}
            assert run.endswith(" released 1")
            assert {name.rsplit("/", 1)[1] for name in names} == {"train", "validation"}
            assert until_there(address.strip(), "data/plugin/graphs/info")[f"{run}/train"]
        finally:
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=600)
    assert (process.returncode, out, err) == (130, "", "interrupted by SIGINT\n")


def test_port_that_is_taken_is_one_line(finished):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = maskline("tensorboard", "--root", finished.root, "--host", "127.0.0.1", "--port", port)
    assert (done.returncode, done.stdout) == (2, "")
    assert str(port) in done.stderr
    assert done.stderr.count("\n") == 1
