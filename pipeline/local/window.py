"""Ingests the older spans of a training window, each by a run of its own that ends at the data gate."""

from collections.abc import Sequence
from pathlib import Path

from maskline.components.resolvers.spans import choose_spans
from maskline.pipeline.console import Console
from maskline.pipeline.dag import create_pipeline
from maskline.pipeline.local.inputs import Delivery
from maskline.pipeline.local.runner import ForkingRunner
from maskline.pipeline.registry.history import History
from maskline.pipeline.registry.record import OF_SPAN
from maskline.pipeline.registry.store import connect
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError
from maskline.transform.names import SPAN, ArtifactType


def ingest_older(
    settings: Settings, older: Sequence[Delivery], run: str, schema_file: str, console: Console
) -> None:
    """Brings the older spans of the window up to date; what was ingested before comes from the cache.

    Args:
      settings: the run's settings.
      older: all spans of the window but the newest, at least one; the oldest first, as drift compares
        each with the one before.
      run: name of the run that needs them.
      schema_file: see `create_pipeline`.
      console: told what is ingested and what the gate says.

    Raises:
      InputError: a span cannot be read, or did not pass the data gate in any version and must.
      RunError: a component failed.
    """
    for span in older:
        console.note(f"span {span.name} of the window:")
        pipeline = create_pipeline(
            settings.model_copy(update={"data": span.data, "root": Path()}),
            schema_file=schema_file,
            listing=span.listing,
            only_ingest=True,
        )
        name = f"{run}{OF_SPAN}{span.data.span}"
        ForkingRunner(name, console, root=settings.root).run(pipeline)
        console.ingested(History(settings.metadata_file, settings.serving_dir).run(name))
    if blocked := _blocked(settings, older):
        left_out = f"span {', '.join(blocked)} did not pass the data gate"
        if not settings.data.allow_fewer:
            raise InputError(
                f"data.window asks for {settings.data.window} spans, but {left_out}; "
                "deliver it again, or set data.allow_fewer=true"
            )
        console.warn(f"{left_out}; it is not trained on")


def _blocked(settings: Settings, older: Sequence[Delivery]) -> list[str]:
    """The names of the spans of which no version passed. The store is closed on return."""
    store = connect(settings.metadata_file)
    examples, verdicts = (
        store.get_artifacts_by_type(name) for name in (ArtifactType.EXAMPLES, ArtifactType.VERDICT)
    )
    numbers = {int(span.data.span): span.name for span in older}
    chosen = choose_spans(store, examples, verdicts, list(numbers), settings.sequence.digest)
    passed = {e.properties[SPAN].int_value for e in chosen}
    return [name for number, name in numbers.items() if number not in passed]
