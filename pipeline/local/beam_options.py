"""Holds Beam's options against Beam's own parser before anything runs. Imports Beam."""

import argparse
import difflib
from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions

from maskline.transform.errors import InputError
from maskline.transform.shown import shown

# Runners of this process. Others take options that only their job server knows.
_LOCAL = ("BundleBasedDirectRunner", "DirectRunner", "FnApiRunner", "SwitchingDirectRunner")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise InputError(f"beam.args: {message}")


def check_beam_options(args: Sequence[str]) -> None:
    """Refuses options that Beam would ignore or stop at.

    Args:
      args: such as `--runner=FnApiRunner`.

    Raises:
      InputError: an option has a wrong value, or a runner of this process does not know it.
    """
    parser = _Parser(prog="beam", add_help=False, allow_abbrev=False)
    for options in _all(PipelineOptions):
        options._add_argparse_args(parser)
    known, unknown = parser.parse_known_args(list(args))
    if unknown and known.runner in (None, *_LOCAL):
        name = unknown[0].partition("=")[0]
        near = difflib.get_close_matches(name, list(parser._option_string_actions), n=1)
        advice = f"did you mean {near[0]}?" if near else "remove it"
        raise InputError(f"beam.args: Beam has no option {shown(name)}; {advice}")


def _all(base: type[PipelineOptions]) -> list[type[PipelineOptions]]:
    """The classes that add options, as `PipelineOptions` itself collects them."""
    return sorted(
        (cls for cls in base.__subclasses__() if "_add_argparse_args" in vars(cls)),
        key=lambda cls: cls.__name__,
    )
