"""What a node's process can know before its turn: parameters, and inputs that are there. Imports TFX."""

from typing import Any

from tfx import types
from tfx.orchestration import data_types_utils, metadata
from tfx.orchestration.portable import inputs_utils
from tfx.orchestration.portable.input_resolution import channel_resolver
from tfx.proto.orchestration import pipeline_pb2


def known_early(
    alone: pipeline_pb2.Pipeline, store: metadata.Metadata
) -> tuple[dict[str, list[types.Artifact]], dict[str, Any]]:
    """Inputs and parameters of the only node of a pipeline, as its executor will get them.

    Args:
      alone: the pipeline. Of an input whose node has not ended, the list is empty.
      store: the pipeline's, not open.
    """
    node = alone.nodes[0].pipeline_node
    with store:
        inputs = {
            name: channel_resolver.resolve_union_channels(store, spec.channels)
            for name, spec in node.inputs.inputs.items()
        }
    parameters = inputs_utils.resolve_parameters_with_schema(node.parameters)
    return inputs, data_types_utils.build_parsed_value_dict(parameters)
