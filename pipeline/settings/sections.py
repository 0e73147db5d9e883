"""The one validated object that configures a run, composed of the settings of each part."""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from maskline.components.data_gate.rules import DataGateSettings
from maskline.components.evaluation.settings import EvaluationSettings
from maskline.components.evaluation.slices import SliceSpec, default_slices
from maskline.components.ingest import listing, spans
from maskline.components.model_checks.checks import ModelChecksSettings
from maskline.components.release_gate.settings import ReleaseGateSettings, Threshold
from maskline.pipeline.settings.cluster import ClusterSettings
from maskline.pipeline.settings.engine import BeamSettings
from maskline.pipeline.settings.notify import NotifySettings
from maskline.pipeline.settings.schedule import RetrainingSettings
from maskline.pipeline.settings.tracking import TrackingSettings
from maskline.pipeline.settings.tune import TuneRange, TuneValue
from maskline.trainer.settings import (
    ModelSettings,
    TrainingSettings,
    check_buckets,
    check_classes,
    check_queries,
    check_size,
)
from maskline.transform import own_code
from maskline.transform.errors import InputError
from maskline.transform.features import (
    SequenceSpec,
    numeric_task_problem,
    tagged_problem,
    text_task_problem,
)
from maskline.transform.sequence_settings import SequenceSettings
from maskline.transform.settings import Section, refusal, setting
from maskline.transform.shown import escaped, shown
from maskline.transform.task import TaskSpec


class DataSettings(Section):
    """Where the shards are, and which of them a run reads."""

    path: Path = setting(
        Path("data/reference"),
        "directory of TFRecord shards, plain or gzip; or one for each span, "
        "as `exports/span-{SPAN}` or `exports/{YYYY}-{MM}-{DD}/v{VERSION}`",
    )
    pattern: str = setting("*.tfrecord*", "which files of the directory are shards", min_length=1)
    presplit: bool = setting(
        False, "the directory holds `train/`, `eval/` and, if you have one, `test/`; nothing is split by hash"
    )
    span: int | str = setting(spans.LATEST, "the span to run on: `latest`, a number or a date")
    window: int = setting(
        1,
        "train on this many spans, the last up to this one; evaluate on this one",
        unit="spans",
        ge=1,
        le=10_000,
    )
    allow_fewer: bool = setting(False, "continue with fewer spans if some are missing or were blocked")
    success_marker: str = setting(
        "", "a span is complete when it contains this file, such as `_SUCCESS`; if empty, see `unchanged_for`"
    )
    unchanged_for: float = setting(
        60,
        "without a marker, a span is complete when it has not changed for this long",
        unit="seconds",
        ge=0,
        le=1e9,
    )
    schema_file: Path | None = setting(
        None, "the curated schema; without it, the schema follows from `sequence`", alias="schema"
    )
    eval_percent: int = setting(
        20, "share of the rows that are held out, chosen by hash", unit="percent", ge=1, le=99
    )
    test_share: float = setting(
        0.75,
        "share of the held-out rows that decides the release and chooses nothing (`test`); the others choose "
        "the epoch that is kept (`eval`); with 0, the same rows do both",
        unit="share",
        ge=0,
        lt=1,
    )
    min_test_rows: int = setting(
        200, "with fewer rows in `test`, all held-out rows do both", unit="rows", ge=1, le=10**12
    )
    split_by: str = setting(
        "",
        "what decides the split, so that rows with the same value stay together: a feature, such as a user "
        "or a document, or a function of the row, `package.module:function`; if empty, the whole row",
    )
    on_corrupt: Literal["fail", "quarantine"] = setting(
        "fail", "whether a truncated or damaged shard ends the run, or the rows before the damage are used"
    )

    @model_validator(mode="after")
    def _spans_agree(self) -> Self:
        if problem := spans.pattern_problem(self.path):
            raise refusal("path", f"{escaped(str(self.path))}: {problem}")
        if problem := listing.pattern_problem(self.pattern):
            raise refusal("pattern", problem)
        if ":" in self.split_by and not own_code.is_path(self.split_by):
            raise refusal(
                "split_by", f"{shown(self.split_by)} is neither a feature nor `package.module:function`"
            )
        if self.split_by and self.presplit:
            raise refusal(
                "split_by", "data.presplit is true, so the splits are made already; set one of them"
            )
        if "/" in self.success_marker or self.success_marker in (".", ".."):
            raise refusal("success_marker", f"{shown(self.success_marker)} is not a file's name; give a name")
        if not spans.is_pattern(self.path):
            for key, asked in (("span", self.span != spans.LATEST), ("window", self.window > 1)):
                if asked:
                    needed = "{SPAN} or {YYYY}-{MM}-{DD}"
                    raise refusal(key, f"needs a data.path with {needed}; it is {escaped(str(self.path))}")
        elif self.span != spans.LATEST:
            try:
                spans.span_number(self.path, self.span)
            except InputError as error:
                raise refusal("span", str(error).removeprefix("data.span: ")) from None
        return self

    @property
    def complete(self) -> dict[str, Any]:
        """When a span is complete, as `maskline.components.ingest.spans.find` takes it."""
        return {"success_marker": self.success_marker, "unchanged_for": self.unchanged_for}


class Settings(Section):
    """Everything that a run depends on."""

    model_config = ConfigDict(ignored_types=(cached_property,))

    root: Path = setting(
        Path("maskline-root"),
        "the directory of everything that runs write, with the metadata store and `serving/`",
    )
    data: DataSettings = DataSettings()
    # `sequence` below joins these two.
    sequence_section: SequenceSettings = Field(SequenceSettings(), alias="sequence")
    task: TaskSpec = TaskSpec()
    data_gate: DataGateSettings = DataGateSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    release_gate: ReleaseGateSettings = ReleaseGateSettings()
    model_checks: ModelChecksSettings = ModelChecksSettings()
    beam: BeamSettings = BeamSettings()
    schedule: RetrainingSettings = RetrainingSettings()
    notify: NotifySettings = NotifySettings()
    tracking: TrackingSettings = TrackingSettings()
    cluster: ClusterSettings = ClusterSettings()
    tune: dict[str, TuneRange | tuple[TuneValue, ...]] = setting(
        {},
        "what `maskline tune` tries: settings of `model` and `training`, each with a list or a range",
        unit="as the setting",
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if problem := tagged_problem(self.sequence):
            raise refusal("task.feature", problem)
        if problem := text_task_problem(self.sequence):
            raise refusal("task.kind", problem)
        if problem := numeric_task_problem(self.sequence):
            raise refusal("task.kind", problem)
        if self.sequence.numeric and self.model.build:
            raise refusal("model.build", "a model of your own reads ids alone; leave out sequence.numeric")
        check_buckets(self.model, self.training, self.sequence)
        check_size(self.model, self.sequence)
        check_queries(self.model, self.sequence)
        check_classes(self.training, self.sequence)
        for index, chosen in enumerate(self.evaluation.slices or ()):
            if problem := chosen.problem(self.sequence):
                raise refusal(f"evaluation.slices.{index}", problem)
        for index, bar in enumerate(self.release_gate.thresholds):
            if problem := self._problem(bar):
                raise refusal(f"release_gate.thresholds.{index}", problem)
        return self

    def _problem(self, bar: Threshold) -> str | None:
        """Says where a bar is for what no row can ever be, or None."""
        if problem := bar.problem(self.task.kind):
            return problem
        if bar.answer and bar.answer not in self.sequence.answer_ids:
            where = "one of task.classes" if self.task.classes else "in the vocabulary"
            return f"answer '{bar.answer}' is not {where}"
        names = {f"{s.name}={value}" for s in self.slices for value in s.values} | {
            s.name for s in self.slices
        }
        if bar.slice and bar.slice not in names:
            return f"no slice '{bar.slice}'; there are {', '.join(sorted(names))}"
        return None

    @cached_property
    def sequence(self) -> SequenceSpec:
        """The language of the data and what is predicted from them, as the rooms take it."""
        values = {name: getattr(self.sequence_section, name) for name in SequenceSettings.model_fields}
        return SequenceSpec(**values, task=self.task)

    def plain(self) -> dict[str, Any]:
        """All sections by the names that a user writes, in JSON's types; the task stands in `sequence`."""
        values = self.model_dump(mode="json", exclude={"sequence_section", "task"})
        return values | {"sequence": self.sequence.model_dump(mode="json")}

    @property
    def functions(self) -> dict[str, str]:
        """The functions of the user's own, as `package.module:function`, by the setting that names them."""
        named = {"model.build": self.model.build, "data.split_by": self.data.split_by}
        return {setting: path for setting, path in named.items() if own_code.is_of_users(path)}

    @property
    def split_source(self) -> str:
        """A hash of the source of the function that decides the split; empty without one of the user's own.

        Raises:
          InputError: it cannot be found.
        """
        path = self.functions.get("data.split_by")
        return own_code.source(path, "data.split_by") if path else ""

    @property
    def slices(self) -> tuple[SliceSpec, ...]:
        """How the eval rows are divided."""
        chosen = self.evaluation.slices
        return default_slices(self.sequence) if chosen is None else chosen

    @property
    def serving_dir(self) -> Path:
        """The directory of released versions."""
        return self.root / "serving" / "maskline"

    @property
    def metadata_file(self) -> Path:
        """The SQLite metadata store."""
        return self.root / "metadata.sqlite"
