"""DataGate: decides, before anything is trained, whether the data may be trained on."""

import io
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

# TFX first: it stands in for a module of tfx-bsl that TensorFlow Data Validation looks for.
from tfx import types

# isort: split
import os

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2
from tfx.components.example_validator.executor import DEFAULT_FILE_NAME
from tfx.components.statistics_gen.stats_artifact_utils import load_statistics
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import io_utils

from maskline.components.artifacts import QuarantineArtifact, VerdictArtifact
from maskline.components.data_gate import resampling
from maskline.components.data_gate.checks import (
    Dataset,
    Split,
    divergence_checks,
    fitting_checks,
    other_vocabulary_check,
    row_checks,
    schema_checks,
    shared_rows_check,
)
from maskline.components.data_gate.rules import SECTION, DataGateSettings, Rules
from maskline.components.ingest.quarantine import IngestReport
from maskline.components.reads import ReadsPart
from maskline.components.verdict import Check, Outcome, Verdict
from maskline.transform.features import SequenceSpec
from maskline.transform.names import (
    EVAL,
    EXAMPLES_ID,
    QUARANTINE_REPORT_FILE,
    SPAN,
    SPLITS,
    STATISTICS_ID,
    TEST,
    TRAIN,
    VERSION,
    VOCABULARY_DIGEST,
    VOCABULARY_SIZE,
)


class DataGateSpec(ComponentSpec):
    """All that was found out about one ingest; the verdict on it."""

    PARAMETERS = {
        "settings": ExecutionParameter(type=str),
        "sequence": ExecutionParameter(type=str),
        "presplit": ExecutionParameter(type=int),
        "root": ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "schema": ChannelParameter(type=standard_artifacts.Schema),
        "anomalies": ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        "previous": ChannelParameter(type=standard_artifacts.ExampleStatistics, optional=True),
        "quarantine": ChannelParameter(type=QuarantineArtifact),
    }
    OUTPUTS = {"verdict": ChannelParameter(type=VerdictArtifact)}


class Executor(ReadsPart, base_executor.BaseExecutor):
    """Collects the checks and writes the verdict."""

    READS = {"examples": ()}

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: Mapping[str, Any],
    ) -> None:
        """Writes `verdict`, and on it which ingest it is about."""
        rules = Rules(
            DataGateSettings.model_validate_json(exec_properties["settings"]),
            _schema(input_dict),
            SequenceSpec.model_validate_json(exec_properties["sequence"]),
            bool(exec_properties["presplit"]),
        )
        checks = [
            _with_command(check, input_dict, os.path.abspath(exec_properties["root"]))
            for check in _checks(rules, input_dict)
        ]
        verdict = artifact_utils.get_single_instance(output_dict["verdict"])
        verdict.write(Verdict(checks=tuple(checks)))
        [examples], [statistics] = input_dict["examples"], input_dict["statistics"]
        verdict.set_int_custom_property(EXAMPLES_ID, examples.id)
        verdict.set_int_custom_property(STATISTICS_ID, statistics.id)
        verdict.set_int_custom_property(SPAN, examples.span)
        verdict.set_int_custom_property(VERSION, examples.version)


def _checks(rules: Rules, inputs: Mapping[str, list[types.Artifact]]) -> Iterator[Check]:
    [statistics] = inputs["statistics"]
    names = artifact_utils.decode_split_names(statistics.split_names)
    splits = {name: _split(statistics, name) for name in SPLITS if name in names}
    if TEST in splits and not splits[TEST].statistics.num_examples:
        del splits[TEST]  # there were too few rows for a part of its own, or the user made none
    for report in map(_report, inputs["quarantine"]):
        rows = sum(split.statistics.num_examples for split in splits.values())
        yield from row_checks(rules, report, rows)
        measured = {name: split.statistics for name, split in splits.items()}
        yield from fitting_checks(rules, report, measured)
    for name, split in splits.items():
        yield from schema_checks(rules, name, split.statistics, _anomalies(inputs["anomalies"], name))
    train, held_out = splits[TRAIN], {name: split for name, split in splits.items() if name != TRAIN}
    if rules.presplit:
        for name, split in held_out.items():
            for other in (TRAIN, EVAL) if name == TEST else (TRAIN,):
                if split.parts and (theirs := splits[other].parts):
                    yield shared_rows_check(rules, theirs, split.parts, of=name, among=other)
    elif TEST in held_out:
        # A hash deals out both alike: the part that decides the release stands for both.
        del held_out[EVAL]
    for previous in inputs.get("previous", ()):
        if not _ids_mean_the_same(previous, rules.spec):
            yield other_vocabulary_check()
            continue
        before = _split(previous, TRAIN)
        drift = divergences(rules.schema, train.statistics, drift=before.statistics)["drift"]
        yield from divergence_checks(rules, "drift", drift, train, before, "the previous span")
    for name, split in held_out.items():
        skew = divergences(rules.schema, train.statistics, skew=split.statistics)["skew"]
        yield from divergence_checks(rules, "skew", skew, train, split, name)


def _ids_mean_the_same(statistics: types.Artifact, spec: SequenceSpec) -> bool:
    """Whether every id that was counted means the same symbol today; more symbols may have come since."""
    size = statistics.get_int_custom_property(VOCABULARY_SIZE)
    # Statistics of earlier releases of maskline do not say by which vocabulary they were counted.
    return size == 0 or (
        size <= spec.size
        and statistics.get_string_custom_property(VOCABULARY_DIGEST) == spec.vocabulary_digest(size)
    )


def divergences(
    schema: schema_pb2.Schema, train: Dataset, *, skew: Dataset | None = None, drift: Dataset | None = None
) -> dict[str, dict[str, float]]:
    """Compares distributions of ids with TFDV.

    Args:
      schema: names the features; their ids are categories.
      train: what is compared.
      skew: a held-out split.
      drift: the train split of an earlier span.

    Returns:
      kind → feature → Jensen-Shannon divergence in bits. What is empty is compared with nothing.
    """
    schema = schema_pb2.Schema.FromString(schema.SerializeToString())
    for feature in schema.feature:
        # Without a threshold TFDV does not measure; what is allowed depends on the number of ids.
        feature.drift_comparator.jensen_shannon_divergence.threshold = 1.0
        feature.skew_comparator.jensen_shannon_divergence.threshold = 1.0
    found = tfdv.validate_statistics(
        _list(train),
        schema,
        previous_statistics=drift and _list(drift),
        serving_statistics=skew and _list(skew),
    )
    measured: dict[str, dict[str, float]] = {"drift": {}, "skew": {}}
    for info in found.drift_skew_info:
        for kind, measurements in (("drift", info.drift_measurements), ("skew", info.skew_measurements)):
            for measurement in measurements:
                measured[kind][".".join(info.path.step)] = measurement.value
    return measured


def _with_command(check: Check, inputs: Mapping[str, list[types.Artifact]], root: str) -> Check:
    """Adds the command that shows more."""
    if check.outcome is Outcome.PASSED:
        return check
    # Local nodes work in the root, so a path may be relative to it; the command is typed elsewhere.
    train = shlex.quote(os.path.join(root, artifact_utils.get_split_uri(inputs["examples"], TRAIN)))
    root = shlex.quote(root)
    stats, show = f"maskline data stats {train} --root {root}", f"maskline show --root {root} --json"
    command = {
        "drift": stats, "skew": stats, "shared_rows": stats,
        "unknown": stats, "too_long": show,
        "bad_rows": show, "lost_rows": show, "corrupt_file": show, "empty_split": show,
    }.get(check.kind, f"maskline schema diff --root {root}")  # fmt: skip
    details = [*check.details, f"more: {command}"]
    if check.outcome is Outcome.BLOCKED and check.kind not in ("drift", "skew"):  # which say it themselves
        details.insert(-1, f"to let it through: --set {SECTION}.severity.{check.kind}=warn")
    return check.model_copy(update={"details": tuple(details)})


def _split(statistics: types.Artifact, name: str) -> Split:
    found = load_statistics(statistics, name).proto().datasets[0]
    file = f"{artifact_utils.get_split_uri([statistics], name)}/{resampling.FILE}"
    if not fileio.exists(file):
        return Split(found, None)
    with fileio.open(file, "rb") as content:
        return Split(found, resampling.Parts.read(io.BytesIO(content.read())))


def _list(dataset: Dataset) -> Any:
    return statistics_pb2.DatasetFeatureStatisticsList(datasets=[dataset])


def _schema(inputs: Mapping[str, list[types.Artifact]]) -> schema_pb2.Schema:
    folder = artifact_utils.get_single_uri(inputs["schema"])
    return io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(folder))


def _anomalies(artifacts: list[types.Artifact], split: str) -> anomalies_pb2.Anomalies:
    file = f"{artifact_utils.get_split_uri(artifacts, split)}/{DEFAULT_FILE_NAME}"
    with fileio.open(file, "rb") as content:
        return anomalies_pb2.Anomalies.FromString(content.read())


def _report(quarantine: types.Artifact) -> IngestReport:
    with fileio.open(f"{quarantine.uri}/{QUARANTINE_REPORT_FILE}") as content:
        return IngestReport.model_validate_json(content.read())


class DataGate(base_component.BaseComponent):
    """Turns all that is known about one ingest into a verdict.

    Args:
      examples: the ingest.
      statistics: of its splits, with ids as categories.
      schema: the curated one.
      anomalies: what ExampleValidator found.
      quarantine: the rows that were set aside, and the ingest's report.
      previous: statistics of the newest earlier span that passed; none at first.
      settings: limits and severities.
      sequence: names, ids and symbols.
      presplit: the user made the splits, not a hash of each row.
      root: the directory of the runs, for the commands that a verdict names.
      fingerprint: of the source; part of the cache key.
    """

    SPEC_CLASS = DataGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        examples: types.BaseChannel,
        statistics: types.BaseChannel,
        schema: types.BaseChannel,
        anomalies: types.BaseChannel,
        quarantine: types.BaseChannel,
        previous: types.BaseChannel,
        settings: DataGateSettings,
        sequence: SequenceSpec,
        presplit: bool,
        root: str,
        fingerprint: str,
    ) -> None:
        spec = DataGateSpec(
            examples=examples,
            statistics=statistics,
            schema=schema,
            anomalies=anomalies,
            previous=previous,
            quarantine=quarantine,
            settings=settings.model_dump_json(),
            sequence=sequence.model_dump_json(),
            presplit=int(presplit),
            root=root,
            fingerprint=fingerprint,
            verdict=types.Channel(type=VerdictArtifact),
        )
        super().__init__(spec=spec)
