"""Asks an exported model as a server does: in a process that has TensorFlow and none of our packages."""

import atexit
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.faults.forks import Forks

_SERVER = """
import importlib.util, json, sys
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in str(finder)]
assert not any(importlib.util.find_spec(name) for name in ("maskline", "transform", "trainer", "pipeline"))
import tensorflow as tf
session = tf.compat.v1.Session(graph=tf.Graph())
with session.graph.as_default():
    graph = tf.compat.v1.saved_model.loader.load(session, ["serve"], sys.argv[1]).signature_def
served = tf.saved_model.load(sys.argv[1]).signatures
def plain(value):
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value.decode() if isinstance(value, bytes) else value
def in_python(signature, inputs):
    answers = served[signature](tf.constant(inputs, tf.string))
    return {name: answer.numpy() for name, answer in answers.items()}
def in_session(signature, inputs):  # restores and runs as TensorFlow Serving does
    [tensor] = graph[signature].inputs.values()
    outputs = {name: output.name for name, output in graph[signature].outputs.items()}
    return session.run(outputs, {tensor.name: inputs})
def ask(way, signature, *values):
    inputs = [v if signature.startswith("serving_text") else bytes.fromhex(v) for v in values]
    try:
        answers = {"python": in_python, "session": in_session}[way](signature, inputs)
        return {name: [plain(x) for x in answer.tolist()] for name, answer in answers.items()}
    except tf.errors.InvalidArgumentError as error:
        return str(error)
print(json.dumps([sorted(served), [ask(*question) for question in json.loads(sys.stdin.read())]]))
"""


def ask_alone(version: Path, questions: Sequence[Sequence[str]], folder: Path) -> tuple[list[str], list[Any]]:
    """The names of all signatures, and an answer, or the error as text, to each question.

    Args:
      version: the exported model.
      questions: a way (`python`, or `session` as TensorFlow Serving does), a signature, and its inputs.
      folder: where the process works; nothing of ours is there.
    """
    script = folder / "ask_alone.py"
    script.write_text(_SERVER)
    done = _with_tensorflow().run([str(script), str(version)], cwd=folder, given=json.dumps(questions))
    assert done.returncode == 0, done.stderr
    names, answers = json.loads(done.stdout)
    return names, answers


@cache
def _with_tensorflow() -> Forks:
    forks = Forks("tensorflow", isolated=True)
    atexit.register(forks.close)
    return forks
