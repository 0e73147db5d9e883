"""Answers all files of a list, on whatever engine Beam runs."""

from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam

from maskline.components.ingest.beam import check_unchanged
from maskline.pipeline.predict import part
from maskline.pipeline.predict.files import Source
from maskline.pipeline.predict.part import AnsweredPart, Request
from maskline.pipeline.predict.report import REPORT_FILE, summarize


class AnswerFile(beam.DoFn):
    """Answers one file.

    Args:
      request: what is asked.

    Input: a `Source`.
    Output: its `AnsweredPart`.
    """

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._request = request

    def process(self, source: Source) -> list[AnsweredPart]:
        """Answers it, if it is as it was when it was listed."""
        request, path = self._request, self._request.folder / source.shard.name
        check_unchanged(str(path), source.shard)
        done = part.answer(source, request, part.signature_for(source.kind, request))
        check_unchanged(str(path), source.shard)
        return [done]


def answer_all(sources: Sequence[Source], request: Request, options: Sequence[str]) -> None:
    """Answers every file, and writes the report.

    Args:
      sources: the files.
      request: what is asked.
      options: Beam's.

    Raises:
      InputError: a file cannot be read, or is not as it was when it was listed.
    """
    with beam.Pipeline(argv=list(options)) as pipeline:
        _ = (
            pipeline
            | "Files" >> beam.Create(sources)
            | "Spread" >> beam.Reshuffle()
            | "Answer" >> beam.ParDo(AnswerFile(request))
            | "All" >> beam.combiners.ToList()
            | "Report" >> beam.Map(write_report, request, len(sources))
        )


def write_report(parts: list[AnsweredPart], request: Request, files: int) -> None:
    """Writes what became of all rows."""
    if len(parts) != files:
        raise RuntimeError(f"{len(parts)} files were answered, and {files} were asked about")
    report = summarize(parts, request)
    Path(request.out, REPORT_FILE).write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
