"""Transform in blocks writes the rows and the graph that TFX's own Transform writes. Real Beam."""

import json
from collections import Counter

import numpy as np
import pytest
from google.protobuf import text_format

from maskline.components.ingest import shards
from maskline.components.ingest.shards import read_shard
from maskline.transform import stored
from maskline.transform.features import SequenceSpec, make_schema
from tests.support import GOOD, example, write_shard

pytestmark = pytest.mark.slow

SPEC = SequenceSpec()


@pytest.fixture
def transform(tmp_path, monkeypatch):
    """Two ingests; gives what an executor makes of them."""
    from tfx.components.util import examples_utils
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
    from tfx.proto import example_gen_pb2
    from tfx.types import standard_artifacts

    from maskline.pipeline.settings.engine import BeamSettings

    monkeypatch.setattr(shards, "_BLOCK", 500)  # several blocks a file
    rng = np.random.default_rng(0)
    rows = [GOOD | {"defs": rng.integers(2, 20, rng.integers(1, 9)).tolist()} for _ in range(90)]
    for ingest, split, part in (("a", "train", rows[:40]), ("a", "eval", rows[40:50]),
                                ("b", "train", rows[50:80]), ("b", "eval", rows[80:])):  # fmt: skip
        write_shard(tmp_path / ingest / f"Split-{split}/data_tfrecord-00000-of-00001.gz", part, compress=True)
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema/schema.pbtxt").write_text(text_format.MessageToString(make_schema(SPEC)))

    def artifact(kind, name):
        made = kind()
        made.uri = str(tmp_path / name)
        return made

    def ingested(name):
        examples = artifact(standard_artifacts.Examples, name)
        examples.split_names = '["train", "eval"]'
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(examples, "tfrecords_gzip")
        return examples

    def run(executor, name):
        context = BaseBeamExecutor.Context(
            beam_pipeline_args=list(BeamSettings().args), tmp_dir=str(tmp_path / "tmp"), unique_id="1"
        )
        outputs = {
            "transform_graph": [artifact(standard_artifacts.TransformGraph, f"{name}/graph")],
            "transformed_examples": [artifact(standard_artifacts.Examples, f"{name}/rows")],
        }
        executor(context).Do(
            {
                "examples": [ingested("a"), ingested("b")],
                "schema": [artifact(standard_artifacts.Schema, "schema")],
            },
            outputs,
            {
                "preprocessing_fn": "maskline.transform.preprocessing.preprocessing_fn",
                "custom_config": json.dumps({"sequence": SPEC.model_dump(mode="json")}),
                "disable_statistics": 1,
            },
        )
        # TFX takes the names from a set, so their order differs between processes.
        assert all(
            sorted(json.loads(written.split_names)) == ["eval", "train"]
            for written in outputs["transformed_examples"]
        )
        found = {}
        for file in (tmp_path / name / "rows").rglob("*-of-*"):
            stock = (parsed(record.data) for record in read_shard(str(file)))
            rows = stock if file.suffix == ".gz" else ours(file)
            found.setdefault(file.relative_to(tmp_path / name).parent, Counter()).update(rows)
        return found

    return run


def parsed(data):
    import tensorflow as tf

    features = tf.train.Example.FromString(data).features.feature
    return tuple((name, *features[name].int64_list.value) for name in sorted(features))


def ours(file):
    for block in stored.blocks(str(file)):
        names = sorted(block)
        for row in zip(*(block[name].tolist() for name in names), strict=True):
            yield tuple((name, *values) for name, values in zip(names, row, strict=True))


def test_rows_and_graph_are_those_of_tfx(transform, tmp_path):
    import tensorflow as tf
    import tensorflow_transform as tft
    from tfx.components.transform.executor import Executor as Stock

    from maskline.components.transform import Executor

    made, stock = transform(Executor, "ours"), transform(Stock, "stock")
    assert made == stock
    assert sorted(sum(rows.values()) for rows in made.values()) == [10, 10, 30, 40]
    graphs = [tft.TFTransformOutput(str(tmp_path / name / "graph")) for name in ("ours", "stock")]
    assert graphs[0].transformed_metadata.schema == graphs[1].transformed_metadata.schema
    assert graphs[0].raw_feature_spec() == graphs[1].raw_feature_spec()
    asked = tf.io.parse_example(tf.constant([example(**GOOD)]), graphs[0].raw_feature_spec())
    first, second = (graph.transform_features_layer()(asked) for graph in graphs)
    assert {name: value.numpy().tolist() for name, value in first.items()} == {
        name: value.numpy().tolist() for name, value in second.items()
    }


def test_no_row_is_read_to_make_the_graph(transform, monkeypatch):
    from tfx.components.transform import executor

    from maskline.components import transform as ours

    read = []
    monkeypatch.setattr(ours, "read_blocks", lambda file: read.append(file) or shards.read_blocks(file))
    monkeypatch.setattr(executor.TransformProcessor, "_RunBeamImpl", None)  # TFX's, which reads for itself
    transform(ours.Executor, "ours")
    assert len(read) == len(set(read)) == 4
