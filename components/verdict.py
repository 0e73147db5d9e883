"""What a gate asked, what it measured and what follows. Imports neither TFX nor TensorFlow."""

from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, computed_field

from maskline.transform.names import VERDICT_FILE
from maskline.transform.versioned import Versioned


class Outcome(StrEnum):
    """What follows from one check."""

    PASSED = "passed"
    WARNED = "warned"
    BLOCKED = "blocked"
    IGNORED = "ignored"


class Scale(BaseModel):
    """A check's figures as numbers: `value` was measured, `limit` was asked, both in the same unit.

    `at_least` is true where the value must reach the limit, false where it must not exceed it. `low` and
    `high` are the ends of the interval, where there is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    limit: float
    at_least: bool
    low: float | None = None
    high: float | None = None


class Check(BaseModel):
    """One thing that a gate looked at.

    `kind` is the rule's identifier, as the settings spell it; `name` is the rule or metric in words,
    `subject` the feature, slice or signature it was applied to, `asked` and `measured` are words with
    figures, `details` further lines: offending values, a command to type. `sentence` says all of it in one
    line that is understood alone; without it, the line is made of the other fields. `scale` has the figures
    as numbers, where value and limit are two.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = ""
    name: str
    subject: str = ""
    asked: str
    measured: str
    outcome: Outcome
    details: tuple[str, ...] = ()
    sentence: str = ""
    scale: Scale | None = None

    def __str__(self) -> str:
        if self.sentence:
            return self.sentence
        where = f"{self.name} of {self.subject}" if self.subject else self.name
        return f"{where}: {self.measured}; {self.asked}"


class Verdict(Versioned):
    """All checks of one gate. `passed`, which follows from them, is in the JSON too, for its readers."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    checks: tuple[Check, ...]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def passed(self) -> bool:
        """True where nothing blocks."""
        return not self.blocking

    @property
    def blocking(self) -> tuple[Check, ...]:
        """The checks that block."""
        return tuple(check for check in self.checks if check.outcome is Outcome.BLOCKED)


def read_verdict(folder: Path) -> Verdict:
    """Reads the verdict in an artifact's folder."""
    return Verdict.model_validate_json((folder / VERDICT_FILE).read_text(encoding="utf-8"))
