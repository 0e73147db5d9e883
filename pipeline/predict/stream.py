"""`maskline predict -`: answers lines of standard input as they come."""

import os
from collections.abc import Iterator
from pathlib import Path

import click

from maskline.pipeline.local.streams import quiet_tensorflow
from maskline.pipeline.predict.asking import ask_rows, rows_at_once
from maskline.pipeline.predict.checks import TextCheck
from maskline.pipeline.predict.rows import MAX_LINE, Line, RowBatch, check_line
from maskline.pipeline.predict.served import TEXT, Signature, choose_version, language_of
from maskline.transform.shown import shown

_NAME = "standard input"
_CHUNK = 1 << 16  # bytes; what is there is answered, so that a program can wait for it


def answer_lines(serving: Path, number: int | None = None, descriptor: int = 0) -> int:
    """Answers lines: prints the text, a tab, the answer, a tab and its probability.

    What is wrong with a line goes to standard error, and the others are answered all the same.

    Args:
      serving: the directory of released versions.
      number: of the version to ask; None for the live one.
      descriptor: where the lines are read.

    Returns:
      how many lines have no answer.

    Raises:
      InputError: as `single.answer` does.
    """
    version = choose_version(serving, number)
    spec = language_of(version)
    check = TextCheck(spec)
    with quiet_tensorflow():
        signature = Signature(version.path, TEXT, abstain_below=spec.task.abstain_below)
    bad = 0
    for first, lines in _lines(descriptor, rows_at_once(spec)):
        with quiet_tensorflow():
            batch = RowBatch([], [], [], [])
            for record, line in enumerate(lines, start=first):
                batch.add(Line(record, line, 0), check_line(line, check), _NAME)
            batch, answers = ask_rows(signature, batch, _NAME)
        for row in batch.bad:
            text = shown(row.data.decode(errors="replace"))
            click.echo(f"maskline: line {row.record + 1}: {text}: {row.text}", err=True)
        bad += len(batch.bad)
        if answers is not None:
            answered = zip(batch.values, answers.symbols, answers.probabilities, strict=True)
            click.echo("\n".join(f"{text.decode()}\t{symbol}\t{p:.3f}" for text, symbol, p in answered))
    return bad


def _lines(descriptor: int, most: int) -> Iterator[tuple[int, list[bytes]]]:
    """The lines that are there, without their ends, up to `most` at once; and the number of the first."""
    number, rest = 0, b""
    while True:
        chunk = os.read(descriptor, _CHUNK)
        *whole, rest = (rest + chunk).split(b"\n")
        rest = rest[:MAX_LINE]  # of a line that is too long its beginning is enough
        if not chunk and rest:
            whole = [*whole, rest]
        for start in range(0, len(whole), most):
            yield number + start, [line.removesuffix(b"\r") for line in whole[start : start + most]]
        number += len(whole)
        if not chunk:
            return
