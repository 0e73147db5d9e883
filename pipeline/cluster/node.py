"""One node of a compiled pipeline on a cluster: binds parameters, launches it, reads its state back."""

import logging
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from google.protobuf import json_format
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.dsl.io import fileio
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import execution_publish_utils, launcher, outputs_utils
from tfx.orchestration.portable.mlmd import context_lib, execution_lib
from tfx.orchestration.portable.runtime_parameter_utils import substitute_runtime_parameter
from tfx.proto.orchestration import execution_result_pb2, pipeline_pb2

from maskline.components.verdict import Verdict
from maskline.pipeline import quick_beam
from maskline.pipeline.cluster import bucket_executors, bucket_files, buckets, live
from maskline.pipeline.cluster.store import open_store
from maskline.pipeline.engines import executors
from maskline.transform.errors import InputError
from maskline.transform.names import PASSED, RUN_ID_PARAMETER, VERDICT_FILE, ArtifactType, Exit

_State = mlmd.Execution.State
_DONE = (_State.COMPLETE, _State.CACHED)
_READ = {
    pipeline_pb2.RuntimeParameter.STRING: str,
    pipeline_pb2.RuntimeParameter.INT: int,
    pipeline_pb2.RuntimeParameter.DOUBLE: float,
}
logger = logging.getLogger(__name__)


class NodeEnd(NamedTuple):
    """How a node ended: the exit status of its process, the state in words, and why."""

    status: int
    state: str
    reason: str = ""


def bind(
    text: str, node_id: str, run_id: str, given: list[str], *, some_of_others: bool = False
) -> tuple[pipeline_pb2.Pipeline, pipeline_pb2.PipelineNode]:
    """Puts the run's id, its parameters and what is wrong with the live model into the compiled pipeline.

    Args:
      text: the IR as JSON.
      node_id: the node to run.
      run_id: of the run, the same for all nodes and attempts.
      given: `name=value`, read by the type that the node declares.
      some_of_others: some are other nodes' of the same task, and are passed over.

    Raises:
      InputError: no such node, a parameter that it does not know, a value of another type, or none given
        for one without a default.
    """
    pipeline = json_format.Parse(text, pipeline_pb2.Pipeline())
    nodes = {node.pipeline_node.node_info.id: node.pipeline_node for node in pipeline.nodes}
    if node_id not in nodes:
        raise InputError(f"no node '{node_id}'; there are {', '.join(nodes)}")
    if not run_id or "{{" in run_id:
        raise InputError(
            f"'{run_id}' is not a run id; the backend fills its placeholder in only as a task's input"
        )
    node = nodes[node_id]
    declared = {
        value.runtime_parameter.name: value.runtime_parameter
        for value in node.parameters.parameters.values()
        if value.WhichOneof("value") == "runtime_parameter"
    }
    bindings: dict[str, Any] = {RUN_ID_PARAMETER: run_id}
    for item in given:
        name, _, value = item.partition("=")
        if some_of_others and name not in declared:
            continue
        bindings[name] = _read(node_id, name, value, declared)
    for name, parameter in declared.items():
        if name not in bindings and not parameter.HasField("default_value"):
            raise InputError(f"{node_id}: parameter '{name}' is not given and has no default")
    substitute_runtime_parameter(pipeline, bindings)
    live.tell(pipeline, node)
    return pipeline, node


def _read(
    node_id: str, name: str, value: str, declared: Mapping[str, pipeline_pb2.RuntimeParameter]
) -> str | int | float:
    if name not in declared:
        known = ", ".join(sorted(declared)) or "none"
        raise InputError(f"{node_id}: no parameter '{name}'; it has {known}")
    kind = _READ[declared[name].type]
    try:
        return kind(value)
    except ValueError:
        raise InputError(f"{node_id}: parameter '{name}': '{value}' is no {kind.__name__}") from None


class Metadata(metadata.Metadata):
    """TFX's handle of a metadata store, with our client and one connection as long as it is in use."""

    def __enter__(self) -> "Metadata":
        if self._store is None:
            self._store: Any = open_store(self._connection_config, patience=60)
        self._users += 1
        return self


def import_executors(text: str, nodes: Sequence[str]) -> None:
    """Imports the executors of some nodes of the compiled pipeline, an IR as JSON."""
    quick_beam.quicken()
    deployment = runner_utils.extract_local_deployment_config(
        json_format.Parse(text, pipeline_pb2.Pipeline())
    )
    for node in nodes:
        spec = runner_utils.extract_executor_spec(deployment, node)
        if spec is not None:
            python = getattr(spec, "python_executor_spec", spec)
            import_module(python.class_path.rpartition(".")[0])


class Launch:
    """One attempt at a node.

    Args:
      pipeline: with parameters bound.
      node: one of its nodes.
      store: where the metadata are.
    """

    def __init__(
        self,
        pipeline: pipeline_pb2.Pipeline,
        node: pipeline_pb2.PipelineNode,
        store: mlmd.ConnectionConfig,
    ) -> None:
        self._pipeline, self._node = pipeline, node
        self._name = node.node_info.id
        self._metadata = Metadata(store)
        bucket_files.register()

    def run(self) -> None:
        """Runs driver, executor and publisher as TFX does on a laptop."""
        self._clear_earlier_attempt()
        deployment = runner_utils.extract_local_deployment_config(self._pipeline)
        root = self._pipeline.runtime_spec.pipeline_root.field_value.string_value
        launcher.Launcher(
            pipeline_node=self._node,
            mlmd_connection=self._metadata,
            pipeline_info=self._pipeline.pipeline_info,
            pipeline_runtime_spec=self._pipeline.runtime_spec,
            executor_spec=runner_utils.extract_executor_spec(deployment, self._name),
            custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, self._name),
            custom_executor_operators=(
                bucket_executors.OPERATORS if buckets.is_bucket(root) else executors.OPERATORS
            ),
        ).launch()

    def outcome(self) -> NodeEnd:
        """What the store says: TFX's launcher returns normally after inputs that could not be resolved."""
        with self._metadata as store:
            execution = self._execution(store)
            if execution is None and self._node.inputs.conditionals:
                return NodeEnd(Exit.OK, "SKIPPED", "a condition does not hold")
            if execution is None:
                return NodeEnd(Exit.ERROR, "FAILED", "it did not run: its inputs are not there")
            state = _State.Name(execution.last_known_state)
            if execution.last_known_state not in _DONE:
                return NodeEnd(Exit.ERROR, state, _reason(execution))
            blocked = self._blocked(store, execution.id)
        return NodeEnd(Exit.BLOCKED, "BLOCKED", blocked) if blocked else NodeEnd(Exit.OK, state)

    def close(self, reason: str) -> None:
        """Marks an execution that was broken off as failed; another attempt takes it up again."""
        with self._metadata as store:
            execution = self._execution(store)
            if execution is not None and execution_lib.is_execution_active(execution):
                result = execution_result_pb2.ExecutionResult(code=1, result_message=reason)
                execution_publish_utils.publish_failed_execution(
                    metadata_handle=store,
                    contexts=context_lib.prepare_contexts(store, self._node.contexts),
                    execution_id=execution.id,
                    executor_output=execution_result_pb2.ExecutorOutput(execution_result=result),
                )

    def _execution(self, store: metadata.Metadata) -> mlmd.Execution | None:
        """The newest record of this node in this run; attempts share one, a resolver's do not."""
        contexts = context_lib.prepare_contexts(store, self._node.contexts)
        found = execution_lib.get_executions_associated_with_all_contexts(store, contexts)
        return max(found, key=lambda execution: execution.id, default=None)

    def _clear_earlier_attempt(self) -> None:
        """Removes half-written outputs: an attempt after a kill gets the same execution and paths."""
        with self._metadata as store:
            execution = self._execution(store)
        if execution is None or execution.last_known_state in _DONE:
            return
        logger.info("takes up execution %d of an earlier attempt", execution.id)
        outputs = outputs_utils.OutputsResolver(
            self._node, self._pipeline.pipeline_info, self._pipeline.runtime_spec
        ).generate_output_artifacts(execution.id)
        for artifacts in outputs.values():
            for artifact in artifacts:
                if fileio.exists(artifact.uri):
                    fileio.rmtree(artifact.uri)

    def _blocked(self, store: metadata.Metadata, execution: int) -> str:
        """Why a gate blocks; empty where it does not, and for a node that is not a gate."""
        events = store.store.get_events_by_execution_ids([execution])
        made = [event.artifact_id for event in events if event.type == mlmd.Event.OUTPUT]
        for artifact in store.store.get_artifacts_by_id(made):
            if artifact.type == ArtifactType.VERDICT and artifact.properties[PASSED].int_value == 0:
                with fileio.open(f"{artifact.uri}/{VERDICT_FILE}") as file:
                    verdict = Verdict.model_validate_json(file.read())
                return "; ".join(map(str, verdict.blocking)) or "the verdict did not pass"
        return ""


def _reason(execution: mlmd.Execution) -> str:
    """The last line of what TFX recorded with a failed execution: the exception, without its trace."""
    recorded = execution.custom_properties["__execution_result__"].string_value
    if not recorded:
        return "no reason was recorded; its log may tell"
    result = json_format.Parse(recorded, execution_result_pb2.ExecutionResult())
    return (result.result_message.strip().splitlines() or ["no reason was recorded"])[-1]
