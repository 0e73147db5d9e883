"""Our own evaluator for TFMA: reads whole batches, and measures all models and slices at once.

TFMA itself takes each row apart and fetches its label and prediction again for every metric, model and slice.
Here each batch becomes a few numpy arrays. The figures go to TFMA's own files, too, so that its loaders and
viewers work, and to `metrics.json`.
"""

import tfx.components  # noqa: F401, before TFMA, which does not import whole without it

# isort: split
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow_model_analysis as tfma
from numpy.typing import NDArray
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.metrics import metric_types
from tfx.dsl.io import fileio

from maskline.components.evaluation import rows, translation
from maskline.components.evaluation.answers import Answered, ModelAnswers, measure, read_logits, together
from maskline.components.evaluation.baselines import Baselines
from maskline.components.evaluation.each import EachBaselines, read_each
from maskline.components.evaluation.report import CANDIDATE, OVERALL, EvaluationReport
from maskline.components.evaluation.slices import SliceSpec
from maskline.components.evaluation.whole import WholeBaselines, read_whole
from maskline.components.ingest.shards import read_blocks
from maskline.transform.features import SequenceSpec
from maskline.transform.names import EVALUATION_FILE

AnyBaselines = Baselines | EachBaselines | WholeBaselines
_BATCH = 4096  # rows that the models are asked at once


def evaluator(
    models: Sequence[str],
    translated: Sequence[str],
    baselines: AnyBaselines,
    slices: Sequence[SliceSpec],
    spec: SequenceSpec,
    *,
    threshold: float,
    compared: Sequence[str],
    split: str,
    target: str,
    other_task: Mapping[str, str] = MappingProxyType({}),
) -> tfma.evaluators.Evaluator:
    """Makes the evaluator.

    Args:
      models: their names; the candidate's is among them.
      translated: those that were trained on another language (see `translation`).
      baselines: what they are compared with besides each other.
      slices: how to divide the rows.
      spec: names and symbols of the data.
      threshold: probability from which on the positive one of two answers is given.
      compared: the baselines that stand in the report.
      split: the part that the rows are from.
      target: the folder that `metrics.json` goes to.
      other_task: see `EvaluationReport`.
    """
    answer = _Answer(models, translated, baselines, slices, spec, compared)
    more = {"split": split, "other_task": dict(other_task)}
    finish = _Measure(spec, threshold=threshold, positive=baselines.positive, more=more)
    return tfma.evaluators.Evaluator(
        stage_name="EvaluateBatches",
        run_after=tfma.extractors.extractor.LAST_EXTRACTOR_STAGE_NAME,
        ptransform=_Evaluate(answer, finish, f"{target}/{EVALUATION_FILE}"),
    )


def read_batches(file: str) -> Iterator[pa.RecordBatch]:
    """Reads a file of tf.Examples as TFMA takes them, serialized, some thousands at a time."""
    for block in read_blocks(file):
        for start in range(0, len(block.starts), _BATCH):
            numbers = range(start, min(start + _BATCH, len(block.starts)))
            column = pa.array([[block.data(n)] for n in numbers], pa.large_list(pa.large_binary()))
            yield pa.RecordBatch.from_arrays([column], [constants.ARROW_INPUT_COLUMN])


class _Evaluate(beam.PTransform):
    def __init__(self, answer: "_Answer", finish: "_Measure", file: str) -> None:
        super().__init__()
        self._answer, self._finish, self._file = answer, finish, file

    def expand(self, extracts: Any) -> dict[str, Any]:
        report = (
            extracts
            | "Answers" >> beam.ParDo(self._answer)
            | "Together" >> beam.CombineGlobally(_Together()).without_defaults()
            | "Measure" >> beam.Map(self._finish)
        )
        _ = report | "WriteReport" >> beam.Map(_write, self._file)
        return {constants.METRICS_KEY: report | "ForTfma" >> beam.FlatMap(for_tfma)}


class _Answer(beam.DoFn):
    """Turns a batch of TFMA's extracts into arrays."""

    def __init__(
        self,
        models: Sequence[str],
        translated: Sequence[str],
        baselines: AnyBaselines,
        slices: Sequence[SliceSpec],
        spec: SequenceSpec,
        compared: Sequence[str],
    ) -> None:
        super().__init__()
        self._models, self._translated = models, translated
        self._slices, self._spec = slices, spec
        self._baselines, self._compared = baselines, compared

    def process(self, extracts: dict[str, Any]) -> Iterator[Answered]:
        parsed = rows.parse(np.asarray(extracts[constants.INPUT_KEY]).ravel(), self._spec)
        batch = rows.counted(parsed, self._spec)
        predictions = extracts[constants.PREDICTIONS_KEY]
        found = {
            name: self._read(name, predictions.get(name, predictions), batch.label) for name in self._models
        }
        for name, logits in self._baselines.logits(batch.counts).items():
            if name in self._compared:
                found[name] = self._answers(logits, batch.label)
        label = np.ones(len(batch.label), np.int64) if self._spec.task.has_positions else batch.label
        yield Answered(label, rows.slices_of(parsed, self._slices, self._spec), found)

    def _read(self, name: str, prediction: dict[str, Any], label: NDArray[np.int64]) -> ModelAnswers:
        flags = {
            flag: np.ravel(prediction[key]).astype(bool)
            for flag, key in (("unreadable", translation.UNREADABLE), ("unknown", translation.UNKNOWN_LABEL))
            if name in self._translated
        }
        return self._answers(np.asarray(prediction["logits"]), label, **flags)

    def _answers(self, logits: NDArray[Any], label: NDArray[np.int64], **flags: Any) -> ModelAnswers:
        if self._spec.task.kind == "whole":
            return read_whole(logits, label, self._spec.pad_id, **flags)
        if self._spec.no_label is not None:
            return read_each(logits, label, self._spec.no_label, **flags)
        second_from = self._spec.task.second_from
        return read_logits(logits, label, self._baselines.positive, second_from=second_from, **flags)


class _Together(beam.CombineFn):
    def create_accumulator(self) -> list[Answered]:
        return []

    def add_input(self, accumulator: list[Answered], batch: Answered) -> list[Answered]:
        return [*accumulator, batch]

    def merge_accumulators(self, accumulators: Iterable[list[Answered]]) -> list[Answered]:
        return [batch for accumulator in accumulators for batch in accumulator]

    def extract_output(self, accumulator: list[Answered]) -> Answered:
        return together(accumulator)


class _Measure:
    """Measures; `more` are fields of the report that do not follow from the answers."""

    def __init__(
        self, spec: SequenceSpec, *, threshold: float, positive: int | None, more: dict[str, Any]
    ) -> None:
        self._spec, self._threshold, self._positive, self._more = spec, threshold, positive, more

    def __call__(self, answered: Answered) -> EvaluationReport:
        report = measure(
            answered,
            self._spec.answers,
            positive=self._positive,
            threshold=self._threshold,
            whole=self._spec.task.has_positions,
            abstain_below=self._spec.task.abstain_below,
        )
        return report.model_copy(update=self._more)


def _write(report: EvaluationReport, path: str) -> None:
    with fileio.open(path, "w") as file:
        file.write(report.model_dump_json(indent=1))


def for_tfma(report: EvaluationReport) -> Iterator[tuple[Any, dict[Any, float]]]:
    """Each slice as TFMA's writer takes it: its key, and values by metric and model."""
    for part in report.slices:
        key = () if part.name == OVERALL else (tuple(part.name.split("=", 1)),)
        one = len(part.metrics) == 1
        yield (
            key,
            {
                metric_types.MetricKey(metric, model_name="" if one and model == CANDIDATE else model): value
                for model, values in part.metrics.items()
                for metric, value in values.items()
            },
        )
