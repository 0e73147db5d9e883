"""What Beam is told from memory is what it would have read itself."""

import subprocess
import sys
from dataclasses import dataclass

import apache_beam as beam
import pytest
from apache_beam.coders import VarIntCoder
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions, TypeOptions
from apache_beam.runners.worker import statesampler
from apache_beam.transforms import core, userstate
from apache_beam.utils import interactive_utils
from apache_beam.utils.counters import CounterFactory

from maskline.pipeline import quick_beam
from tests.support import REPOSITORY, environment


class Counts(beam.DoFn):
    SO_FAR = beam.DoFn.StateParam(userstate.ReadModifyWriteStateSpec("so far", VarIntCoder()))

    def process(self, element, so_far=SO_FAR, window=beam.DoFn.WindowParam):
        yield element


class OtherCounts(Counts):
    def process(self, element, *more, named=1):
        yield element

    def finish_bundle(self):
        yield None


@dataclass
class Compared(Counts):
    """Cannot be a key."""

    by: int


@pytest.fixture
def remembers(monkeypatch):
    monkeypatch.setattr(core, "get_function_args_defaults", core.get_function_args_defaults)
    monkeypatch.setattr(PipelineOptions, "view_as", PipelineOptions.view_as)
    for asks in (interactive_utils, beam.pipeline):
        monkeypatch.setattr(asks, "is_in_ipython", asks.is_in_ipython)
    monkeypatch.setattr(userstate, "get_dofn_specs", userstate.get_dofn_specs)
    monkeypatch.setattr(statesampler, "StateSampler", statesampler.StateSampler)
    quick_beam.quicken()


@pytest.mark.parametrize("made", [Counts(), OtherCounts(), beam.Map(len).dofn, beam.CombineValues(sum)])
def test_signatures_are_those_that_beam_reads(remembers, made):
    for name in dir(made):
        method = getattr(made, name)
        if callable(method) and not name.startswith("__"):
            read = quick_beam._read_signature(method)
            for _ in range(2):
                told = core.get_function_args_defaults(method)
                assert told == read
                told[0].append("no business of others")


def test_steps_with_state_are_known_by_it(remembers):
    for _ in range(2):
        assert userstate.is_stateful_dofn(Counts())
        assert not userstate.is_stateful_dofn(OtherCounts())


@pytest.mark.parametrize("made", [Counts(), OtherCounts(), Compared(1)])
def test_state_and_timers_are_those_that_beam_finds(remembers, made):
    for _ in range(2):
        states, timers = userstate.get_dofn_specs(made)
        assert (states, timers) == quick_beam._read_specs(made)
        states.add("no business of others")


def test_beam_looks_in_a_step_for_state_once(remembers, monkeypatch):
    asked = []
    monkeypatch.setattr(quick_beam, "_read_specs", lambda step: asked.append(step) or (set(), set()))
    made = Counts(), OtherCounts()
    for step in made * 2:
        userstate.is_stateful_dofn(step)
    assert asked == [*made]


def test_a_bundle_does_not_wait_for_beam_to_look_at_it(remembers):
    assert statesampler.StateSampler("stage", CounterFactory()).sampling_period_ms == 10


def test_a_signature_is_read_once(remembers, monkeypatch):
    class Passes(beam.DoFn):
        def process(self, element):
            yield element

    asked = []
    monkeypatch.setattr(quick_beam, "_read_signature", lambda function: asked.append(function) or ([], []))
    for made in (Passes(), Passes()):
        core.get_function_args_defaults(made.process)
    assert len(asked) == 1


def test_views_of_options_share_their_values(remembers):
    options = PipelineOptions(["--streaming"])
    standard = options.view_as(StandardOptions)
    assert standard is options.view_as(StandardOptions)
    assert standard.streaming
    standard.runner = "here"
    options.view_as(TypeOptions).view_as(StandardOptions).streaming = False
    assert not standard.streaming
    assert options.view_as(StandardOptions).runner == "here"
    assert options.get_all_options()["runner"] == "here"
    assert PipelineOptions([]).view_as(StandardOptions).runner is None


def test_a_pipeline_gives_the_same_and_counts(remembers):
    with beam.Pipeline() as pipeline:
        rows = pipeline | beam.Create([("a", 1), ("b", 2), ("a", 3)])
        _ = rows | beam.CombinePerKey(sum) | beam.combiners.ToList() | beam.Map(_same, [("a", 4), ("b", 2)])


def test_a_notebook_is_known_where_there_is_one(remembers, monkeypatch):
    import IPython

    assert not beam.pipeline.is_in_ipython()
    monkeypatch.setattr(IPython, "get_ipython", lambda: "a shell")
    assert beam.pipeline.is_in_ipython()


def test_a_pipeline_does_not_import_ipython():
    script = """
import sys
from maskline.pipeline.imports import lean_imports
with lean_imports():
    import apache_beam as beam
    from maskline.pipeline import quick_beam
quick_beam.quicken()
with beam.Pipeline(runner="FnApiRunner") as pipeline:
    pipeline | beam.Create([1])
sys.exit("IPython" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, env=environment(), check=True)


def _same(found, expected):
    assert sorted(found) == expected
