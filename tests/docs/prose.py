"""The prose linter: `make prose`. Runs proselint, and the project's own list of words in `words.yaml`.

It reads the pages, the comments of `maskline.yaml`, what the command line prints as help, and the docstrings,
comments and messages of the source. Code is not prose: fenced and indented blocks, text between backticks,
and link targets are left out.
"""

import ast
import io
import re
import sys
import textwrap
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import click
import yaml
from proselint.checks import __register__ as CHECKS
from proselint.config import DEFAULT
from proselint.registry import CheckRegistry
from proselint.tools import LintFile

from maskline.pipeline.cli import cli
from tests.support import REPOSITORY

PAGES = ("*.md", "docs/**/*.md", "kubeflow/*.md", "examples/**/*.md", ".github/**/*.md")
SETTINGS = ("maskline.yaml",)
ROOMS = ("components", "pipeline", "trainer", "transform", "kubeflow")
# proselint's checks of typography want curly quotes and ellipses, which help texts cannot have; uses of
# `very` and the like are for authors; dates and repeated words misread tables and symbols.
OFF = ("typography", "lexical_illusions", "dates_times", "misc.capitalization", "weasel_words.very")
_CODE = re.compile(
    r"^ *(```+|~~~+).*?^ *\1 *$"  # fenced
    r"|(?<=\n\n)(?:(?: {4}|\t)(?! *[-*\d]).*\n|\n(?= {4}))+"  # indented, but not a list's next paragraph
    r"|``[^`]+``|`[^`]+`|<!--.*?-->|(?<=\]\()[^)]*|https?://\S+",
    re.DOTALL | re.MULTILINE,
)


class Text(NamedTuple):
    """A piece of prose, and the place that it begins at."""

    place: str
    line: int
    text: str


class Finding(NamedTuple):
    """A place and what is wrong there."""

    place: str
    line: int
    problem: str

    def __str__(self) -> str:
        return f"{self.place}:{self.line}: {self.problem}"


class Style(NamedTuple):
    """One entry of the word list."""

    words: re.Pattern[str]
    instead: str


def styles() -> list[Style]:
    """The word list."""
    entries = yaml.safe_load((Path(__file__).parent / "words.yaml").read_text(encoding="utf-8"))
    return [Style(_expression(entry["words"]), entry["instead"]) for entry in entries]


def _expression(words: str) -> re.Pattern[str]:
    """Whole words, also where a line ends between them."""
    return re.compile(rf"\b(?:{words})(?!\w)".replace(" ", r"\s+"), re.IGNORECASE)


def prose(text: str) -> str:
    """The text with code replaced by spaces; lines stay where they are."""
    return _CODE.sub(lambda code: re.sub(r"[^\n]", " ", code[0]), text)


def findings(texts: Iterable[Text]) -> Iterator[Finding]:
    """What both linters say, in the order of the texts."""
    words = styles()
    registry = CheckRegistry()
    registry.register_many(CHECKS)
    for piece in texts:
        cleaned = prose(piece.text)
        for style in words:
            for match in style.words.finditer(cleaned):
                line = piece.line + cleaned[: match.start()].count("\n")
                found = " ".join(match[0].split())
                yield Finding(piece.place, line, f"'{found}': write {style.instead}")
        if cleaned.strip():
            for result in LintFile("text", cleaned).lint(DEFAULT):
                check, message = result.check_result.check_path, result.check_result.message
                if not check.startswith(OFF):
                    yield Finding(piece.place, piece.line + result.pos[0] - 1, f"{check}: {message}")


def pages() -> Iterator[Text]:
    """Markdown."""
    for pattern in PAGES:
        for page in sorted(REPOSITORY.glob(pattern)):
            yield Text(_name(page), 1, page.read_text(encoding="utf-8"))


def settings() -> Iterator[Text]:
    """Comments of YAML files, each with its place; those on lines that follow each other are one text."""
    for name in SETTINGS:
        lines = (REPOSITORY / name).read_text(encoding="utf-8").splitlines()
        comments = [re.search(r"(?:^|\s)#\s?(.*)$", line) for line in lines]
        text = "\n".join(match[1] if match else "" for match in comments)
        yield Text(name, 1, text)


def help_texts() -> Iterator[Text]:
    """Help of every option; that of commands is a docstring."""
    waiting: list[tuple[str, click.Command]] = [("maskline", cli)]
    while waiting:
        name, command = waiting.pop()
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.help:
                yield Text(f"{name} {parameter.opts[0]}", 1, parameter.help)
        if isinstance(command, click.Group):
            waiting += [(f"{name} {sub}", inner) for sub, inner in command.commands.items()]


def sources() -> Iterator[Text]:
    """Docstrings, comments and messages of the source."""
    for room in ROOMS:
        for file in sorted((REPOSITORY / room).rglob("*.py")):
            code = file.read_text(encoding="utf-8")
            yield from strings(_name(file), code)
            yield from comments(_name(file), code)


def strings(place: str, code: str) -> Iterator[Text]:
    """Docstrings and messages: strings of three words or more, and the fixed parts of formatted ones."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value.split()) > 2:
            yield Text(place, node.lineno, textwrap.dedent(node.value))


def comments(place: str, code: str) -> Iterator[Text]:
    """Comments; those on lines that follow each other are one text."""
    begun: Text | None = None
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT:
            line, text = token.start[0], token.string.lstrip("# ")
            if begun and line == begun.line + begun.text.count("\n") + 1:
                begun = begun._replace(text=f"{begun.text}\n{text}")
                continue
            if begun:
                yield begun
            begun = Text(place, line, text)
    if begun:
        yield begun


def _name(file: Path) -> str:
    return str(file.relative_to(REPOSITORY))


def main() -> int:
    """Prints what is wrong; the number of findings decides the exit status."""
    found = list(findings([*pages(), *settings(), *help_texts(), *sources()]))
    for finding in found:
        print(finding)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
