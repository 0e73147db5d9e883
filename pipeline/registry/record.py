"""The record of a run, as it is read for people and programs. Imports neither TFX nor ml-metadata.

`history` reads it from the metadata store; another store needs another reader, and nothing else.
"""

from pathlib import Path

from pydantic import BaseModel

from maskline.components.evaluation.report import EvaluationReport
from maskline.components.ingest.quarantine import IngestReport
from maskline.components.verdict import Verdict
from maskline.pipeline.registry.overrides import Override
from maskline.transform.learned import Learned
from maskline.transform.names import Exit, Node

DONE = ("COMPLETE", "CACHED")
# A run that ingests an older span for another run is named RUN-span-NUMBER, after the run that it serves.
OF_SPAN = "-span-"


class Component(BaseModel):
    """The record of one component in a run."""

    name: str
    state: str
    seconds: float
    records_in: dict[str, int] = {}
    records_out: dict[str, int] = {}


class TrainedSpan(BaseModel):
    """A span of the window that was trained on."""

    span: int
    version: int


class Run(BaseModel):
    """The record of one run. Fields that a run did not reach have their defaults."""

    run: str
    components: list[Component]
    metrics: dict[str, dict[str, float]] = {}
    ingest: IngestReport | None = None
    quarantine: Path | None = None
    window: list[TrainedSpan] = []
    statistics: Path | None = None
    verdicts: dict[str, Verdict] = {}
    blessed: bool | None = None
    override: Override | None = None
    why: list[str] = []
    released_version: int | None = None
    live_version: int | None = None
    model: Path | None = None
    is_live: bool = False  # this run's model is the one that is live
    candidate: Path | None = None
    candidate_id: int = 0
    checked_files: str = ""
    evaluation: EvaluationReport | None = None
    training: Path | None = None
    learned: Learned | None = None
    facts: Path | None = None
    live_problem: str = ""
    lost: list[str] = []

    @property
    def log_name(self) -> str:
        """The name of its log file. A run that serves another one writes to that run's log."""
        return f"{self.run.split(OF_SPAN)[0]}.log"

    @property
    def blocked(self) -> bool:
        """Whether DataGate stopped the run. Transform may have worked beside it; all others were skipped."""
        return Node.DATA_GATE in self.verdicts and not self.verdicts[Node.DATA_GATE].passed

    @property
    def ended(self) -> bool:
        """Whether every component is done, up to the last one or to the gate that stopped the run."""
        states = {component.name: component.state for component in self.components}
        if self.blocked:  # on rows that are held back it may fail
            states.pop(Node.TRANSFORM, None)
        return (Node.PUSHER in states or self.blocked) and all(state in DONE for state in states.values())

    @property
    def exit(self) -> Exit:
        """The run's exit status, computed from the record alone."""
        if not self.ended:
            return Exit.ERROR
        return Exit.OK if self.blessed or self.override else Exit.BLOCKED
