"""Asks a released model a span that it was not trained on, through TensorFlow's C library.

    python -m maskline.pipeline.registry.score FOLDER < question

prints a `Score` as JSON; see `maskline.pipeline.schedule.scoring`, which runs this as a script.
"""

import ctypes
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

if __name__ == "__main__":  # at once, as the imports take seconds: a killed tick leaves nothing at work
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from tfx_bsl.coders.example_coder import ExampleToNumpyDict

from maskline.components.data_gate.divergence import IdSample, chance, jensen_shannon
from maskline.components.data_gate.resampling import Parts
from maskline.components.ingest.encoding import is_sequence_example, oddity
from maskline.components.ingest.shards import CorruptShard, read_shard
from maskline.components.ingest.texts import read_texts
from maskline.pipeline.predict.served import EXAMPLES, Signature
from maskline.pipeline.schedule.scoring import Drift, Question, Score
from maskline.transform import fitting
from maskline.transform.features import SequenceSpec, row_problem
from maskline.transform.labels import label_ids, takes_names
from maskline.transform.names import IDENTITY_FILE
from maskline.transform.numeric import numeric_problem
from maskline.transform.problems import RowProblem

_BATCH = 1024  # rows that the model is asked at once


class _Row(NamedTuple):
    """A row: the serialized tf.Example, and feature → its ids, or its symbols where it holds text."""

    data: bytes
    ids: Mapping[str, Sequence[Any]]


def score(folder: Path, question: Question) -> Score:
    """The share of a span's good rows that a model answers right; a damaged shard counts up to the damage.

    Args:
      folder: of the released version.
      question: the shards and what their ids mean.
    """
    own = SequenceSpec.of_export(json.loads((folder / IDENTITY_FILE).read_bytes())["sequence"])
    if own.digest != question.sequence.digest:
        return Score(problem="the live model was trained under another `sequence`")
    served = Signature(folder, EXAMPLES)
    rows = right = 0
    for batch in _batches(question):
        answers = served.ask([row.data for row in batch]).symbols
        labels = [_label(row.ids[own.label], own) for row in batch]
        right += sum(answer == label for answer, label in zip(answers, labels, strict=True))
        rows += len(batch)
    return Score(rows=rows, right=right, drift=tuple(_drift(question)))


def _label(ids: Sequence[int], spec: SequenceSpec) -> str:
    """The answer that is right."""
    if spec.task.kind == "each":
        return " ".join(spec.answers[i] for i in ids)
    return spec.text_of(ids) if spec.task.kind == "whole" else spec.answers[ids[0]]


def _drift(question: Question) -> Iterator[Drift]:
    """The measure of the data gate, over all good rows of two spans; see `data_gate.divergence`."""
    if not question.before:
        return
    ours, theirs = (_read(question, shards) for shards in (question.shards, question.before))
    for name in question.sequence.features:
        a, b = (_sample(counted, name) for counted in (ours, theirs))
        values = sorted(a.counts.keys() | b.counts.keys())
        counts = [np.array([s.counts.get(value, 0) for value in values]) for s in (a, b)]
        if all(count.any() for count in counts):
            yield Drift(feature=name, divergence=float(jensen_shannon(*counts)), chance=chance(a, b))


class _Counted(NamedTuple):
    """All good rows of a span, and their ids counted in random parts of the rows."""

    rows: list[_Row]
    parts: Parts


def _read(question: Question, shards: Iterable[Path]) -> _Counted:
    names = question.sequence.features
    rows = list(_rows(question.sequence, shards))
    parts = Parts()
    if rows:
        is_text = question.sequence.text.reads_text  # which is counted in bytes
        kind = pa.list_(pa.binary() if is_text else pa.int64())
        columns = [pa.array([_values(row.ids[name]) for row in rows], kind) for name in names]
        parts.add(pa.RecordBatch.from_arrays(columns, list(names)))
    return _Counted(rows, parts)


def _values(ids: Sequence[Any]) -> list[Any]:
    return [value.encode() if isinstance(value, str) else value for value in ids]


def _sample(counted: _Counted, name: str) -> IdSample:
    counts = Counter(str(value) for row in counted.rows for value in row.ids[name])
    parts = counted.parts
    return IdSample(counts, dict(zip(parts.values.get(name, ()), parts.counts.get(name, ()), strict=True)))


def _batches(question: Question) -> Iterator[list[_Row]]:
    batch: list[_Row] = []
    for row in _rows(question.sequence, question.shards):
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _rows(sequence: SequenceSpec, shards: Iterable[Path]) -> Iterator[_Row]:
    """The rows that an ingest would not set aside."""
    for shard in shards:
        try:
            for record in read_shard(str(shard)):
                if row := _good(record.data, sequence):
                    yield row
        except CorruptShard:
            continue


def _good(data: bytes, sequence: SequenceSpec) -> _Row | None:
    """Reads a row as `ingest.rows` does, which needs TensorFlow; None for one that cannot be used."""
    names = (*sequence.features, sequence.label)
    try:
        values = ExampleToNumpyDict(data)
    except RuntimeError:
        return None
    if is_sequence_example(data) or oddity(data, (*names, *sequence.numeric)):
        return None
    numbers = {name: _floats(values[name]) for name in sequence.numeric if name in values}
    if numeric_problem(numbers, sequence.numeric):
        return None
    ids = {name: _ids(values[name]) for name in names if name in values}
    label = values.get(sequence.label)
    if takes_names(sequence) and label is not None and label.dtype == object:
        named = label_ids(label.tolist(), sequence)
        ids[sequence.label] = None if isinstance(named, RowProblem) else named
    fitted: Mapping[str, Sequence[Any]] = {
        name: fitting.known(ids.get(name) or (), sequence) for name in sequence.features if ids.get(name)
    }
    ids |= {name: list(known) for name, known in fitted.items()}
    if sequence.text.reads_text:
        lists = {
            n: values[n].tolist() if values[n].dtype == object else None
            for n in sequence.features
            if n in values
        }
        if isinstance(texts := read_texts(lists, sequence), RowProblem):
            return None
        ids, fitted = ids | {n: list(found) for n, found in texts.ids.items()}, texts.symbols
    if row_problem(ids, names, sequence):
        return None
    kept = {name: found for name, found in ids.items() if found is not None} | dict(fitted)
    return _Row(data, kept | fitting.cut(kept, sequence))


def _floats(values: NDArray[Any] | None) -> Sequence[float] | None:
    if values is None:
        return ()
    return values.tolist() if values.dtype.kind == "f" else None


def _ids(values: NDArray[Any] | None) -> list[int] | None:
    if values is None:
        return []
    return values.tolist() if values.dtype == np.int64 else None


if __name__ == "__main__":
    try:
        found = score(Path(sys.argv[1]), Question.model_validate_json(sys.stdin.read()))
    except Exception as error:  # whatever is met in a damaged model
        found = Score(problem=" ".join(f"{type(error).__name__}: {error}".split())[:300])
    print(found.model_dump_json())  # noqa: T201
    sys.stdout.flush()
    os._exit(0)
