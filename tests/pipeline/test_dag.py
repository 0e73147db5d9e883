"""The pipeline as it is built: what each node is given. Nothing runs."""

import json

import pytest

from maskline.pipeline.settings.load import load
from maskline.trainer.recipe import TrainingRecipe
from maskline.transform.names import CHECKPOINTS, RECIPE, Node

pytestmark = pytest.mark.slow  # imports TFX


def built(root, *overrides, **options):
    from maskline.pipeline.dag import create_pipeline

    config = load(None, list(overrides), root=root, data=root)
    return {node.id: node for node in create_pipeline(config, schema_file="schema", **options).components}


def recipe_of(nodes):
    given = json.loads(nodes[Node.TRAINER].exec_properties["custom_config"])
    return given, TrainingRecipe.model_validate_json(given[RECIPE])


def test_nodes_stand_in_the_order_in_which_data_flow(tmp_path):
    assert list(built(tmp_path)) == [
        Node.EXAMPLE_GEN, Node.SCHEMA, Node.STATISTICS_GEN, Node.EXAMPLE_VALIDATOR, Node.PREVIOUS_SPAN,
        Node.DATA_GATE, Node.ACCEPTED, Node.TRANSFORM, Node.TRAINER, Node.LIVE_MODEL, Node.MODEL_CHECKS,
        Node.EVALUATOR, Node.RELEASE_GATE, Node.PUSHER,
    ]  # fmt: skip


def test_transform_need_not_wait_for_the_gate_but_with_a_window(tmp_path):
    nodes = built(tmp_path, ahead=True)
    assert list(nodes)[2:4] == [Node.STATISTICS_GEN, Node.TRANSFORM]
    needed = {node: {other.id for other in nodes[node].upstream_nodes} for node in nodes}
    assert needed[Node.TRANSFORM] == {Node.EXAMPLE_GEN, Node.SCHEMA}
    assert Node.ACCEPTED in needed[Node.TRAINER]
    assert Node.ACCEPTED in {n.id for n in built(tmp_path)[Node.TRANSFORM].upstream_nodes}
    behind = built(tmp_path, ahead=True, window=[1, 2])
    assert list(behind)[6:10] == [Node.ACCEPTED, Node.WINDOW, Node.TRANSFORM, Node.TRAINER]


def test_ingest_alone_ends_at_the_gate(tmp_path):
    assert list(built(tmp_path, only_ingest=True))[-1] == Node.DATA_GATE


def test_window_and_base_model_stand_before_what_reads_them(tmp_path):
    nodes = list(built(tmp_path, "training.warm_start=true", window=[1, 2]))
    assert nodes[7:11] == [Node.WINDOW, Node.TRANSFORM, Node.BASE_MODEL, Node.TRAINER]


def test_what_does_not_change_a_model_does_not_change_its_identity(tmp_path):
    rows = {"train": "a", "held_out": "b"}
    given, recipe = recipe_of(built(tmp_path / "one"))
    moved, other = recipe_of(built(tmp_path / "two", "evaluation.min_accuracy=0.1", "beam.args=[]"))
    assert given[CHECKPOINTS] != moved[CHECKPOINTS]
    assert recipe.identity(**rows) == other.identity(**rows)
    _, seeded = recipe_of(built(tmp_path / "one", "training.seed=1"))
    assert seeded.identity(**rows) != recipe.identity(**rows)
