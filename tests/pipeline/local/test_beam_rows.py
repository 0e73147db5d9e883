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
from tests.support import PATIENCE

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
