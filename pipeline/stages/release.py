"""The last stage: from a trained model to a released one, or to the reason why not."""

from typing import Any

from tfx.dsl.components.common.resolver import Resolver
from tfx.types import Channel
from tfx.types.standard_artifacts import Model, ModelBlessing

from maskline.components.artifacts import Release
from maskline.components.evaluation.component import Evaluator
from maskline.components.ingest.spans import is_pattern, split_pattern
from maskline.components.model_checks.component import ModelChecks
from maskline.components.pusher.component import Provenance, Pusher
from maskline.components.release_gate.component import ReleaseGate
from maskline.components.release_gate.unknown_live import UnknownLive
from maskline.components.resolvers.models import LiveModelStrategy
from maskline.pipeline.fingerprint import SourceCode
from maskline.pipeline.settings.sections import Settings
from maskline.pipeline.stages.ingest import IngestStage
from maskline.pipeline.stages.train import TrainingStage
from maskline.transform.names import Node


def release(
    settings: Settings,
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
        examples=training.examples
        if settings.evaluation.pool_window
        else ingest.examples.outputs["examples"],
        model=model,
        training_examples=training.examples,
        live_model=live.outputs["model"],
        best_model=live.outputs["best"],
        sequence=settings.sequence,
        slices=settings.slices,
        settings=settings.evaluation,
        fingerprint=source.of("transform", "components"),
    )
    release_gate = ReleaseGate(
        model=model,
        evaluation=evaluator.outputs["evaluation"],
        settings=settings.release_gate,
        unknown_live=unknown_live,
        fingerprint=code,
    )
    model_checks = ModelChecks(
        model=model,
        golden_rows=training.trainer.outputs["golden_rows"],
        settings=settings.model_checks.for_model(
            padding_leaks=settings.model.padding_leaks, own=bool(settings.model.build)
        ),
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
        provenance=_provenance(settings, source),
        serving_dir=str(settings.serving_dir),
        fingerprint=code,
    )
    return [live, evaluator, release_gate, model_checks, pusher]


def _provenance(settings: Settings, source: SourceCode) -> Provenance:
    """Settings and source for the model card, without those that only say where and how a run works.

    DataGate's settings are left out too: a model stays the same if other settings let its rows pass again
    (`AcceptedStrategy`). The gate's verdict says what it asked of the rows.
    """
    sections = {"model", "training", "evaluation", "release_gate", "model_checks"}
    part = {
        "pattern", "presplit", "eval_percent", "test_share", "min_test_rows", "split_by", "on_corrupt",
        "window",
    }  # fmt: skip
    path = settings.data.path
    return Provenance(
        settings=settings.model_dump(mode="json", include={**dict.fromkeys(sections, True), "data": part})
        | {"sequence": settings.sequence.model_dump(mode="json")},
        code={"training": source.of("transform", "trainer"), "gates": source.of("components")},
        spans="/".join(split_pattern(path)[1]) if is_pattern(path) else "",
    )
