"""The first stage: from shards to examples that the data gate let through."""

from typing import Any, NamedTuple

from tfx.components.example_validator.component import ExampleValidator
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.dsl.components.common.resolver import Resolver
from tfx.types import Channel
from tfx.types.standard_artifacts import ExampleStatistics

from maskline.components.artifacts import VerdictArtifact
from maskline.components.data_gate.component import DataGate
from maskline.components.data_gate.statistics import StatisticsGen
from maskline.components.ingest.component import IngestSettings, ShardExampleGen
from maskline.components.ingest.listing import Listing
from maskline.components.resolvers.spans import AcceptedStrategy, PreviousSpanStrategy
from maskline.pipeline.fingerprint import SourceCode
from maskline.pipeline.settings.sections import Settings
from maskline.transform.names import Node


class IngestStage(NamedTuple):
    """Nodes of the stage that later ones read from. `nodes` are all up to the gate, in order."""

    examples: Any
    schema: Any
    accepted: Any
    nodes: list[Any]


def ingest(
    settings: Settings, source: SourceCode, *, schema_file: str, listing: Listing | None
) -> IngestStage:
    """Builds ExampleGen, StatisticsGen, ExampleValidator and DataGate; see `create_pipeline`."""
    code = source.of("transform", "components")
    examples = ShardExampleGen(
        str(settings.data.path),
        IngestSettings(
            sequence=settings.sequence.undecided,
            pattern=settings.data.pattern,
            eval_percent=None if settings.data.presplit else settings.data.eval_percent,
            test_share=settings.data.test_share,
            min_test_rows=settings.data.min_test_rows,
            split_by=settings.data.split_by,
            split_source=settings.split_source,
            on_corrupt=settings.data.on_corrupt,
            fingerprint=code,
            **settings.data.complete,
        ),
        span=settings.data.span,
        listing=listing,
    ).with_id(Node.EXAMPLE_GEN)
    schema = ImportSchemaGen(schema_file)
    # With the schema, ids are counted as categories; as numbers, their drift would read 0.
    statistics = StatisticsGen(
        examples=examples.outputs["examples"],
        schema=schema.outputs["schema"],
        sequence=settings.sequence.undecided,
        fingerprint=code,
    )
    validation = ExampleValidator(statistics.outputs["statistics"], schema.outputs["schema"])
    previous = Resolver(
        strategy_class=PreviousSpanStrategy,
        current=statistics.outputs["statistics"],
        statistics=Channel(type=ExampleStatistics),
        verdict=Channel(type=VerdictArtifact),
    ).with_id(Node.PREVIOUS_SPAN)
    gate = DataGate(
        examples=examples.outputs["examples"],
        statistics=statistics.outputs["statistics"],
        schema=schema.outputs["schema"],
        anomalies=validation.outputs["anomalies"],
        quarantine=examples.outputs["quarantine"],
        previous=previous.outputs["statistics"],
        settings=settings.data_gate,
        sequence=settings.sequence.undecided,
        presplit=settings.data.presplit,
        root=str(settings.root),
        fingerprint=code,
    )
    accepted = Resolver(
        strategy_class=AcceptedStrategy,
        verdict=gate.outputs["verdict"],
        earlier=Channel(type=VerdictArtifact),
    ).with_id(Node.ACCEPTED)
    return IngestStage(examples, schema, accepted, [examples, schema, statistics, validation, previous, gate])
