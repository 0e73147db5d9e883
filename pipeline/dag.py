"""The pipeline, from shards to a released model: three stages, in the order in which the data flow."""

from collections.abc import Sequence
from typing import Any

from tfx.dsl.experimental.conditionals.conditional import Cond
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline

from maskline.components.ingest.listing import Listing
from maskline.components.release_gate.unknown_live import UnknownLive
from maskline.pipeline.fingerprint import SourceCode
from maskline.pipeline.settings.sections import Settings
from maskline.pipeline.stages.ingest import ingest
from maskline.pipeline.stages.release import release
from maskline.pipeline.stages.train import train, transform
from maskline.transform.names import PASSED, PIPELINE_NAME


def create_pipeline(
    settings: Settings,
    *,
    schema_file: str,
    listing: Listing | None = None,
    window: Sequence[int] | int = (),
    only_ingest: bool = False,
    ahead: bool = False,
    unknown_live: UnknownLive | None = None,
) -> Pipeline:
    """Builds the pipeline; any TFX runner can run it, in the root as the working folder: paths are relative.

    Args:
      settings: the run's settings.
      schema_file: a schema whose file name changes with its content, since TFX caches by name.
      listing: the shards of this run's delivery; without it ExampleGen's driver lists them.
      window: the spans to train on, all ingested but the last, which is this run's; or how many, of those
        that earlier runs ingested; empty or 0 for this run's alone.
      only_ingest: stop at the data gate.
      ahead: Transform does not wait for the data gate, and works beside the statistics; nothing is trained
        on rows that the gate holds back. With a window it waits, for the gate decides which spans there are.
      unknown_live: what keeps the live model from being compared with, where something does.

    Returns:
      the pipeline, with caching on.
    """
    source = SourceCode()
    # ExampleGen → StatisticsGen → ExampleValidator → DataGate
    ingested = ingest(settings, source, schema_file=schema_file, listing=listing)
    if only_ingest:
        return _pipeline(settings, ingested.nodes)
    transformed = None
    if ahead and not window:
        transformed = transform(settings, source, ingested, ingested.examples.outputs["examples"])
    with Cond(ingested.accepted.outputs["verdict"].future()[0].property(PASSED) == 1):
        # Transform → Trainer
        trained = train(settings, source, ingested, window=window, transformed=transformed)
        # Evaluator → ReleaseGate, ModelChecks → Pusher
        released = release(settings, source, ingested, trained, unknown_live=unknown_live)
    before = [*ingested.nodes, *([transformed] if transformed else []), ingested.accepted]
    return _pipeline(settings, [*before, *trained.nodes, *released])


def _pipeline(settings: Settings, nodes: list[Any]) -> Pipeline:
    return Pipeline(
        pipeline_name=PIPELINE_NAME,
        pipeline_root=str(settings.root / "artifacts"),
        components=nodes,
        enable_cache=True,
        metadata_connection_config=metadata.sqlite_metadata_connection_config(str(settings.metadata_file)),
        beam_pipeline_args=settings.beam.options,
    )
