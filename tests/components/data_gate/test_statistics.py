"""StatisticsGen reads blocks of rows, and gives what TFDV's own reader of rows gives. Real Beam."""

import numpy as np
import pytest
from google.protobuf import text_format

from maskline.components.ingest import shards
from maskline.transform.features import SequenceSpec, make_schema
from tests.support import GOOD, write_shard

pytestmark = pytest.mark.slow

SPEC = SequenceSpec()
COUNTS = {"train": 150, "eval": 40, "test": 0}


@pytest.fixture
def executed(tmp_path, monkeypatch):
    """The folders of examples and statistics."""
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
    from tfx.types import standard_artifacts

    from maskline.components.data_gate.statistics import Executor
    from maskline.pipeline.settings.engine import BeamSettings

    monkeypatch.setattr(shards, "_BLOCK", 500)  # several blocks a file
    rng = np.random.default_rng(0)
    for split, count in COUNTS.items():
        rows = [GOOD | {"defs": rng.integers(2, 20, rng.integers(1, 9)).tolist()} for _ in range(count)]
        write_shard(tmp_path / f"examples/Split-{split}/data_tfrecord-00000-of-00001.gz", rows, compress=True)
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema/schema.pbtxt").write_text(text_format.MessageToString(make_schema(SPEC)))

    def artifact(kind, name):
        made = kind()
        made.uri = str(tmp_path / name)
        return made

    examples = artifact(standard_artifacts.Examples, "examples")
    examples.split_names = '["train", "eval", "test"]'
    context = BaseBeamExecutor.Context(
        beam_pipeline_args=list(BeamSettings().args), tmp_dir=str(tmp_path / "tmp"), unique_id="1"
    )
    Executor(context).Do(
        {"examples": [examples], "schema": [artifact(standard_artifacts.Schema, "schema")]},
        {"statistics": [artifact(standard_artifacts.ExampleStatistics, "statistics")]},
        {"sequence": SPEC.model_dump_json()},
    )
    return tmp_path / "examples", tmp_path / "statistics"


def test_statistics_of_blocks_are_those_of_rows(executed):
    import tensorflow_data_validation as tfdv
    from apache_beam.options.pipeline_options import PipelineOptions

    from maskline.components.data_gate import resampling
    from maskline.components.data_gate.statistics import statistics_options
    from maskline.pipeline.settings.engine import BeamSettings

    beam = PipelineOptions(list(BeamSettings().args))
    examples, statistics = executed
    options = statistics_options(SPEC)
    options.schema = make_schema(SPEC)
    for split, count in COUNTS.items():
        ours = tfdv.load_stats_binary(f"{statistics}/Split-{split}/FeatureStats.pb")
        assert ours.datasets[0].num_examples == count
        assert (statistics / f"Split-{split}" / resampling.FILE).exists()
        if count:
            theirs = tfdv.generate_statistics_from_tfrecord(
                f"{examples}/Split-{split}/*", stats_options=options, pipeline_options=beam
            )
            assert ours == theirs
