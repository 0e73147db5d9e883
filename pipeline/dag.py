"""The pipeline, from shards to a released model. Reads from top to bottom as the data flow."""

from collections.abc import Sequence
from typing import Any

from tfx.components import (
    ExampleValidator,
    StatisticsGen,
    Transform,
)
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.experimental.conditionals.conditional import Cond
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline
from tfx.types import Channel
from tfx.types.standard_artifacts import Examples, ExampleStatistics, Model, ModelBlessing

from maskline.components.artifacts import VerdictArtifact
from maskline.components.data_gate.component import DataGate, statistics_options
from maskline.components.evaluation.component import Evaluator
from maskline.components.ingest.component import ShardExampleGen
from maskline.components.ingest.spans import is_pattern, split_pattern
from maskline.components.model_checks.component import ModelChecks
from maskline.components.pusher.component import MadeBy, Pusher
from maskline.components.release_gate.component import ReleaseGate
from maskline.components.releases import Release
from maskline.components.resolvers import (
    AcceptedStrategy,
    BaseModelStrategy,
    LiveModelStrategy,
    PreviousSpanStrategy,
)
from maskline.components.trainer import Trainer
from maskline.components.window import WindowStrategy
from maskline.pipeline import fingerprint
from maskline.pipeline.config import Config

PIPELINE_NAME = "maskline"


def create_pipeline(
    config: Config,
    *,
    schema_file: str,
    data_version: str = "",
    window: Sequence[int] | int = (),
    only_ingest: bool = False,
) -> Pipeline:
    """Builds the pipeline; any TFX runner can run it.

    Args:
      config: the run's settings.
      schema_file: a schema whose file name changes with its content, since TFX caches by name.
      data_version: changes where the shards do; TFX's own fingerprint of files sees whole seconds.
      window: the spans to train on, all ingested but the last, which is this run's; or how many, of those
        that earlier runs ingested; empty or 0 for this run's alone.
      only_ingest: stop at the data gate.

    Returns:
      the pipeline, with caching on.
    """
    sequence = config.sequence.model_dump(mode="json")
    ingest = {
        "sequence": sequence,
        "fingerprint": fingerprint.source("transform", "components"),
        "data": data_version,
        "on_corrupt": config.data.on_corrupt,
    }
    prepare = {"sequence": sequence, "fingerprint": fingerprint.source("transform")}
    training: dict[str, Any] = {
        "sequence": sequence,
        "trainer": config.model_dump(mode="json", include={"model", "training"}),
        "fingerprint": fingerprint.source("transform", "trainer"),
        # Each training gets a folder of its own there: TFX gives every attempt new output paths.
        "checkpoints": str(config.root / "checkpoints"),
    }

    examples = ShardExampleGen(
        str(config.data.path),
        pattern=config.data.pattern,
        eval_percent=None if config.data.presplit else config.data.eval_percent,
        span=config.data.span,
        complete=config.data.complete,
        custom_config=ingest,
    ).with_id("ExampleGen")
    schema = ImportSchemaGen(schema_file)
    # With the schema, ids are counted as categories; as numbers, their drift would read 0.
    statistics = StatisticsGen(
        examples.outputs["examples"],
        schema=schema.outputs["schema"],
        stats_options=statistics_options(config.sequence),
    )
    validation = ExampleValidator(statistics.outputs["statistics"], schema.outputs["schema"])
    previous = Resolver(
        strategy_class=PreviousSpanStrategy,
        current=statistics.outputs["statistics"],
        statistics=Channel(type=ExampleStatistics),
        verdict=Channel(type=VerdictArtifact),
    ).with_id("PreviousSpan")
    gate = DataGate(
        examples=examples.outputs["examples"],
        statistics=statistics.outputs["statistics"],
        schema=schema.outputs["schema"],
        anomalies=validation.outputs["anomalies"],
        quarantine=examples.outputs["quarantine"],
        previous=previous.outputs["statistics"],
        config=config.data_gate,
        sequence=config.sequence,
        root=str(config.root),
        fingerprint=fingerprint.source("transform", "components"),
    )
    ingest_nodes = [examples, schema, statistics, validation, previous, gate]
    if only_ingest:
        return _pipeline(config, ingest_nodes)
    accepted = Resolver(
        strategy_class=AcceptedStrategy,
        verdict=gate.outputs["verdict"],
        earlier=Channel(type=VerdictArtifact),
    ).with_id("Accepted")
    with Cond(accepted.outputs["verdict"].future()[0].property("passed") == 1):
        spans = Resolver(
            strategy_class=WindowStrategy,
            config={"size": window} if isinstance(window, int) else {"spans": list(window)},
            current=examples.outputs["examples"],
            examples=Channel(type=Examples),
            verdict=Channel(type=VerdictArtifact),
        ).with_id("Window")
        transform = Transform(
            spans.outputs["examples"] if window else examples.outputs["examples"],
            schema.outputs["schema"],
            preprocessing_fn="maskline.transform.preprocessing.preprocessing_fn",
            custom_config=prepare,
            # Statistics of padded rows say nothing that those of the raw features do not.
            disable_statistics=True,
            disable_analyzer_cache=True,
        )
        base = Resolver(
            strategy_class=BaseModelStrategy,
            examples=transform.outputs["transformed_examples"],
            model=Channel(type=Model),
            release=Channel(type=Release),
        ).with_id("BaseModel")
        trainer = Trainer(
            examples=transform.outputs["transformed_examples"],
            raw_examples=examples.outputs["examples"],
            transform_graph=transform.outputs["transform_graph"],
            schema=schema.outputs["schema"],
            run_fn="maskline.trainer.task.run_fn",
            custom_config=training,
            base_model=base.outputs["model"] if config.training.warm_start else None,
        )
        live = Resolver(
            strategy_class=LiveModelStrategy,
            candidate=trainer.outputs["model"],
            model=Channel(type=Model),
            best=Channel(type=Model),
            release=Channel(type=Release),
            blessing=Channel(type=ModelBlessing),
        ).with_id("LiveModel")
        pooled = window and config.evaluation.pool_window
        evaluator = Evaluator(
            examples=spans.outputs["examples"] if pooled else examples.outputs["examples"],
            model=trainer.outputs["model"],
            baseline_model=live.outputs["model"],
            best_model=live.outputs["best"],
            sequence=config.sequence,
            slices=config.slices,
            fingerprint=fingerprint.source("transform", "components"),
        )
        release_gate = ReleaseGate(
            model=trainer.outputs["model"],
            evaluation=evaluator.outputs["evaluation"],
            rules=config.release_gate,
            fingerprint=fingerprint.source("components"),
        )
        model_checks = ModelChecks(
            model=trainer.outputs["model"],
            golden_rows=trainer.outputs["golden_rows"],
            settings=config.model_checks.for_model(padding_leaks=config.model.padding_leaks),
            fingerprint=fingerprint.source("components"),
        )
        pusher = Pusher(
            model=trainer.outputs["model"],
            model_blessing=release_gate.outputs["blessing"],
            infra_blessing=model_checks.outputs["blessing"],
            examples=spans.outputs["examples"] if window else examples.outputs["examples"],
            history=trainer.outputs["history"],
            evaluation=evaluator.outputs["evaluation"],
            data_verdict=accepted.outputs["verdict"],
            checks_verdict=model_checks.outputs["verdict"],
            release_verdict=release_gate.outputs["verdict"],
            made_by=_made_by(config),
            serving_dir=str(config.serving_dir),
            fingerprint=fingerprint.source("components"),
        )
    return _pipeline(
        config,
        [
            *ingest_nodes, accepted,
            *([spans] if window else []),
            transform,
            *([base] if config.training.warm_start else []),
            trainer, live, evaluator, release_gate, model_checks, pusher,
        ],
    )  # fmt: skip


def _pipeline(config: Config, nodes: list[Any]) -> Pipeline:
    return Pipeline(
        pipeline_name=PIPELINE_NAME,
        pipeline_root=str(config.root / "artifacts"),
        components=nodes,
        enable_cache=True,
        metadata_connection_config=metadata.sqlite_metadata_connection_config(str(config.metadata_file)),
        beam_pipeline_args=list(config.beam.args),
    )


def _made_by(config: Config) -> MadeBy:
    """For the model card: what made the model, and nothing that only says where or how a run worked.

    Nor the data gate's rules: a model stays where other rules let its rows pass again (`AcceptedStrategy`).
    What was asked of the rows stands in the gate's verdict.
    """
    told = {"sequence", "model", "training", "evaluation", "release_gate", "model_checks"}
    part = {"pattern", "presplit", "eval_percent", "on_corrupt", "window"}
    path = config.data.path
    settings = config.model_dump(mode="json", include={**dict.fromkeys(told, True), "data": part})
    return MadeBy(
        configuration=settings,
        code={
            "training": fingerprint.source("transform", "trainer"),
            "gates": fingerprint.source("components"),
        },
        spans="/".join(split_pattern(path)[1]) if is_pattern(path) else "",
    )
