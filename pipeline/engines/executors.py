"""Runs TFX's Beam executors on an engine: workers get absolute paths; their errors become words."""

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attr
from tfx import types
from tfx.orchestration.portable.beam_executor_operator import BeamExecutorOperator
from tfx.orchestration.portable.data_types import ExecutionInfo
from tfx.proto.orchestration import executable_spec_pb2
from tfx.proto.orchestration.execution_result_pb2 import ExecutorOutput

from maskline.pipeline.cluster.store import change_strings
from maskline.pipeline.engines.check import engine_error

_ELSEWHERE = ("--runner=PortableRunner", "--runner=DataflowRunner")


class BeamOnEngine(BeamExecutorOperator):
    """TFX's operator for executors on Beam. On this machine it is TFX's own, unchanged.

    A run's nodes work in the root and know it as `.`, so that the store holds no path to it. Workers of an
    engine work elsewhere.
    """

    def run_executor(self, execution_info: ExecutionInfo, *more: Any) -> ExecutorOutput:
        """Runs the executor.

        Raises:
          InputError: a worker raised it.
          RunError: the job failed; the text is the last line of its error.
        """
        if not any(runner in str(argument) for argument in self.beam_pipeline_args for runner in _ELSEWHERE):
            return super().run_executor(execution_info, *more)
        here = f"{Path.cwd()}{os.sep}"
        try:
            output = super().run_executor(_whole(execution_info), *more)
        except Exception as error:
            if words := engine_error(error):
                raise words from error
            raise
        change_strings(output, lambda text: text.removeprefix(here))
        return output


OPERATORS = {executable_spec_pb2.BeamExecutableSpec: BeamOnEngine}


def _whole(info: ExecutionInfo) -> ExecutionInfo:
    """The same execution with absolute paths."""
    return attr.evolve(
        info,
        input_dict=_placed(info.input_dict),
        output_dict=_placed(info.output_dict),
        **{
            name: os.path.abspath(getattr(info, name))
            for name in ("execution_output_uri", "stateful_working_dir", "tmp_dir")
        },
    )


def _placed(artifacts: Mapping[str, list[types.Artifact]]) -> dict[str, list[types.Artifact]]:
    placed = copy.deepcopy(dict(artifacts))
    for artifact in (artifact for several in placed.values() for artifact in several):
        if "://" not in artifact.uri:
            artifact.uri = os.path.abspath(artifact.uri)
    return placed
