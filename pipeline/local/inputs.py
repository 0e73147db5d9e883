"""Looks at what a run is given, shards and schema, before anything heavy is loaded."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from maskline.components.ingest import spans
from maskline.components.ingest.listing import Listing, hidden_note, list_shards
from maskline.pipeline.settings.sections import DataSettings
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec, make_schema, schema_problem
from maskline.transform.files import read_text


class Delivery(NamedTuple):
    """One span of data, or all of a plain directory.

    Attributes:
      name: what a person calls it; empty for a plain directory.
      data: the settings, with `span` set to just this one.
      listing: its shards; nothing looks for them again.
    """

    name: str
    data: DataSettings
    listing: Listing


def find_data(data: DataSettings) -> tuple[list[Delivery], list[str]]:
    """Finds what a run reads.

    Returns:
      the window of spans, the newest last, and notes on what is passed over. A plain directory is a
      window of one.

    Raises:
      InputError: nothing is there, the span that was asked for is not there or not complete, or the
        window is not full and that is not allowed.
    """
    if not spans.is_pattern(data.path):
        listing = list_shards(data.path, data.pattern, presplit=data.presplit)
        return [Delivery("", data, listing)], _hidden([listing])
    found = spans.find(data.path, **data.complete)
    newest = spans.select(data.path, found, data.span)
    chosen = spans.window(found, newest, size=data.window)
    if len(chosen) < data.window and not data.allow_fewer:
        there = ", ".join(spans.span_name(data.path, span.number) for span in chosen)
        raise InputError(
            f"{data.path}: data.window asks for {data.window} spans; complete spans: {there}; "
            "wait for more, or set data.allow_fewer=true"
        )
    deliveries = [_delivery(span, data) for span in chosen]
    notes = [f"{stray}: is beside the spans but is not a span; ignored" for stray in found.strays]
    notes += [
        f"{span.folder}: is skipped, because it is not complete: {why}" for span, why in found.waiting.items()
    ]
    return deliveries, notes + _hidden([delivery.listing for delivery in deliveries])


def _hidden(listings: Sequence[Listing]) -> list[str]:
    return [f"{each.folder}: {hidden_note(each.hidden)}" for each in listings if each.hidden]


def in_words(data: DataSettings, span: spans.Span) -> str:
    """What a person calls a delivery of a span."""
    return spans.span_name(data.path, span.number) + (f" version {span.version}" if span.version else "")


def _delivery(span: spans.Span, data: DataSettings) -> Delivery:
    return Delivery(
        in_words(data, span),
        data.model_copy(update={"span": span.number}),
        list_shards(
            span.folder, data.pattern, presplit=data.presplit, span=span.number, version=span.version
        ),
    )


def read_schema(file: Path | None, spec: SequenceSpec) -> str:
    """The curated schema as text, or without a file the one that `spec` implies.

    Raises:
      InputError: the file cannot be read, is not a schema, or disagrees with the spec.
    """
    if file is None:
        return text_format.MessageToString(make_schema(spec))
    try:
        text = read_text(file)
        schema = text_format.Parse(text, schema_pb2.Schema())
    except InputError as error:
        raise InputError(f"data.schema: {error}") from None
    except text_format.ParseError as error:
        raise InputError(f"data.schema: {file} is not a schema ({error})") from None
    if problem := schema_problem(schema, spec):
        raise InputError(
            f"data.schema: {file} and sequence disagree: {problem}; "
            "fix it, or leave out data.schema, and it follows from sequence"
        )
    return text
