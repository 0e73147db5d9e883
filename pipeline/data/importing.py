"""Writes CSV and JSON Lines as TFRecord shards, with vocabulary, classes and the settings of a first run.

The files are read twice, a row at a time: once to count symbols and answers, once to write. What is kept
in memory grows with the number of distinct symbols, not with that of rows.
"""

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from maskline.pipeline.data.symbols import (
    PADDING,
    SEPARATOR,
    UNKNOWN,
    Tokens,
    label_of,
    numbers_of,
    symbols_of,
)
from maskline.pipeline.data.tables import read_table
from maskline.transform.errors import InputError
from maskline.transform.numeric import with_numbers
from maskline.transform.sequence_settings import RESERVED_NAMES

SHARDS, VOCABULARY, CLASSES, SETTINGS = "shards", "vocabulary.txt", "classes.txt", "maskline.yaml"
_LONG = 128  # symbols in a joined row; up to here the longest row decides sequence.length
_HELD = 0.999  # share of the rows that fit where the longest is longer
_SLICED = 20  # answers, at most, that the settings make slices of


class Options(BaseModel):
    """What is imported, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: tuple[str, ...] = Field(min_length=1)
    label: str
    numeric: tuple[str, ...] = ()
    tokens: Tokens = Tokens.WORDS
    min_count: int = Field(2, ge=1)
    max_vocabulary: int = Field(20_000, ge=1)
    rows_per_shard: int = Field(10_000, ge=1)
    delimiter: str = ""
    skip_bad: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read, the label last."""
        return (*self.text, *self.numeric, self.label)


class Survey(BaseModel):
    """What the first reading counted. `lengths` are those of joined rows, separators included."""

    rows: int = 0
    answers: Counter[str] = Counter()
    symbols: Counter[str] = Counter()
    lengths: Counter[int] = Counter()
    bad: Counter[str] = Counter()
    numbers: dict[str, int] = {}  # of each numeric column in a row, as in the first good one


class Imported(NamedTuple):
    """What was written."""

    survey: Survey
    shards: int
    vocabulary: tuple[str, ...]
    length: int
    settings: Path
    example: str  # the first row's inputs, as `maskline predict` takes them


class _Row(NamedTuple):
    features: list[list[str]]
    answer: str
    numbers: list[list[float]]


def import_rows(files: Sequence[Path], out: Path, options: Options) -> Imported:
    """Writes `shards/`, `vocabulary.txt`, `classes.txt` and `maskline.yaml` into a new folder.

    The same files and options give the same bytes. A killed import leaves no half of a folder.

    Args:
      files: CSV or JSON Lines, read in this order.
      out: made; it may exist only if it is empty.
      options: columns, and how texts are cut.

    Raises:
      InputError: a file or a row cannot be used, no label can be learned from the column, or the folder
        cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: exists and is not empty; give another folder or remove it")
    features = _feature_names(options)
    survey = _survey(files, options)
    vocabulary = _vocabulary(survey, options)
    length = _length(survey)
    # Under another name first, so that a killed import leaves no folder with half the shards.
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        shards, example = _write_shards(files, partial / SHARDS, features, vocabulary, survey, options)
        for name, listed in ((VOCABULARY, vocabulary), (CLASSES, _classes(survey))):
            (partial / name).write_text("".join(f"{s}\n" for s in listed), encoding="utf-8")
        (partial / SETTINGS).write_text(_settings(features, length, survey), encoding="utf-8")
        partial.replace(out)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror})") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Imported(survey, shards, vocabulary, length, out / SETTINGS, example)


def _feature_names(options: Options) -> tuple[str, ...]:
    """Columns as features; the names of features can name tensors in a graph."""
    names = [re.sub(r"^(?=\d)|[^A-Za-z0-9_]", "_", column) for column in options.columns]
    names = [f"{name}_" if name in RESERVED_NAMES else name for name in names]
    for index, (name, column) in enumerate(zip(names, options.columns, strict=True)):
        if (first := names.index(name)) < index:
            other = options.columns[first]
            same = "is given twice" if other == column else f"and column {other!r} are both called {name!r}"
            raise InputError(f"column {column!r} {same}; each needs a name of its own")
    return tuple(names)


def _rows(
    files: Sequence[Path], options: Options, bad: Counter[str], lengths: dict[str, int]
) -> Iterator[_Row]:
    """The good rows; bad ones are counted by reason, or the first is refused.

    How many numbers a column holds in its first good row goes to `lengths`; all others must hold as many.
    """
    for file in files:
        for row in read_table(file, options.columns, delimiter=options.delimiter):
            problem = row.problem
            if not problem:
                column = ""
                try:
                    found = []
                    for column in options.text:
                        found.append(symbols_of(row.values[column], options.tokens))
                    numbers = []
                    for column in options.numeric:
                        numbers.append(numbers_of(row.values[column], lengths.get(column)))
                    column = options.label
                    good = _Row(found, label_of(row.values[column]), numbers)
                    lengths.update(zip(options.numeric, map(len, numbers), strict=True))
                    yield good
                    continue
                except ValueError as error:
                    problem = f"column {column!r} {error}"
            if not options.skip_bad:
                raise InputError(f"{file}: line {row.line}: {problem}; --skip-bad drops such rows")
            bad[problem] += 1


def _survey(files: Sequence[Path], options: Options) -> Survey:
    survey = Survey()
    for row in _rows(files, options, survey.bad, survey.numbers):
        survey.rows += 1
        survey.answers[row.answer] += 1
        survey.lengths[sum(map(len, row.features)) + len(row.features) - 1] += 1
        for symbols in row.features:
            survey.symbols.update(symbols)
    answers = survey.answers
    if not survey.rows:
        raise InputError(f"{', '.join(map(str, files))}: no row that can be used")
    if len(answers) < 2:
        raise InputError(
            f"column {options.label!r} holds one answer only, {next(iter(answers))!r}; two are needed to "
            "learn from"
        )
    if len(answers) > max(10, survey.rows // 2):
        raise InputError(
            f"column {options.label!r} holds {len(answers):,} different answers in {survey.rows:,} rows; "
            "a label's answers must occur again and again"
        )
    return survey


def _vocabulary(survey: Survey, options: Options) -> tuple[str, ...]:
    """Reserved symbols, then symbols of the texts, the most frequent first."""
    frequent = (
        symbol
        for symbol, count in sorted(survey.symbols.items(), key=lambda item: (-item[1], item[0]))
        if count >= options.min_count
    )
    return (PADDING, SEPARATOR, UNKNOWN, *islice(frequent, options.max_vocabulary))


def _classes(survey: Survey) -> tuple[str, ...]:
    """The answers, the most frequent first."""
    return tuple(sorted(survey.answers, key=lambda answer: (-survey.answers[answer], answer)))


def _length(survey: Survey) -> int:
    """A length for `sequence.length`: of the longest row, or, if a few are far longer, of nearly all."""
    longest = max(survey.lengths)
    if longest <= _LONG:
        return longest
    needed = _HELD * survey.rows
    for length in sorted(survey.lengths):
        needed -= survey.lengths[length]
        if needed <= 0:
            return max(length, _LONG)
    return longest


def _write_shards(
    files: Sequence[Path],
    folder: Path,
    names: Sequence[str],
    vocabulary: Sequence[str],
    survey: Survey,
    options: Options,
) -> tuple[int, str]:
    # TensorFlow costs seconds to import, and only this function needs it.
    import tensorflow as tf

    folder.mkdir()
    ids = {symbol: index for index, symbol in enumerate(vocabulary)}
    class_ids = {answer: index for index, answer in enumerate(_classes(survey))}
    inputs, numeric, label = names[: len(options.text)], names[len(options.text) : -1], names[-1]
    written, shards, example = 0, 0, ""
    rows = _rows(files, options, Counter(), dict(survey.numbers))
    while first := next(rows, None):
        with tf.io.TFRecordWriter(str(folder / f"shard-{shards:05d}.tfrecord")) as writer:
            for row in chain([first], islice(rows, options.rows_per_shard - 1)):
                record = tf.train.Example()
                for name, symbols in zip(inputs, row.features, strict=True):
                    values = [ids.get(symbol, ids[UNKNOWN]) for symbol in symbols]
                    record.features.feature[name].int64_list.value.extend(values)
                for name, numbers in zip(numeric, row.numbers, strict=True):
                    record.features.feature[name].float_list.value.extend(numbers)
                # A file that was changed since it was counted may hold an answer that was not there.
                answer = class_ids.get(row.answer, len(class_ids))
                record.features.feature[label].int64_list.value.append(answer)
                writer.write(record.SerializeToString(deterministic=True))
                written += 1
        example = example or _as_text(first, ids)
        shards += 1
    if written != survey.rows:
        raise InputError(f"{', '.join(map(str, files))}: changed while it was read; import it again")
    return shards, example


def _as_text(row: _Row, ids: Mapping[str, int]) -> str:
    """A row's inputs as `maskline predict` takes them."""
    known = [[symbol if symbol in ids else UNKNOWN for symbol in symbols] for symbols in row.features]
    text = f" {SEPARATOR} ".join(map(" ".join, known))
    return with_numbers(text, [number for numbers in row.numbers for number in numbers])


def _settings(features: Sequence[str], length: int, survey: Survey) -> str:
    """About twelve lines of YAML. Strings are written as JSON, which is YAML."""
    texts = len(features) - 1 - len(survey.numbers)
    inputs, numeric, label = features[:texts], features[texts:-1], features[-1]
    numbers = dict(zip(numeric, survey.numbers.values(), strict=True))
    [(answer, count)] = survey.answers.most_common(1)
    share = count / survey.rows
    lines = [
        "# Written by `maskline import`. Every setting that is not here has its default.",
        "root: maskline-root",
        f"data: {{path: {SHARDS}}}",
        "sequence:",
        f"  features: {json.dumps(inputs)}",
        f"  label: {json.dumps(label)}",
        f"  length: {length}",
        f"  vocabulary: {VOCABULARY}",
        f"  separator: {json.dumps(SEPARATOR)}",
        f"  padding: {json.dumps(PADDING)}",
        *([f"  numeric: {json.dumps(numbers)}"] if numbers else []),
        f"task: {{kind: class, classes: {CLASSES}}}",
        "release_gate:",
        f"  # Always answering {json.dumps(answer, ensure_ascii=False)} is right in {share:.1%} of the rows.",
        f"  min_accuracy: {min(1.0, share + 0.005):.3f}",
    ]
    if len(survey.answers) <= _SLICED:
        answers = json.dumps(sorted(survey.answers), ensure_ascii=False)
        lines += [
            "evaluation:",
            f"  slices: [{{name: answer, feature: {json.dumps(label)}, begins: {answers}}}]",
        ]
    return "\n".join(lines) + "\n"
