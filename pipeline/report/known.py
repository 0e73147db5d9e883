"""The forms of what is known of runs, which reports show. Imports neither TFX nor ml-metadata."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from maskline.components.ingest.quarantine import IngestReport
from maskline.pipeline.failure import Failure
from maskline.pipeline.headline import Headline
from maskline.pipeline.registry.record import Run
from maskline.pipeline.settings.sections import Settings
from maskline.transform.answers import AnswerSummary
from maskline.transform.attention import AttentionSummary


class Lineage(NamedTuple):
    """What came from what.

    Attributes:
      edges: component that made something, and component of the same run that read it.
      artifacts: component → types and numbers of what it made.
      statistics_before: folder of the previous span's statistics, which the data were compared with.
    """

    edges: list[tuple[str, str]]
    artifacts: dict[str, list[tuple[str, int]]]
    statistics_before: Path | None


class IdCounts(NamedTuple):
    """How often each id stands in each feature of the train split: feature → id, as text → count."""

    features: dict[str, dict[str, int]]


@dataclass
class RunFacts:
    """A run, with all that is stored with its record.

    `history` holds the epochs of the training, `facts` and `live_facts` what Pusher noted of the run's model
    and of the live one. `gone` names what was recorded and cannot be read any more.
    """

    settings: Settings
    run: Run
    headline: Headline
    lineage: Lineage
    failure: Failure = field(default_factory=lambda: Failure("", ()))
    history: list[dict[str, float]] | None = None
    parameters: int = 0
    answers: AnswerSummary | None = None
    attention: AttentionSummary | None = None
    counts: IdCounts | None = None
    counts_before: IdCounts | None = None
    facts: dict[str, Any] | None = None
    live_facts: dict[str, Any] | None = None
    live_before: int | None = None
    card: str = ""
    gone: list[str] = field(default_factory=list)

    @property
    def ingest(self) -> IngestReport | None:
        """What became of the rows."""
        return self.run.ingest

    @property
    def seconds(self) -> float:
        """Of all components together."""
        return sum(part.seconds for part in self.run.components)


class HistoryEntry(BaseModel):
    """One run, or a tick that started none.

    `decision` says what became of it, `why` more where there is more to say. `change` is that of each metric
    from the run before that measured one. `live` is the version that was live when it had ended. `report` is
    empty where there is none.
    """

    name: str
    kind: str
    time: datetime
    span: str = ""
    decision: str
    why: str = ""
    version: int | None = None
    seconds: float = 0.0
    metrics: dict[str, float] = {}
    change: dict[str, float] = {}
    live: int | None = None
    report: str = ""


class LivePeriod(BaseModel):
    """From when to when a version was live; `until` is left out for the one that is live now."""

    version: int
    since: datetime
    until: datetime | None
    who: str
    why: str
