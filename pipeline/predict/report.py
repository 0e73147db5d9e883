"""What became of the rows that a model was asked about."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from maskline.components.ingest.quarantine import EXAMPLES_EACH, CorruptFile, NamedRow
from maskline.transform.problems import Reason
from maskline.transform.versioned import Versioned

if TYPE_CHECKING:
    from maskline.pipeline.predict.part import AnsweredPart, Request

REPORT_FILE = "report.json"


class AnsweredFile(BaseModel):
    """One file: the name of the file with its answers, and how many rows have one and have none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: str
    answers: str
    answered: int
    quarantined: int


class PredictReport(Versioned):
    """What became of all rows: `rows_in` = `answered` + all of `quarantined`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int
    identity: str
    folder: str
    rows_in: int
    answered: int
    quarantined: Mapping[Reason, int] = {}
    files: tuple[AnsweredFile, ...] = ()
    corrupt: tuple[CorruptFile, ...] = ()
    examples: tuple[NamedRow, ...] = ()


def summarize(parts: "Sequence[AnsweredPart]", request: "Request") -> PredictReport:
    """Adds up what became of each file."""
    parts = sorted(parts, key=lambda part: part.source.number)
    quarantined, examples = Counter[Reason](), list[NamedRow]()
    named = Counter[Reason]()
    for part in parts:
        quarantined.update(part.quarantined)
        for row in part.named:
            named[row.kind] += 1
            examples += [row] if named[row.kind] <= EXAMPLES_EACH else []
    answered = sum(part.answered for part in parts)
    return PredictReport(
        version=request.version,
        identity=request.identity,
        folder=str(request.folder),
        rows_in=answered + quarantined.total(),
        answered=answered,
        quarantined=dict(sorted(quarantined.items())),
        files=tuple(
            AnsweredFile(
                name=part.source.shard.name,
                kind=part.source.kind,
                answers=request.answers_of(part.source.number),
                answered=part.answered,
                quarantined=sum(part.quarantined.values()),
            )
            for part in parts
        ),
        corrupt=tuple(part.corrupt for part in parts if part.corrupt),
        examples=tuple(sorted(examples, key=lambda row: (row.kind, row.file, row.record))),
    )
