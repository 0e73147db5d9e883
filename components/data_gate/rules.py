"""What data must be like before anything is trained on them: settings, and what follows. No TensorFlow."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from tensorflow_metadata.proto.v0 import schema_pb2

from maskline.components.verdict import Check, Outcome
from maskline.transform.features import SequenceSpec


class Severity(StrEnum):
    """What follows where data break a rule."""

    BLOCK = "block"
    WARN = "warn"
    IGNORE = "ignore"


_OUTCOMES = {
    Severity.BLOCK: Outcome.BLOCKED,
    Severity.WARN: Outcome.WARNED,
    Severity.IGNORE: Outcome.IGNORED,
}


class Severities(BaseModel):
    """What follows from each kind of anomaly."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    new_values: Severity = Severity.BLOCK
    missing_feature: Severity = Severity.BLOCK
    list_length: Severity = Severity.BLOCK
    wrong_type: Severity = Severity.BLOCK
    new_feature: Severity = Severity.WARN
    other: Severity = Severity.BLOCK
    drift: Severity = Severity.BLOCK
    skew: Severity = Severity.BLOCK
    bad_rows: Severity = Severity.BLOCK
    corrupt_file: Severity = Severity.WARN
    lost_rows: Severity = Severity.BLOCK
    empty_split: Severity = Severity.BLOCK


class DataGateConfig(BaseModel):
    """The data gate's settings.

    `max_drift` and `max_skew` are Jensen-Shannon divergences in bits, from 0 (alike) to 1 (nothing in
    common), beyond what chance makes between samples of the two sizes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_bad_rows: float = Field(0.01, ge=0, le=1)
    max_drift: float = Field(0.005, ge=0, le=1)
    max_skew: float = Field(0.005, ge=0, le=1)
    severity: Severities = Severities()


class Rules(NamedTuple):
    """What the checks ask: settings, the curated schema, and the names of ids."""

    config: DataGateConfig
    schema: schema_pb2.Schema
    spec: SequenceSpec

    def check(
        self,
        kind: str,
        subject: str = "",
        *,
        holds: bool,
        asked: str,
        measured: str,
        details: Iterable[str] = (),
    ) -> Check:
        """One check of a kind that `Severities` names, which says what follows where it does not hold."""
        return Check(
            name=kind.replace("_", " "),
            subject=subject,
            asked=asked,
            measured=measured,
            outcome=Outcome.PASSED if holds else _OUTCOMES[getattr(self.config.severity, kind)],
            details=() if holds else tuple(details),
        )

    def name(self, value: str) -> str:
        """An id and its symbol."""
        known = value.isdecimal() and int(value) < self.spec.size
        return f"{value} '{self.spec.vocabulary[int(value)]}'" if known else value
