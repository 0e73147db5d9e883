"""Beam works the same things out again with each step that it builds; here it remembers them. Imports Beam.

Of a pipeline of a few hundred steps, as TFDV's, Beam reads the signature of each method of each step some
seven times, and the options a thousand times: a third of what StatisticsGen takes on ten thousand rows.
Neither changes in between.
"""

from inspect import ismethod
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms import core

_Signature = tuple[list[str], list[Any]]
_read_signature = core.get_function_args_defaults
_signatures: WeakKeyDictionary[FunctionType, _Signature] = WeakKeyDictionary()
_view_as = PipelineOptions.view_as
_views: WeakKeyDictionary[PipelineOptions, dict[type, PipelineOptions]] = WeakKeyDictionary()


def quicken() -> None:
    """Has Beam remember signatures and views of options in this process, and in those forked from it."""
    core.get_function_args_defaults = signature
    PipelineOptions.view_as = view_as


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
