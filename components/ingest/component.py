"""ExampleGen for TFRecord shards: ingests one delivery, and tells what became of its rows."""

import gzip
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from tfx import types
from tfx.components.example_gen.driver import FileBasedDriver
from tfx.components.example_gen.write_split import to_file_format_str
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from maskline.components.artifacts import QuarantineArtifact
from maskline.components.ingest import spans
from maskline.components.ingest.beam import Ingest, ReadShard
from maskline.components.ingest.groups import SETTING, check_parts
from maskline.components.ingest.listing import Listing, list_shards
from maskline.components.ingest.quarantine import IngestReport
from maskline.transform import own_code
from maskline.transform.errors import InputError
from maskline.transform.features import SequenceSpec
from maskline.transform.names import (
    EVAL,
    QUARANTINE_REPORT_FILE,
    READ_FROM,
    ROWS_READ,
    SEQUENCE_DIGEST,
    SPLITS,
    TEST,
)
from maskline.transform.versioned import FORMAT

# The parameter that says which span to ingest; `span` is what the driver found.
WANTED_SPAN = "wanted_span"


class IngestSettings(BaseModel):
    """What an ingest depends on besides its shards.

    Attributes:
      sequence: what a row may hold.
      pattern: which files of a delivery are shards (`data.pattern`).
      eval_percent: share of the rows that is held out, by a hash of the row; None where a delivery holds
        `train/` and `eval/`.
      test_share: share of the held-out rows that becomes the test split; the others are the eval split.
      min_test_rows: of a test split; fewer are put to the eval split.
      split_by: what decides the split in place of the whole row; see `groups.key_of`.
      split_source: the hash of its source where it is a function; see `own_code.source`.
      on_corrupt: whether a damaged shard ends the ingest, or the rows before the damage are used.
      success_marker: see `maskline.components.ingest.spans.find`, as `unchanged_for`.
      unchanged_for: seconds.
      fingerprint: of the source.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sequence: SequenceSpec
    pattern: str
    eval_percent: int | None = 20
    test_share: float = 0.75
    min_test_rows: int = 200
    split_by: str = ""
    split_source: str = ""
    on_corrupt: Literal["fail", "quarantine"] = "fail"
    success_marker: str = ""
    unchanged_for: float = 60
    fingerprint: str = ""


class Driver(FileBasedDriver):
    """Hands the executor the list of shards; outputs with `span` and `version` and the cache are TFX's.

    A local run hands its list over: what it looked at is what is ingested, whatever is delivered in between.
    On a cluster nothing else stands before the node, and a run's parameters may name another place or span
    than the settings; there, the list is made here.
    """

    def resolve_exec_properties(
        self, exec_properties: dict[str, Any], pipeline_info: Any, component_info: Any
    ) -> dict[str, Any]:
        """See TFX's.

        Raises:
          InputError: the span is not there or not complete, no shard is, or the data are in no volume.
        """
        path, wanted = exec_properties["input_base"], exec_properties[WANTED_SPAN]
        if given := exec_properties.get("listing"):
            listing = Listing.model_validate_json(given)
        else:
            settings = IngestSettings.model_validate_json(exec_properties["settings"])
            listing = find_listing(path, wanted, settings)
        return exec_properties | {
            "input_base": listing.folder,
            # By its number, so that a span that was ingested as the latest comes from the cache later on.
            WANTED_SPAN: str(listing.span) if spans.is_pattern(path) else wanted,
            # A new file that is no shard changes nothing.
            "listing": listing.model_copy(update={"hidden": 0}).model_dump_json(),
            "input_fingerprint": listing.digest,
            "span": listing.span,
            "version": listing.version,
        }


def find_listing(path: str, wanted: str, settings: IngestSettings) -> Listing:
    """Finds the delivery that is asked for, and lists its shards.

    Args:
      path: of a folder; with placeholders, of each span.
      wanted: the span: a number, a date or `latest`.
      settings: which files are shards, and when a span is complete.

    Raises:
      InputError: as the driver does.
    """
    if "://" in path:
        raise InputError(
            f"{path}: shards are read from a volume; mount the bucket as one, or copy the shards there"
        )
    presplit = settings.eval_percent is None
    if not spans.is_pattern(path):
        if wanted != spans.LATEST:
            raise InputError(
                f"span {wanted} was asked for; that needs a path with {{SPAN}} or {{YYYY}}-{{MM}}-{{DD}}, "
                f"and it is {path}"
            )
        return list_shards(path, settings.pattern, presplit=presplit)
    if problem := spans.pattern_problem(path):
        raise InputError(f"{path}: {problem}")
    found = spans.find(path, success_marker=settings.success_marker, unchanged_for=settings.unchanged_for)
    span = spans.select(path, found, wanted)
    return list_shards(
        span.folder, settings.pattern, presplit=presplit, span=span.number, version=span.version
    )


class Executor(base_beam_executor.BaseBeamExecutor):
    """Writes the examples as TFX does, and the quarantine beside them."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Ingests one delivery.

        Raises:
          InputError: a shard cannot be read to its end, and `on_corrupt` is `fail`; or it was written to
            after it was listed; or `split_by` puts all rows into one part.
          RuntimeError: rows read and rows written do not agree, or a shard was not read.
        """
        [examples], [quarantine] = output_dict["examples"], output_dict["quarantine"]
        settings = IngestSettings.model_validate_json(exec_properties["settings"])
        listing = Listing.model_validate_json(exec_properties["listing"])
        # TFX writes custom properties of these names, and reads the properties, which would be 0.
        for artifact in (examples, quarantine):
            artifact.span, artifact.version = listing.span, listing.version
        _check_source(settings)
        reader = ReadShard(
            listing.folder,
            settings.sequence,
            train_percent=100 - (settings.eval_percent or 0),
            test_share=settings.test_share,
            split_by=settings.split_by,
            keep_readable=settings.on_corrupt == "quarantine",
        )
        examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
        folders = {split: artifact_utils.get_split_uri([examples], split) for split in SPLITS}
        fileio.makedirs(quarantine.uri)
        with self._make_beam_pipeline() as pipeline:
            _ = pipeline | Ingest(reader, listing, folders, quarantine.uri)
        with fileio.open(f"{quarantine.uri}/{QUARANTINE_REPORT_FILE}") as file:
            report = IngestReport.model_validate_json(file.read())
        if settings.split_by:
            check_parts(settings.split_by, report)
        few = report.splits.get(TEST, 0) < settings.min_test_rows and settings.eval_percent is not None
        if few and TEST in report.splits:
            report = _without_test(report, folders, quarantine.uri)
        examples.set_int_custom_property(FORMAT, 1)
        examples.set_int_custom_property(ROWS_READ, report.rows_in)
        examples.set_string_custom_property(READ_FROM, exec_properties["input_base"])
        examples.set_string_custom_property(SEQUENCE_DIGEST, settings.sequence.digest)
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(examples, to_file_format_str(example_gen_pb2.FORMAT_TFRECORDS_GZIP))


def _check_source(settings: IngestSettings) -> None:
    """The function that is here must be the one that the run was made for: its hash names what comes out."""
    if own_code.is_path(settings.split_by):
        here = own_code.source(settings.split_by, SETTING)
        if here != settings.split_source:
            raise InputError(
                f"{SETTING}: the source of {settings.split_by} here is not the one that the run was made "
                "with; build the image again, or compile the pipeline again"
            )


def _without_test(report: IngestReport, folders: dict[str, str], quarantine: str) -> IngestReport:
    """Puts the rows of a test split that is too small to the eval split, which then does both."""
    for number, name in enumerate(sorted(fileio.listdir(folders[TEST]))):
        fileio.rename(f"{folders[TEST]}/{name}", f"{folders[EVAL]}/{TEST}_{number}_{name}")
    with fileio.open(f"{folders[TEST]}/empty.gz", "wb") as file:
        file.write(gzip.compress(b""))
    rows = dict(report.splits)
    rows[EVAL] += rows.pop(TEST)
    report = report.model_copy(update={"splits": rows})
    with fileio.open(f"{quarantine}/{QUARANTINE_REPORT_FILE}", "w") as file:
        file.write(report.model_dump_json(indent=1))
    return report


class ShardExampleGenSpec(ComponentSpec):
    """A place and the span that is asked for, or the list of its shards; examples and quarantine out."""

    PARAMETERS = {
        "input_base": ExecutionParameter(type=str),
        WANTED_SPAN: ExecutionParameter(type=str),
        "listing": ExecutionParameter(type=str),
        "settings": ExecutionParameter(type=str),
    }
    INPUTS: dict[str, ChannelParameter] = {}
    OUTPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "quarantine": ChannelParameter(type=QuarantineArtifact),
    }


class ShardExampleGen(base_beam_component.BaseBeamComponent):
    """Ingests one delivery of TFRecord shards, plain or gzip, into splits train, eval and test.

    Args:
      path: the folder of the shards; with placeholders (`maskline.components.ingest.spans`), of each span.
      settings: what the ingest depends on besides.
      span: a number, a date or `latest`, for a path with placeholders.
      listing: the shards, where they were listed already; else the driver lists them.

    Outputs:
      `examples`, with splits train, eval and test; `quarantine`, the rows that were set aside, with the
      report.
    """

    SPEC_CLASS = ShardExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
    DRIVER_CLASS = Driver

    def __init__(
        self,
        path: str,
        settings: IngestSettings,
        *,
        span: int | str = spans.LATEST,
        listing: Listing | None = None,
    ) -> None:
        spec = ShardExampleGenSpec(
            input_base=path,
            listing=listing.model_dump_json() if listing else "",
            settings=settings.model_dump_json(),
            examples=types.Channel(type=standard_artifacts.Examples),
            quarantine=types.Channel(type=QuarantineArtifact),
            **{WANTED_SPAN: str(span)},
        )
        super().__init__(spec=spec)
