"""What the data gate looks at: rows set aside, the schema's rules, drift and skew. No TFX, no TensorFlow."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from maskline.components.data_gate.divergence import chance
from maskline.components.data_gate.rules import Rules
from maskline.components.ingest.quarantine import Report
from maskline.components.verdict import Check

Dataset: TypeAlias = statistics_pb2.DatasetFeatureStatistics
_EXAMPLES = 5  # offending values that a check names

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
    domain = next(f.int_domain for f in rules.schema.feature if f.name == feature.path.step[0])
    new = {v: n for v, n in _ids(feature).items() if not _within(v, domain)}
    shown = [f"id {rules.name(v)} {n:,} times" for v, n in list(new.items())[:_EXAMPLES]]
    return ["new: " + ", ".join(shown) + (", …" if len(new) > _EXAMPLES else "")] if new else []


def _within(value: str, domain: schema_pb2.IntDomain) -> bool:
    try:
        return domain.min <= int(value) <= domain.max
    except ValueError:
        return False


def divergence_checks(
    rules: Rules, kind: str, measured: Mapping[str, float], ours: Dataset, theirs: Dataset
) -> Iterator[Check]:
    """Drift or skew of each feature's ids.

    Args:
      rules: what is asked.
      kind: `drift` or `skew`.
      measured: feature → TFDV's Jensen-Shannon divergence of the two distributions of ids, in bits.
      ours: statistics of the train split.
      theirs: what they were compared with: the previous span's train split, or the eval split.

    Yields:
      a check a feature; one that fails names the ids whose share changed most.
    """
    limit = rules.settings.max_drift if kind == "drift" else rules.settings.max_skew
    before = "in the previous span" if kind == "drift" else "in eval"
    for name, divergence in sorted(measured.items()):
        a, b = _ids(_feature(ours, name)), _ids(_feature(theirs, name))
        allowed = limit + chance(a, b)
        yield rules.check(
            kind,
            f"'{name}'",
            holds=divergence <= allowed,
            asked=f"at most {allowed:.4f} is allowed",
            measured=f"Jensen-Shannon divergence {divergence:.4f}",
            details=[f"{text} {before}" for text in _shifts(rules, a, b)],
        )


def _shifts(rules: Rules, ours: Mapping[str, int], theirs: Mapping[str, int]) -> list[str]:
    """The ids that changed most: `id 7 '+': 0.00 % of the ids, 11.11 %`."""

    def share(counts: Mapping[str, int], value: str) -> float:
        return counts.get(value, 0) / max(1, sum(counts.values()))

    values = sorted(
        ours.keys() | theirs.keys(), key=lambda v: abs(share(ours, v) - share(theirs, v)), reverse=True
    )
    return [
        f"id {rules.name(v)} is {share(ours, v):.2%} of the ids, {share(theirs, v):.2%}"
        for v in values[:_EXAMPLES]
    ]


def row_checks(rules: Rules, report: Report, rows: int) -> Iterator[Check]:
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
    )
    yield rules.check(
        "lost_rows",
        holds=read == rows + bad,
        asked="every row that was read must be ingested or quarantined",
        measured=f"{read:,} read, {rows:,} ingested, {bad:,} quarantined",
    )
    if broken := len(report.corrupt):
        yield rules.check(
            "corrupt_file",
            holds=False,
            asked="every file should be read to its end",
            measured=f"{broken:,} {'file was' if broken == 1 else 'files were'} not",
            details=[f"{f.file}: {f.reason}; {f.unread_bytes:,} bytes were not read" for f in report.corrupt],
        )


def _feature(statistics: Dataset, name: str) -> Any:
    return next((f for f in statistics.features if list(f.path.step) == [name]), None)


def _ids(feature: Any) -> dict[str, int]:
    """Id, as text → how often it occurs; the most frequent first."""
    if feature is None:
        return {}
    return {b.label: int(b.sample_count) for b in feature.string_stats.rank_histogram.buckets}
