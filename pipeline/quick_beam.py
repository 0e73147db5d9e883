"""Beam works the same things out again with each step that it builds; here it remembers them. Imports Beam.

Of a pipeline of a few hundred steps, as TFDV's, Beam reads the signature of each method of each step some
seven times, and the options a thousand times: a third of what StatisticsGen takes on ten thousand rows.
Neither changes in between. With each step it also asks whether it is in a notebook, for which it imports all
of IPython, a fifth of a second in every node; in a notebook that is there already.
"""

import sys
from inspect import ismethod
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary

from apache_beam import pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms import core
from apache_beam.utils import interactive_utils

_Signature = tuple[list[str], list[Any]]
_read_signature = core.get_function_args_defaults
_signatures: WeakKeyDictionary[FunctionType, _Signature] = WeakKeyDictionary()
_is_in_ipython = interactive_utils.is_in_ipython
_view_as = PipelineOptions.view_as
_views: WeakKeyDictionary[PipelineOptions, dict[type, PipelineOptions]] = WeakKeyDictionary()


def quicken() -> None:
    """Has Beam remember signatures and views of options in this process, and in those forked from it."""
    core.get_function_args_defaults = signature
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


def view_as(options: PipelineOptions, kind: type[PipelineOptions]) -> PipelineOptions:
    """As `PipelineOptions.view_as`. Views of the same options share their values: one of a kind will do."""
    views = _views.setdefault(options, {})
    if kind not in views:
        views[kind] = _view_as(options, kind)
    return views[kind]
