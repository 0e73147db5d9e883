"""What data must be like before anything is trained on them: settings, and what follows. No TensorFlow."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Literal, NamedTuple

from tensorflow_metadata.proto.v0 import schema_pb2

from maskline.components.verdict import Check, Outcome, Scale
from maskline.transform.features import SequenceSpec
from maskline.transform.settings import Section, setting

SECTION = "data_gate"  # of the settings


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


class Severities(Section):
    """What follows from each kind of anomaly: `block`, `warn` or `ignore`."""

    new_values: Severity = setting(Severity.BLOCK, "ids outside the range that the schema gives")
    missing_feature: Severity = setting(
        Severity.BLOCK, "a feature that is present in fewer rows than the schema asks for"
    )
    list_length: Severity = setting(Severity.BLOCK, "more or fewer ids in a row than the schema allows")
    wrong_type: Severity = setting(Severity.BLOCK, "a feature that holds no integers")
    new_feature: Severity = setting(Severity.WARN, "a feature that the schema does not name")
    other: Severity = setting(Severity.BLOCK, "anything else that TensorFlow Data Validation finds")
    drift: Severity = setting(Severity.BLOCK, "drift above `max_drift`")
    skew: Severity | Literal["auto"] = setting(
        "auto",
        "skew above `max_skew`; `auto` blocks where `data.presplit` says that you made the splits, and warns "
        "where a hash of each row made them",
    )
    shared_rows: Severity = setting(Severity.WARN, "eval rows that also stand in train, with `data.presplit`")
    bad_rows: Severity = setting(Severity.BLOCK, "more quarantined rows than `max_bad_rows`")
    corrupt_file: Severity = setting(Severity.WARN, "a shard that was not read to its end")
    lost_rows: Severity = setting(Severity.BLOCK, "rows that are neither ingested nor quarantined")
    unknown: Severity = setting(
        Severity.BLOCK, "more unknown symbols than `max_unknown`, with `sequence.unknown`"
    )
    too_long: Severity = setting(
        Severity.BLOCK, "more rows that were cut than `max_too_long`, with `sequence.too_long`"
    )
    empty_split: Severity = setting(Severity.BLOCK, "a split without rows")


class DataGateSettings(Section):
    """What data must be like before a model is trained on them."""

    max_bad_rows: float = setting(0.01, "share of the rows that may be quarantined", unit="share", ge=0, le=1)
    max_unknown: float = setting(
        0.05,
        "share of a feature's ids that may be those of `sequence.unknown`",
        unit="share",
        ge=0,
        le=1,
    )
    max_too_long: float = setting(
        0.05, "share of the rows that `sequence.too_long` may cut", unit="share", ge=0, le=1
    )
    max_drift: float = setting(
        0.005,
        "Jensen-Shannon divergence of a feature's ids between the previous span and this one, beyond chance",
        unit="bits",
        ge=0,
        le=1,
    )
    max_skew: float = setting(
        0.005,
        "Jensen-Shannon divergence of a feature's ids between train and eval, beyond chance",
        unit="bits",
        ge=0,
        le=1,
    )
    severity: Severities = Severities()


class Rules(NamedTuple):
    """What the checks ask: settings, the curated schema, names of ids, and who made the splits."""

    settings: DataGateSettings
    schema: schema_pb2.Schema
    spec: SequenceSpec
    presplit: bool = False

    def check(
        self,
        kind: str,
        subject: str = "",
        *,
        holds: bool,
        asked: str,
        measured: str,
        details: Iterable[str] = (),
        scale: Scale | None = None,
    ) -> Check:
        """One check of a kind that `Severities` names, which says what follows where it does not hold."""
        return Check(
            kind=kind,
            name=kind.replace("_", " "),
            subject=subject,
            asked=asked,
            measured=measured,
            outcome=Outcome.PASSED if holds else _OUTCOMES[self._severity(kind)],
            details=() if holds else tuple(details),
            scale=scale,
        )

    def _severity(self, kind: str) -> Severity:
        chosen: Severity | Literal["auto"] = getattr(self.settings.severity, kind)
        if chosen == "auto":
            return Severity.BLOCK if self.presplit else Severity.WARN
        return chosen

    def name(self, feature: str, value: str) -> str:
        """An id of a feature, and its symbol or class; or a symbol of a text."""
        return self.spec.shown_value(feature, value)
