"""Trainer: TFX's own, with raw examples to prove itself on, and its history as an artifact."""

from typing import Any

from tfx import types
from tfx.components.trainer.executor import GenericExecutor
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import trainer_pb2
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter
from tfx.utils import io_utils, json_utils

from maskline.components.artifacts import GoldenRows, TrainingHistory
from maskline.components.reads import ReadsPart
from maskline.transform.names import EVAL, PLACES, TEST, TRAIN


class TrainerSpec(standard_component_specs.TrainerSpec):
    """As TFX's, and the raw examples, the history and the golden rows."""

    INPUTS = standard_component_specs.TrainerSpec.INPUTS | {
        "raw_examples": ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = standard_component_specs.TrainerSpec.OUTPUTS | {
        "history": ChannelParameter(type=TrainingHistory),
        "golden_rows": ChannelParameter(type=GoldenRows),
    }


class Executor(ReadsPart, GenericExecutor):
    """Runs `run_fn` as TFX does; `custom_config` also says where the further input and outputs are."""

    READS = {"raw_examples": (f"Split-{EVAL}", f"Split-{TEST}")}

    def _GetFnArgs(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> FnArgs:
        fn_args = super()._GetFnArgs(input_dict, output_dict, exec_properties)
        raw = input_dict["raw_examples"]
        fn_args.custom_config[PLACES] = {
            "raw_held_out": _files(raw, EVAL) + _files(raw, TEST),
            "test": _files(input_dict["examples"], TEST),
            "history": artifact_utils.get_single_uri(output_dict["history"]),
            "golden_rows": artifact_utils.get_single_uri(output_dict["golden_rows"]),
        }
        return fn_args


def _files(examples: list[types.Artifact], split: str) -> list[str]:
    return [io_utils.all_files_pattern(uri) for uri in artifact_utils.get_split_uris(examples, split)]


class Trainer(base_component.BaseComponent):
    """Trains by `run_fn`, given as the path of a function.

    Args:
      examples: transformed examples, with splits `train`, `eval` and `test`.
      raw_examples: the examples that they were made from.
      transform_graph: Transform's output.
      schema: of the raw examples.
      run_fn: a dotted path.
      custom_config: what `run_fn` needs to know; must be JSON.
      base_model: the model whose weights to begin with.
    """

    SPEC_CLASS = TrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        examples: types.BaseChannel,
        raw_examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        schema: types.BaseChannel,
        run_fn: str,
        custom_config: dict[str, Any],
        base_model: types.BaseChannel | None = None,
    ) -> None:
        spec = TrainerSpec(
            examples=examples,
            raw_examples=raw_examples,
            transform_graph=transform_graph,
            schema=schema,
            base_model=base_model,
            run_fn=run_fn,
            train_args=trainer_pb2.TrainArgs(splits=[TRAIN]),
            eval_args=trainer_pb2.EvalArgs(splits=[EVAL]),
            custom_config=json_utils.dumps(custom_config),
            model=types.Channel(type=standard_artifacts.Model),
            model_run=types.Channel(type=standard_artifacts.ModelRun),
            history=types.Channel(type=TrainingHistory),
            golden_rows=types.Channel(type=GoldenRows),
        )
        super().__init__(spec=spec)
