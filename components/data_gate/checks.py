"""What the data gate looks at: rows set aside, the schema's rules, drift and skew. No TFX, no TensorFlow."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from maskline.components.data_gate.divergence import ALARMS, IdSample, chance
from maskline.components.data_gate.resampling import Parts, shared_rows
from maskline.components.data_gate.rules import SECTION, Rules
from maskline.components.ingest.quarantine import IngestReport
from maskline.components.verdict import Check, Outcome, Scale
from maskline.transform.names import TEST, TRAIN

Dataset: TypeAlias = statistics_pb2.DatasetFeatureStatistics
_EXAMPLES = 5  # offending values that a check names


class Split(NamedTuple):
    """What is known of one split: TFDV's statistics, and counts in random parts; None in old statistics."""

    statistics: Dataset
    parts: Parts | None

    def sample(self, name: str) -> IdSample:
        """A feature's ids."""
        assert self.parts
        parts = self.parts.counts.get(name, ())
        counts = dict(zip(self.parts.values.get(name, ()), parts, strict=True))
        return IdSample(_ids(_feature(self.statistics, name)), counts)


# TFDV's many types of anomaly in the operator's terms; what is not here is `other`.
_KINDS = {
    "INT_TYPE_BIG_INT": "new_values",
    "INT_TYPE_SMALL_INT": "new_values",
    "ENUM_TYPE_UNEXPECTED_STRING_VALUES": "new_values",
    "SCHEMA_MISSING_COLUMN": "missing_feature",
    "FEATURE_TYPE_LOW_FRACTION_PRESENT": "missing_feature",
    "FEATURE_TYPE_LOW_NUMBER_PRESENT": "missing_feature",
    "FEATURE_TYPE_NOT_PRESENT": "missing_feature",
    "FEATURE_TYPE_NO_VALUES": "missing_feature",
    "FEATURE_TYPE_LOW_NUMBER_VALUES": "list_length",
    "FEATURE_TYPE_HIGH_NUMBER_VALUES": "list_length",
    "UNEXPECTED_DATA_TYPE": "wrong_type",
    "INT_TYPE_INT_EXPECTED": "wrong_type",
    "INT_TYPE_NOT_INT_STRING": "wrong_type",
    "INT_TYPE_NOT_STRING": "wrong_type",
    "INT_TYPE_STRING_EXPECTED": "wrong_type",
    "SCHEMA_NEW_COLUMN": "new_feature",
}


def schema_checks(
    rules: Rules, split: str, statistics: Dataset, anomalies: anomalies_pb2.Anomalies
) -> Iterator[Check]:
    """The schema's rules, on one split.

    Args:
      rules: what is asked.
      split: its name.
      statistics: of the split.
      anomalies: what TFX's ExampleValidator found in it.

    Yields:
      a check for each kind of anomaly in each feature, or one that says there was none.
    """
    rows = statistics.num_examples
    yield rules.check(
        "empty_split", split, holds=rows > 0, asked="at least one row", measured=f"{rows:,} rows"
    )
    found = dict(anomalies.anomaly_info.items())
    for name, info in sorted(found.items()):
        reasons: dict[str, list[str]] = {}
        for reason in info.reason:
            kind = _KINDS.get(anomalies_pb2.AnomalyInfo.Type.Name(reason.type), "other")
            reasons.setdefault(kind, []).append(reason.description)
        for kind, texts in reasons.items():
            yield rules.check(
                kind,
                f"'{name}' ({split})",
                holds=False,
                asked=_allowed(rules.schema, kind, name),
                measured=" ".join(texts).rstrip("."),
                details=_offending(rules, kind, _feature(statistics, name)),
            )
    if anomalies.HasField("dataset_anomaly_info") and rows:
        text = " ".join(reason.description for reason in anomalies.dataset_anomaly_info.reason)
        yield rules.check("other", split, holds=False, asked="no anomaly", measured=text)
    elif not found:
        yield rules.check("other", f"schema ({split})", holds=True, asked="no anomaly", measured="none")


def _allowed(schema: schema_pb2.Schema, kind: str, name: str) -> str:
    feature = next((f for f in schema.feature if f.name == name), schema_pb2.Feature())
    longest = str(feature.value_count.max) if feature.value_count.max else ""
    return {
        "new_values": f"allowed are ids {feature.int_domain.min}…{feature.int_domain.max}",
        "missing_feature": f"at least {feature.presence.min_fraction:.2%} of the rows must have it",
        "list_length": f"allowed are {feature.value_count.min}…{longest} ids in a row",
        "wrong_type": "allowed are int64 ids",
        "new_feature": f"the schema knows {', '.join(f.name for f in schema.feature)}",
    }.get(kind, "no anomaly is allowed")


def _offending(rules: Rules, kind: str, feature: Any) -> list[str]:
    if feature is None:
        return []
    common = feature.string_stats.common_stats if _ids(feature) else feature.num_stats.common_stats
    if kind == "list_length":
        return [f"the shortest list holds {common.min_num_values} ids, the longest {common.max_num_values}"]
    if kind == "missing_feature":
        return [f"{common.num_missing:,} rows lack it, {common.num_non_missing:,} have it"]
    if kind != "new_values":
        return []
    name = feature.path.step[0]
    domain = next(f.int_domain for f in rules.schema.feature if f.name == name)
    new = {v: n for v, n in _ids(feature).items() if not _within(v, domain)}
    shown = [f"{rules.name(name, v)} {n:,} times" for v, n in list(new.items())[:_EXAMPLES]]
    return ["new: " + ", ".join(shown) + (", …" if len(new) > _EXAMPLES else "")] if new else []


def _within(value: str, domain: schema_pb2.IntDomain) -> bool:
    try:
        return domain.min <= int(value) <= domain.max
    except ValueError:
        return False


def divergence_checks(
    rules: Rules, kind: str, measured: Mapping[str, float], ours: Split, theirs: Split, other: str
) -> Iterator[Check]:
    """Drift or skew of each feature's ids.

    Args:
      rules: what is asked.
      kind: `drift` or `skew`.
      measured: feature → TFDV's Jensen-Shannon divergence of the two distributions of ids, in bits.
      ours: the train split.
      theirs: what it was compared with: the previous span's train split, or a held-out split.
      other: what that is called.

    Yields:
      a check for each feature; one that fails names the ids whose share changed most.
    """
    limit = rules.settings.max_drift if kind == "drift" else rules.settings.max_skew
    for name, divergence in sorted(measured.items()):
        if ours.parts is None or theirs.parts is None:
            yield _unknown_chance(rules, kind, name, divergence)
            continue
        a, b = ours.sample(name), theirs.sample(name)
        by_chance = chance(a, b)
        shifts = [f"{text} in {other}" for text in _shifts(rules, name, a.counts, b.counts)]
        yield rules.check(
            kind,
            f"'{name}' ({TEST})" if other == TEST and rules.presplit else f"'{name}'",
            holds=divergence <= limit + by_chance,
            asked=f"at most {limit + by_chance:.4f} is allowed, of which {by_chance:.4f} may be chance",
            measured=f"Jensen-Shannon divergence {divergence:.4f}",
            details=[*shifts, *_what_it_means(rules, kind, divergence - by_chance)],
            scale=Scale(value=divergence, limit=limit + by_chance, at_least=False),
        )


def other_vocabulary_check() -> Check:
    """Says that drift cannot be measured: by another vocabulary, equal ids mean other symbols."""
    return Check(
        kind="drift",
        name="drift",
        asked="it is not judged: the previous span was ingested under another vocabulary",
        measured="nothing was compared",
        outcome=Outcome.WARNED,
        details=("from the next span on it will be",),
    )


def _unknown_chance(rules: Rules, kind: str, name: str, divergence: float) -> Check:
    return Check(
        kind=kind,
        name=kind,
        subject=f"'{name}'",
        asked="it is not judged: an earlier version of maskline made the statistics of the previous span",
        measured=f"Jensen-Shannon divergence {divergence:.4f}",
        outcome=Outcome.WARNED,
        details=("from the next span on it will be; to judge this one, ingest the previous span again",),
    )


def _what_it_means(rules: Rules, kind: str, beyond_chance: float) -> Iterator[str]:
    yield f"expect a false alarm in about 1 of {1 / ALARMS:,.0f} comparisons"
    if kind == "skew" and not rules.presplit:
        yield "a hash of each row made the splits, so that few rows, or a few that repeat, are a likely cause"
    enough = math.ceil(beyond_chance * 1e4) / 1e4
    yield f"if it is meant: --set {SECTION}.max_{kind}={enough:.4f}, or --set {SECTION}.severity.{kind}=warn"


def shared_rows_check(rules: Rules, ours: Parts, held_out: Parts, *, of: str, among: str) -> Check:
    """Whether rows that a model is judged by are rows that it was trained on, or that chose its epoch.

    Args:
      rules: what is asked.
      ours: the split that the model learned from.
      held_out: the split that it is judged by.
      of: the name of `held_out`, and
      among: of `ours`.
    """
    share = shared_rows(held_out, ours)
    why = "where a model can learn it by heart" if among == TRAIN else "which chooses the epoch"
    return rules.check(
        "shared_rows",
        of if among == TRAIN else f"{of} and {among}",
        holds=share == 0,
        asked=f"no row of {of} should also stand in {among}, {why}",
        measured=f"{share:.2%} of the {held_out.rows:,} {of} rows do",
    )


def _shifts(rules: Rules, feature: str, ours: Mapping[str, int], theirs: Mapping[str, int]) -> list[str]:
    """The ids that changed most: `id 7 '+': 0.00 % of the ids, 11.11 %`."""

    def share(counts: Mapping[str, int], value: str) -> float:
        return counts.get(value, 0) / max(1, sum(counts.values()))

    values = sorted(
        ours.keys() | theirs.keys(), key=lambda v: abs(share(ours, v) - share(theirs, v)), reverse=True
    )
    return [
        f"{rules.name(feature, v)} is {share(ours, v):.2%} of the ids, {share(theirs, v):.2%}"
        for v in values[:_EXAMPLES]
    ]


def row_checks(rules: Rules, report: IngestReport, rows: int) -> Iterator[Check]:
    """What the ingest set aside.

    Args:
      rules: what is asked.
      report: of the ingest.
      rows: those that statistics were made of, all splits together.
    """
    read, bad, limit = report.rows_in, report.bad_rows, rules.settings.max_bad_rows
    counted = ", ".join(f"{count:,} {reason}" for reason, count in report.quarantined.items())
    yield rules.check(
        "bad_rows",
        holds=bad <= limit * read,
        asked=f"at most {limit:.2%} is allowed",
        measured=f"{bad:,} of {read:,} rows, {bad / max(1, read):.2%}" + (f" ({counted})" if counted else ""),
        details=[f"{row.file}: record {row.record}: {row.reason}" for row in report.examples[:_EXAMPLES]],
        scale=Scale(value=bad / max(1, read), limit=limit, at_least=False),
    )
    yield rules.check(
        "lost_rows",
        holds=read == rows + bad,
        asked="every row that was read must be ingested or quarantined",
        measured=f"{read:,} read, {rows:,} ingested, {bad:,} quarantined",
    )
    for name, kinds in report.dropped.items():
        counted = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
        yield rules.check(
            "new_feature",
            f"'{name}'",
            holds=False,
            asked=_allowed(rules.schema, "new_feature", name),
            measured=f"{sum(kinds.values()):,} rows hold it ({counted}); the ingest dropped it",
        )
    if broken := len(report.corrupt):
        yield rules.check(
            "corrupt_file",
            holds=False,
            asked="every file should be read to its end",
            measured=f"{broken:,} {'file was' if broken == 1 else 'files were'} not",
            details=[f"{f.file}: {f.reason}; {f.unread_bytes:,} bytes were not read" for f in report.corrupt],
        )


def fitting_checks(rules: Rules, report: IngestReport, statistics: Mapping[str, Dataset]) -> Iterator[Check]:
    """What the ingest changed so that rows fit.

    Args:
      rules: what is asked.
      report: of the ingest.
      statistics: of the splits, by name; the unknown symbol's ids are counted there, whoever wrote them.

    Yields:
      a check for each feature where there is an unknown symbol, and one where rows may be cut.
    """
    spec, settings = rules.spec, rules.settings
    known = _computed(rules, statistics[TRAIN]) if spec.is_computed else None
    stands_for_it = spec.unknown if spec.text.reads_text else str(spec.unknown_id)
    for name in spec.features if spec.unknown else ():
        counts = [_ids(_feature(split, name)) for split in statistics.values()]
        total = sum(sum(ids.values()) for ids in counts)
        unknown = sum(ids.get(stands_for_it, 0) for ids in counts)
        if known is not None:
            unknown = sum(n for ids in counts for symbol, n in ids.items() if symbol not in known)
        share = unknown / max(1, total)
        yield rules.check(
            "unknown",
            f"'{name}'",
            holds=share <= settings.max_unknown,
            asked=f"at most {settings.max_unknown:.2%} is allowed",
            measured=f"{unknown:,} of {total:,} ids are {spec.unknown}, {share:.2%}",
            details=[]
            if known is not None
            else [f"{report.unknown.get(name, 0):,} of them were outside the vocabulary"],
            scale=Scale(value=share, limit=settings.max_unknown, at_least=False),
        )
    if spec.too_long != "refuse":
        rows, limit = sum(report.splits.values()), settings.max_too_long
        share = report.cut / max(1, rows)
        yield rules.check(
            "too_long",
            holds=share <= limit,
            asked=f"at most {limit:.2%} is allowed",
            measured=f"{report.cut:,} of {rows:,} rows were longer than {spec.length} ids, {share:.2%}",
            scale=Scale(value=share, limit=limit, at_least=False),
        )


def _computed(rules: Rules, train: Dataset) -> frozenset[str]:
    """The symbols that a computed vocabulary has, by the counts of the train rows."""
    together = Counter[str]()
    for name in rules.spec.features:
        together.update(_ids(_feature(train, name)))
    text = rules.spec.text
    # As Transform orders them: the most frequent first, of equal ones the later in the alphabet.
    order = sorted(together.items(), key=lambda entry: (entry[1], entry[0].encode()), reverse=True)
    frequent = [symbol for symbol, count in order if count >= text.min_count and symbol != rules.spec.unknown]
    return frozenset(frequent[: text.size])


def _feature(statistics: Dataset, name: str) -> Any:
    return next((f for f in statistics.features if list(f.path.step) == [name]), None)


def _ids(feature: Any) -> dict[str, int]:
    """Id, as text → how often it occurs; the most frequent first."""
    if feature is None:
        return {}
    return {b.label: int(b.sample_count) for b in feature.string_stats.rank_histogram.buckets}
