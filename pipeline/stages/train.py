"""The second stage: from accepted examples to a trained model. Transform may work ahead of the gate."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from tfx.dsl.components.common.resolver import Resolver
from tfx.types import Channel
from tfx.types.standard_artifacts import Examples, Model

from maskline.components.artifacts import Release, VerdictArtifact
from maskline.components.resolvers.models import BaseModelStrategy
from maskline.components.resolvers.spans import WindowStrategy
from maskline.components.trainer import Trainer
from maskline.components.transform import Transform
from maskline.pipeline.fingerprint import SourceCode
from maskline.pipeline.settings.sections import Settings
from maskline.pipeline.stages.ingest import IngestStage
from maskline.trainer.recipe import TrainingRecipe
from maskline.trainer.settings import TrainerSettings
from maskline.transform.names import CHECKPOINTS, COMPILED, RECIPE, Node


class TrainingStage(NamedTuple):
    """`examples` is the channel of what was trained on, `trainer` the node; `nodes` are all, in order."""

    examples: Any
    trainer: Any
    nodes: list[Any]


def transform(settings: Settings, source: SourceCode, ingest: IngestStage, examples: Any) -> Any:
    """Builds Transform, of the examples in a channel."""
    return Transform(
        examples,
        ingest.schema.outputs["schema"],
        preprocessing_fn="maskline.transform.preprocessing.preprocessing_fn",
        custom_config={
            "sequence": settings.sequence.undecided.model_dump(mode="json"),
            "fingerprint": source.of("transform"),
        },
        # Statistics of padded rows say nothing that those of the raw features do not.
        disable_statistics=True,
        disable_analyzer_cache=True,
    )


def train(
    settings: Settings,
    source: SourceCode,
    ingest: IngestStage,
    *,
    window: Sequence[int] | int,
    transformed: Any = None,
) -> TrainingStage:
    """Builds Trainer, Transform where none is given, and the resolvers before them; see `create_pipeline`."""
    nodes: list[Any] = []
    examples = ingest.examples.outputs["examples"]
    if window:
        spans = _window(ingest, window)
        examples = spans.outputs["examples"]
        nodes.append(spans)
    if transformed is None:
        transformed = transform(settings, source, ingest, examples)
        nodes.append(transformed)
    base = None
    if settings.training.warm_start:
        base = _base_model(transformed)
        nodes.append(base)
    trainer = Trainer(
        examples=transformed.outputs["transformed_examples"],
        raw_examples=ingest.examples.outputs["examples"],
        transform_graph=transformed.outputs["transform_graph"],
        schema=ingest.schema.outputs["schema"],
        run_fn="maskline.trainer.task.run_fn",
        custom_config={
            RECIPE: _recipe(settings, source).model_dump_json(),
            # Each training gets a folder of its own there: TFX gives every attempt new output paths.
            CHECKPOINTS: str(settings.root / "checkpoints"),
            COMPILED: str(settings.root / "compiled"),
        },
        base_model=base.outputs["model"] if base else None,
    )
    return TrainingStage(examples, trainer, [*nodes, trainer])


def _recipe(settings: Settings, source: SourceCode) -> TrainingRecipe:
    return TrainingRecipe(
        sequence=settings.sequence,
        settings=TrainerSettings(model=settings.model, training=settings.training),
        fingerprint=source.with_own(settings.functions, "transform", "trainer"),
    )


def _window(ingest: IngestStage, window: Sequence[int] | int) -> Any:
    return Resolver(
        strategy_class=WindowStrategy,
        config={"size": window} if isinstance(window, int) else {"spans": list(window)},
        current=ingest.examples.outputs["examples"],
        examples=Channel(type=Examples),
        verdict=Channel(type=VerdictArtifact),
    ).with_id(Node.WINDOW)


def _base_model(transform: Any) -> Any:
    return Resolver(
        strategy_class=BaseModelStrategy,
        examples=transform.outputs["transformed_examples"],
        model=Channel(type=Model),
        release=Channel(type=Release),
    ).with_id(Node.BASE_MODEL)
