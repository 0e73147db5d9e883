"""Beam works the same things out again with each step that it builds; here it remembers them. Imports Beam.

Of a pipeline of a few hundred steps, as TFDV's, Beam reads the signature of each method of each step some
seven times, looks as often for state and timers in each step, and reads the options a thousand times: a
third of what StatisticsGen takes on ten thousand rows. None of it changes in between.

With each step it also asks whether it is in a notebook, for which it imports all of IPython, a fifth of a
second in every node; in a notebook that is there already. And each write asks for its client of Pub/Sub,
which is imported here once.

And Beam looks from time to time which step is at work, up to every fifth of a second, and waits for the next
look at the end of a bundle. Here it looks every hundredth of a second, and waits less.
"""

import importlib
import sys
from functools import partial
from inspect import ismethod
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary

from apache_beam import pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.worker import statesampler
from apache_beam.transforms import core, userstate
from apache_beam.utils import interactive_utils

importlib.import_module("apache_beam.io.gcp.pubsub")
_LOOKS_EVERY = 10  # ms, at most

_Signature = tuple[list[str], list[Any]]
_read_signature = core.get_function_args_defaults
_signatures: WeakKeyDictionary[FunctionType, _Signature] = WeakKeyDictionary()
_is_in_ipython = interactive_utils.is_in_ipython
_Specs = tuple[set[Any], set[Any]]
_read_specs = userstate.get_dofn_specs
_specs: WeakKeyDictionary[Any, _Specs] = WeakKeyDictionary()
_Sampler = statesampler.StateSampler
_view_as = PipelineOptions.view_as
_views: WeakKeyDictionary[PipelineOptions, dict[type, PipelineOptions]] = WeakKeyDictionary()


def quicken() -> None:
    """Has Beam remember and look more often in this process, and in those forked from it."""
    core.get_function_args_defaults = signature
    userstate.get_dofn_specs = specs
    statesampler.StateSampler = partial(_Sampler, sampling_period_ms=_LOOKS_EVERY)
    PipelineOptions.view_as = view_as
    for asks in (interactive_utils, pipeline):
        asks.is_in_ipython = is_in_ipython


def is_in_ipython() -> bool:
    """As Beam's, without an import of IPython."""
    return "IPython" in sys.modules and _is_in_ipython()


def signature(function: Any) -> _Signature:
    """As Beam's `get_function_args_defaults`; what a method was asked for once is remembered."""
    known = function.__func__ if ismethod(function) else None
    if not isinstance(known, FunctionType):
        return _read_signature(function)
    if known not in _signatures:
        _signatures[known] = _read_signature(function)
    names, defaults = _signatures[known]
    return [*names], [*defaults]


def specs(step: Any) -> _Specs:
    """As Beam's `get_dofn_specs`: the state and the timers that a step asks for."""
    if type(step).__hash__ is None:  # nothing can be remembered of it
        return _read_specs(step)
    if step not in _specs:
        _specs[step] = _read_specs(step)
    states, timers = _specs[step]
    return {*states}, {*timers}


def view_as(options: PipelineOptions, kind: type[PipelineOptions]) -> PipelineOptions:
    """As `PipelineOptions.view_as`. Views of the same options share their values: one of a kind will do."""
    views = _views.setdefault(options, {})
    if kind not in views:
        views[kind] = _view_as(options, kind)
    return views[kind]
