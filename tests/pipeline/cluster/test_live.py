"""On a cluster too, nothing is released past a live model that is damaged or gone. No store, no pods."""

import os
import shutil

import pytest
from google.protobuf import json_format
from tfx.proto.orchestration import pipeline_pb2

from maskline.components.pusher import serving
from maskline.components.release_gate.unknown_live import UnknownLive
from maskline.pipeline.cluster.node import bind
from tests.components.pusher.test_serving import saved_model


@pytest.fixture
def folder(tmp_path):
    """A serving directory with two versions."""
    folder = tmp_path / "serving" / "maskline"
    for name in ("first", "second"):
        serving.publish(saved_model(tmp_path / name, name), folder, why="blessed")
    return folder


def bound(folder, node):
    """The text of `unknown_live` of a node that is about to run, in a pipeline with the gate and Pusher."""
    pipeline = pipeline_pb2.Pipeline()
    for name, key, value in (("ReleaseGate", "unknown_live", ""), ("Pusher", "serving_dir", str(folder))):
        made = pipeline.nodes.add().pipeline_node
        made.node_info.id = name
        made.parameters.parameters[key].field_value.string_value = value
    _, found = bind(json_format.MessageToJson(pipeline), node, "a run", [])
    return found.parameters.parameters["unknown_live"].field_value.string_value


def test_gate_is_told_nothing_where_the_live_version_is_whole(folder):
    assert bound(folder, "ReleaseGate") == ""


@pytest.mark.parametrize("damage", ["truncated", "gone"])
def test_gate_is_told_of_a_live_version_that_cannot_be_compared_with(folder, damage):
    if damage == "truncated":
        os.truncate(folder / "2" / "saved_model.pb", 1)
    else:
        shutil.rmtree(folder / "2")
    unknown = UnknownLive.model_validate_json(bound(folder, "ReleaseGate"))
    assert unknown.problem.startswith(f"{folder / '2'}: ")
    assert unknown.way_on.endswith("`maskline rollback --metadata URL` makes version 1 live again")
    assert not unknown.accepted
    assert bound(folder, "Pusher") == ""
