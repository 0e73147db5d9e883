"""Looks at what is live before a cluster's ReleaseGate decides, as a run on one machine does at its start."""

from pathlib import Path

from tfx.proto.orchestration import pipeline_pb2

from maskline.components.pusher.contents import look
from maskline.components.release_gate.unknown_live import UnknownLive
from maskline.pipeline.registry import live
from maskline.transform.names import Node

_SERVING_DIR, _UNKNOWN_LIVE = "serving_dir", "unknown_live"  # parameters of Pusher and of ReleaseGate


def tell(pipeline: pipeline_pb2.Pipeline, node: pipeline_pb2.PipelineNode) -> None:
    """Tells ReleaseGate what keeps the live model from being compared with. Other nodes are left alone.

    It becomes part of the cache key: the gate does not take its word of a time when all was well.

    Args:
      pipeline: with parameters bound; its Pusher knows the serving directory.
      node: the one that is about to run; changed in place.
    """
    if node.node_info.id != Node.RELEASE_GATE:
        return
    pushers = [n.pipeline_node for n in pipeline.nodes if n.pipeline_node.node_info.id == Node.PUSHER]
    for pusher in pushers:
        folder = Path(pusher.parameters.parameters[_SERVING_DIR].field_value.string_value)
        if problem := live.comparable(folder, recorded=0):
            unknown = UnknownLive(problem=problem, way_on=live.way_on(look(folder), local=False))
            value = node.parameters.parameters[_UNKNOWN_LIVE].field_value
            value.string_value = unknown.model_dump_json()
