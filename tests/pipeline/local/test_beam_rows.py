"""Rows that Beam has read, while it reads them. The real runner, the real statistics."""

import threading

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import python_urns
from apache_beam.runners.portability.fn_api_runner.worker_handlers import WorkerHandler

from maskline.components.ingest.framed import rows_counter
from maskline.pipeline.local import beam_rows
from maskline.pipeline.local.beam_rows import BeamRows
from maskline.pipeline.settings.engine import BeamSettings
from tests.support import GOOD, PATIENCE, write_shard

SEEN: dict[int, threading.Event] = {}  # by number of rows; Beam pickles what a step holds


@pytest.fixture
def counted(monkeypatch):
    """What is told from now on, in order."""
    found = []
    environment = python_urns.EMBEDDED_PYTHON
    monkeypatch.setitem(
        WorkerHandler._registered_environments,
        environment,
        WorkerHandler._registered_environments[environment],
    )

    def tell(rows):
        found.append(rows)
        for number, event in SEEN.items():
            if rows >= number:
                event.set()

    BeamRows(tell)
    return found


class Reads(beam.DoFn):
    """Counts, and goes on when that was seen."""

    def process(self, rows):
        rows_counter().inc(rows)
        assert SEEN[100].wait(PATIENCE)
        rows_counter().inc(50)
        yield rows


def test_rows_are_told_while_a_step_still_reads(counted):
    SEEN.clear()
    SEEN.update({100: threading.Event(), 150: threading.Event()})
    with beam.Pipeline(options=PipelineOptions(list(BeamSettings().args))) as pipeline:
        _ = pipeline | beam.Create([100]) | beam.ParDo(Reads())
    assert SEEN[150].wait(PATIENCE)
    assert counted == [100, 150]


def test_a_look_that_fails_is_not_the_last(counted, monkeypatch):
    looks, real = [], beam_rows._so_far

    def fails_once(*asked):
        looks.append(asked)
        if len(looks) == 1:
            raise RuntimeError("dictionary changed size during iteration")
        return real(*asked)

    monkeypatch.setattr(beam_rows, "_so_far", fails_once)
    SEEN.clear()
    SEEN.update({100: threading.Event(), 150: threading.Event()})
    with beam.Pipeline(options=PipelineOptions(list(BeamSettings().args))) as pipeline:
        _ = pipeline | beam.Create([100]) | beam.ParDo(Reads())
    assert SEEN[150].wait(PATIENCE)
    assert looks


@pytest.mark.slow
def test_rows_of_tfx_s_statistics_are_counted_by_tfx_s_own_counter(counted, tmp_path):
    from tfx.components.statistics_gen.executor import Executor
    from tfx.components.util import examples_utils
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
    from tfx.proto import example_gen_pb2
    from tfx.types import standard_artifacts

    SEEN.clear()
    SEEN[30] = threading.Event()
    examples, statistics = standard_artifacts.Examples(), standard_artifacts.ExampleStatistics()
    examples.uri, statistics.uri = str(tmp_path / "rows"), str(tmp_path / "statistics")
    examples.split_names = '["train", "eval"]'
    examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
    examples_utils.set_file_format(examples, "tfrecords_gzip")
    for split, rows in (("train", 20), ("eval", 10)):
        write_shard(tmp_path / f"rows/Split-{split}/a.gz", [GOOD] * rows, compress=True)
    context = BaseBeamExecutor.Context(
        beam_pipeline_args=list(BeamSettings().args), tmp_dir=str(tmp_path / "tmp"), unique_id="1"
    )
    Executor(context).Do({"examples": [examples]}, {"statistics": [statistics]}, {})
    assert SEEN[30].wait(PATIENCE)
    assert counted[-1] == 30
