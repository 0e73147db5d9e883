"""Proposes the change of the curated schema that would accept what the last run read. No TensorFlow."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from maskline.components.verdict import Outcome
from maskline.pipeline.local import inputs
from maskline.pipeline.registry.history import History
from maskline.pipeline.registry.record import Run
from maskline.pipeline.registry.store import must_exist, no_run
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec, schema_problem


class SchemaChange(NamedTuple):
    """The schema as it is and as it would be, as text; and what no schema can change."""

    run: str
    file: Path | None
    before: str
    after: str
    notes: tuple[str, ...]

    def diff(self) -> str:
        """A unified diff; empty where nothing would change."""
        name = str(self.file or "schema that follows from sequence")
        lines = difflib.unified_diff(
            self.before.splitlines(),
            self.after.splitlines(),
            name,
            f"{name} (with run {self.run})",
            lineterm="",
        )
        return "\n".join(lines)


def propose(settings: Settings) -> SchemaChange:
    """The change that would accept the data of the last run.

    Raises:
      InputError: there is no run that came as far as statistics, or the schema file is wrong.
    """
    must_exist(settings.metadata_file, settings.serving_dir)
    run = History(settings.metadata_file, settings.serving_dir, read_only=True).latest()
    if run is None:
        raise no_run(settings.metadata_file, settings.serving_dir)
    if run.statistics is None:
        raise InputError(f"{settings.root}: no run has read data yet; `maskline run` does")
    if not run.statistics.exists():
        raise InputError(f"{run.statistics}: the last run's statistics are gone; `maskline run` makes them")
    before = inputs.read_schema(settings.data.schema_file, settings.sequence)
    schema = text_format.Parse(before, schema_pb2.Schema())
    widened = widen(schema, _datasets(run.statistics))
    after = before if widened == schema else text_format.MessageToString(widened)
    return SchemaChange(run.run, settings.data.schema_file, before, after, tuple(_notes(run)))


def accept_change(settings: Settings) -> SchemaChange:
    """Writes the proposed schema into the curated file.

    Raises:
      InputError: as in `propose`; no file is set, or the sequence settings cannot take such data.
    """
    change = propose(settings)
    if change.file is None:
        raise InputError(
            "data.schema is not set, so the schema follows from sequence; "
            "set data.schema to a file to curate one"
        )
    if change.after != change.before:
        schema = text_format.Parse(change.after, schema_pb2.Schema())
        if problem := schema_problem(schema, settings.sequence) or _lacking(schema, settings.sequence):
            raise InputError(f"{change.file}: not changed: {problem}; fix the data, or change sequence first")
        _write(change.file, change.after)
    return change


def widen(
    schema: schema_pb2.Schema, datasets: Iterable[statistics_pb2.DatasetFeatureStatistics]
) -> schema_pb2.Schema:
    """The narrowest schema that allows what `schema` allows and what the data hold.

    Ranges of ids, lengths of lists and presence grow; features that the schema does not know stay out,
    since nothing would read them.
    """
    widened = schema_pb2.Schema.FromString(schema.SerializeToString())
    for dataset in datasets:
        found = {statistics.path.step[0]: statistics for statistics in dataset.features}
        for feature in widened.feature if dataset.num_examples else ():
            _widen(feature, found.get(feature.name), dataset.num_examples)
    return widened


def _widen(feature: schema_pb2.Feature, statistics: Any, rows: int) -> None:
    kind = statistics.WhichOneof("stats") if statistics else None
    common = getattr(statistics, kind).common_stats if kind else statistics_pb2.CommonStatistics()
    present, presence = int(common.num_non_missing), feature.presence
    if presence.min_fraction > present / rows:
        presence.min_fraction = present / rows
    if presence.min_count > present:
        presence.min_count = present
    count, domain = feature.value_count, feature.int_domain
    if not present:
        return
    if count.min > common.min_num_values:
        count.min = common.min_num_values
    if count.HasField("max") and count.max < common.max_num_values:
        count.max = common.max_num_values
    ids = [int(b.label) for b in statistics.string_stats.rank_histogram.buckets if _is_int(b.label)]
    if domain.HasField("min") and ids:
        domain.min = min(domain.min, *ids)
    if domain.HasField("max") and ids:
        domain.max = max(domain.max, *ids)


def _is_int(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _lacking(schema: schema_pb2.Schema, spec: SequenceSpec) -> str | None:
    """Says what the schema would allow and the ingest would still set aside."""
    for feature in schema.feature:
        needed = feature.name in (*spec.inputs, spec.label)
        if needed and (feature.presence.min_fraction < 1 or feature.value_count.min < 1):
            return f"feature '{feature.name}' would be allowed to be missing; every row needs it"
        numbers, count = spec.numeric.get(feature.name, 0), feature.value_count
        if numbers and (count.min, count.max) != (numbers, numbers):
            return f"feature '{feature.name}' would not hold {numbers} numbers; sequence.numeric says so"
        if feature.name in spec.features and count.max > spec.length:
            return (
                f"feature '{feature.name}' would be allowed {feature.value_count.max} ids; "
                f"sequence.length is {spec.length}"
            )
    return None


def _notes(run: Run) -> Iterable[str]:
    for check in run.verdicts["DataGate"].checks if "DataGate" in run.verdicts else ():
        if check.outcome is Outcome.PASSED:
            continue
        if check.name in ("drift", "skew"):
            settings = f"data_gate.max_{check.name} and data_gate.severity.{check.name}"
            yield f"no schema accepts {check.name}, {settings} do: {check}"
        if check.name == "new feature":
            yield f"the pipeline does not read features that `sequence` does not name: {check}"
        if check.name == "bad rows":
            yield f"quarantined rows are outside `sequence`, and no schema accepts them: {check}"


def _datasets(folder: Path) -> list[statistics_pb2.DatasetFeatureStatistics]:
    files = sorted(folder.glob("Split-*/FeatureStats.pb"))
    lists = [statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes()) for file in files]
    return [dataset for found in lists for dataset in found.datasets]


def _write(file: Path, text: str) -> None:
    partial = file.with_name(f".{file.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror})") from None
