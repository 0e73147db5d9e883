"""`maskline predict`: answers to texts, to standard input and to whole files."""

from pathlib import Path
from typing import Any

import click

from maskline.pipeline.commands.options import (
    USER_PATH,
    engine_option,
    root_options,
    set_option,
    settings_of_root,
    with_engine,
)
from maskline.transform.names import Exit

_STANDARD_INPUT = ("-",)


@click.command()
@root_options
@set_option
@engine_option
@click.argument("text", nargs=-1)
@click.option("--version", type=click.IntRange(min=1), metavar="N", help="Version to ask.  [default: live]")
@click.option("--data", type=USER_PATH, metavar="DIR|FILE|PATTERN", help="Files with many rows.")
@click.option("--out", type=USER_PATH, metavar="DIR", help="New folder for the answers to --data.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["jsonl", "tfrecord", "parquet"]),
    default="jsonl",
    show_default=True,
    help="How answers to --data are written.",
)
@click.option("--logits", is_flag=True, help="Write the logits, too.")
@click.option(
    "--text-field", default="text", show_default=True, help="Field of JSON Lines that holds the text."
)
@click.option("--key", default="", metavar="FIELD", help="Field to take over as the key of each answer.")
def predict(
    config_file: Path | None,
    root: Path | None,
    overrides: tuple[str, ...],
    engine: str | None,
    text: tuple[str, ...],
    version: int | None,
    **given: Any,
) -> int | None:
    """Ask a released model, for example: maskline predict 'x=-12,y=24:y+x'.

    With `-` in place of a TEXT, each line of standard input is one. With --data and --out, the rows of
    whole files are answered: TFRecord shards, lines of text, or JSON Lines with a text field.
    """
    settings = settings_of_root(config_file, root, with_engine(overrides, engine))
    if given["data"] is not None or given["out"] is not None:
        _check_files(text, **given)
        _answer_files(settings, version, given)
        return None
    if not text:
        raise click.UsageError("give a TEXT, `-` for standard input, or --data and --out")
    if text == _STANDARD_INPUT:
        from maskline.pipeline.predict.stream import answer_lines

        return Exit.BAD_INPUT if answer_lines(settings.serving_dir, version) else None
    from maskline.pipeline.predict.single import answer_texts

    for line, (symbol, probability) in zip(
        text, answer_texts(settings.serving_dir, text, version), strict=True
    ):
        click.echo(f"{line}\t{symbol}\t{probability:.3f}")
    return None


def _check_files(text: tuple[str, ...], **given: Any) -> None:
    for needed, other in (("data", "out"), ("out", "data")):
        if given[needed] is None:
            raise click.UsageError(f"--{other} needs --{needed}")
    if text:
        raise click.UsageError(f"--data answers files; leave out the TEXT {text[0]!r}")


def _answer_files(settings: Any, version: int | None, given: dict[str, Any]) -> None:
    from maskline.pipeline.predict.batch import PredictOptions, predict
    from maskline.pipeline.predict.progress import AnswerProgress

    options = PredictOptions(
        data=given["data"],
        out=given["out"],
        version=version,
        format=given["format_"],
        logits=given["logits"],
        text=given["text_field"],
        key=given["key"],
    )
    report = predict(settings, options, AnswerProgress())
    files = f"{len(report.files):,} file{'' if len(report.files) == 1 else 's'}"
    click.echo(f"{report.answered:,} answers of version {report.version} to {files}: {options.out}")
    if bad := sum(report.quarantined.values()):
        kinds = ", ".join(f"{count:,} {reason}" for reason, count in report.quarantined.items())
        click.echo(f"{bad:,} rows have none and are in {options.out / 'quarantine'}: {kinds}")
        for row in report.examples[:3]:
            click.echo(f"  {row.file}: record {row.record}: {row.reason}")
    for broken in report.corrupt:
        click.echo(f"{broken.file}: {broken.reason}; the rows before that are answered")
