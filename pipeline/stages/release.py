"""The last stage: from a trained model to a released one, or to the reason why not."""

from typing import Any

from tfx.dsl.components.common.resolver import Resolver
from tfx.types import Channel
from tfx.types.standard_artifacts import Model, ModelBlessing

from maskline.components.artifacts import Release
from maskline.components.evaluation.component import Evaluator
from maskline.components.ingest.spans import is_pattern, split_pattern
from maskline.components.model_checks.component import ModelChecks
from maskline.components.pusher.component import MadeBy, Pusher
from maskline.components.release_gate.component import ReleaseGate
from maskline.components.release_gate.unknown_live import UnknownLive
from maskline.components.resolvers.models import LiveModelStrategy
from maskline.pipeline.fingerprint import SourceCode
from maskline.pipeline.settings.sections import Settings
from maskline.pipeline.stages.ingest import IngestStage
from maskline.pipeline.stages.train import TrainingStage
from maskline.transform.names import Node


def release(
    config: Settings,
    source: SourceCode,
    ingest: IngestStage,
    training: TrainingStage,
    *,
    unknown_live: UnknownLive | None = None,
) -> list[Any]:
    """Builds Evaluator, ReleaseGate, ModelChecks and Pusher; see `create_pipeline`."""
    code = source.of("components")
    model = training.trainer.outputs["model"]
    live = Resolver(
        strategy_class=LiveModelStrategy,
        candidate=model,
        model=Channel(type=Model),
        best=Channel(type=Model),
        release=Channel(type=Release),
        blessing=Channel(type=ModelBlessing),
    ).with_id(Node.LIVE_MODEL)
    evaluator = Evaluator(
        examples=training.examples if config.evaluation.pool_window else ingest.examples.outputs["examples"],
        model=model,
        training_examples=training.examples,
        live_model=live.outputs["model"],
        best_model=live.outputs["best"],
        sequence=config.sequence,
        slices=config.slices,
        settings=config.evaluation,
        fingerprint=source.of("transform", "components"),
    )
    release_gate = ReleaseGate(
        model=model,
        evaluation=evaluator.outputs["evaluation"],
        rules=config.release_gate,
        unknown_live=unknown_live,
        fingerprint=code,
    )
    model_checks = ModelChecks(
        model=model,
        golden_rows=training.trainer.outputs["golden_rows"],
        settings=config.model_checks.for_model(padding_leaks=config.model.padding_leaks),
        fingerprint=code,
    )
    pusher = Pusher(
        model=model,
        model_blessing=release_gate.outputs["blessing"],
        infra_blessing=model_checks.outputs["blessing"],
        examples=training.examples,
        history=training.trainer.outputs["history"],
        evaluation=evaluator.outputs["evaluation"],
        data_verdict=ingest.accepted.outputs["verdict"],
        checks_verdict=model_checks.outputs["verdict"],
        release_verdict=release_gate.outputs["verdict"],
        made_by=_made_by(config, source),
        serving_dir=str(config.serving_dir),
        fingerprint=code,
    )
    return [live, evaluator, release_gate, model_checks, pusher]


def _made_by(config: Settings, source: SourceCode) -> MadeBy:
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
        code={"training": source.of("transform", "trainer"), "gates": source.of("components")},
        spans="/".join(split_pattern(path)[1]) if is_pattern(path) else "",
    )
