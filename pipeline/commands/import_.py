"""`maskline import`: CSV and JSON Lines become shards, a vocabulary and the settings of a first run."""

import shlex
from pathlib import Path
from typing import Any

import click

from maskline.pipeline.commands.options import USER_PATH


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=USER_PATH, metavar="FILE…")
@click.option("--out", type=USER_PATH, required=True, help="folder to make")
@click.option("--text", multiple=True, required=True, metavar="COLUMN", help="input; may be given again")
@click.option("--label", required=True, metavar="COLUMN", help="answer to learn")
@click.option("--numeric", multiple=True, metavar="COLUMN", help="numbers beside the text; again for more")
@click.option(
    "--tokens",
    type=click.Choice(["words", "spaces", "characters"]),
    default="words",
    show_default=True,
    help="how a text is cut; items of a JSON list stay as they are",
)
@click.option(
    "--min-count", type=click.IntRange(min=1), default=2, show_default=True, help="rarer symbols are <unk>"
)
@click.option(
    "--max-vocabulary", type=click.IntRange(min=1), default=20_000, show_default=True, help="symbols to keep"
)
@click.option("--rows-per-shard", type=click.IntRange(min=1), default=10_000, show_default=True)
@click.option("--delimiter", default="", help="between fields of CSV  [default: a comma; a tab in .tsv]")
@click.option("--skip-bad", is_flag=True, help="drop rows that cannot be used, and count them")
def import_(files: tuple[Path, ...], out: Path, **given: Any) -> None:
    """Write CSV or JSON Lines files as shards, with vocabulary, classes and the settings of a first run.

    Each row is one example: what is in the --text and --numeric columns is the input, --label the answer.
    """
    from maskline.pipeline.data.importing import Options, import_rows
    from maskline.pipeline.local.streams import quiet_tensorflow
    from maskline.transform.errors import InputError

    if len(given["delimiter"]) > 1:
        raise InputError(f"--delimiter {given['delimiter']!r}: one character is needed")
    with quiet_tensorflow():
        made = import_rows(files, out, Options(**given))
    survey = made.survey
    click.echo(
        f"{survey.rows:,} rows in {made.shards:,} shard{'' if made.shards == 1 else 's'} under {out}: "
        f"{len(made.vocabulary):,} symbols, rows of {min(survey.lengths)} to {max(survey.lengths)}"
    )
    frequent = survey.answers.most_common(10)
    shares = [f"{answer} {count:,} ({count / survey.rows:.1%})" for answer, count in frequent]
    more = f" and {len(survey.answers) - 10:,} more" if len(survey.answers) > 10 else ""
    click.echo(f"answers: {', '.join(shares)}{more}")
    _tell_losses(made)
    click.echo(f"Next: maskline run --config {made.settings}")
    click.echo(f"then: maskline predict --config {made.settings} {shlex.quote(made.example)}")


def _tell_losses(made: Any) -> None:
    survey, known = made.survey, set(made.vocabulary)
    unknown = sum(count for symbol, count in survey.symbols.items() if symbol not in known)
    if unknown:
        share = unknown / survey.symbols.total()
        click.echo(
            f"{unknown:,} of {survey.symbols.total():,} symbols ({share:.1%}) are rare and became <unk>"
        )
    longer = sum(rows for length, rows in survey.lengths.items() if length > made.length)
    if longer:
        click.echo(f"{longer:,} rows are longer than sequence.length {made.length}; a run sets them aside")
    for problem, count in sorted(survey.bad.items()):
        click.echo(f"dropped {count:,} rows: {problem}")
