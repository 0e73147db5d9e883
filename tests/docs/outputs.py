"""Holds the output blocks of the docs against what the commands print today.

A block is marked in Markdown by a comment on the line before its fence, `<!-- output: NAME -->`. A test runs
the command and calls `assert_documented(NAME, printed)`. With `UPDATE_DOCS=1` in the environment the same
call writes today's figures into the block instead, so that a person edits only its form. Where a test runs
the command on less data than the docs do, pipe the output in:

    make run 2>&1 | python -m tests.docs.outputs run

In a block, `$ ` begins a command; it is not compared. `…` alone on a line stands for any number of lines, and
at the end of a line for the rest of the line. Figures, times and names of runs differ between machines and
runs, so lines are compared by their shape, unless `exact` is asked for.
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.support import REPOSITORY

PAGES = ("README.md", "docs/**/*.md", "kubeflow/README.md", "examples/**/README.md")
MORE = "…"
_BLOCK = re.compile(
    r"<!-- output: (?P<name>[\w-]+) -->\n```\w*\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
_SHAPES = (
    (re.compile(r"(?<=[\t'])[-\d](?=[\t'])"), "#"),  # a predicted symbol
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "#"),  # UUIDs
    # Digests and ids; digits alone are a number, or the end of one.
    (re.compile(r"\b(?=[0-9]*[a-f])[0-9a-f]{8,}(-[0-9a-f]{4,})*\b"), "#"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.-]+Z?"), "#"),
    # A sign stands before a number, not inside a word: `shard-12345678` may be a digest, too.
    (re.compile(r"((?<!\w)[-+])?\d[\d,]*(\.\d+)?(e[-+]?\d+)?"), "#"),
    (re.compile(r"[▏▎▍▌▋▊▉█]+"), ""),  # bars
    (re.compile(r"─+"), "─"),
    (re.compile(r"\s+"), " "),
)


class Block(NamedTuple):
    """One output block: its page, and its lines without the fence."""

    page: Path
    lines: list[str]


def pages() -> Iterator[Path]:
    """Every page whose output blocks are held against commands."""
    for pattern in PAGES:
        yield from sorted(REPOSITORY.glob(pattern))


def blocks() -> dict[str, Block]:
    """All output blocks by name. A name that is given twice is an error."""
    found: dict[str, Block] = {}
    for page in pages():
        for match in _BLOCK.finditer(page.read_text(encoding="utf-8")):
            assert match["name"] not in found, f"two output blocks are named {match['name']}"
            found[match["name"]] = Block(page, match["text"].splitlines())
    return found


def assert_documented(
    name: str,
    printed: str,
    *,
    replace: Mapping[object, str] | None = None,
    exact: bool = False,
    in_order: bool = True,
    same_data: bool = True,
) -> None:
    """Asserts that a block shows what was printed, or writes it where UPDATE_DOCS is set.

    Args:
      name: of the block.
      printed: what the command wrote.
      replace: places of this test → what the docs call them.
      exact: figures are compared too.
      in_order: lines come in the order of the block; not so where nodes work side by side.
      same_data: the figures may be written into the docs.
    """
    for place, shown in (replace or {}).items():
        printed = printed.replace(str(place), shown)
    block = blocks()[name]
    updating = same_data and bool(os.environ.get("UPDATE_DOCS"))
    today = refreshed(block.lines, printed.splitlines(), exact=exact and not updating, in_order=in_order)
    if updating:
        _write(name, block.page, today)


def refreshed(documented: list[str], printed: list[str], *, exact: bool, in_order: bool) -> list[str]:
    """The block with today's lines in it.

    Raises:
      AssertionError: a line was not printed, not at that place, or a printed line is missing in the block.
    """
    lines: list[str] = []
    rest, may_skip = list(printed), False
    for line in documented:
        if line.startswith("$ ") or (lines and lines[-1].endswith("\\")):
            lines.append(line)
        elif line == MORE:
            lines.append(line)
            may_skip = True
        else:
            where = next((n for n, other in enumerate(rest) if _same(line, other, exact=exact)), None)
            text = "\n".join(printed)
            assert where is not None, f"the docs show a line that was not printed: {line!r}\n{text}"
            skipped = where > 0 and in_order and not may_skip
            assert not skipped, f"printed, but not in the docs: {rest[0]!r}, before {line!r}\n{text}"
            kept = line[: -len(MORE)].rstrip() if line.endswith(MORE) else ""
            found = rest[where]
            lines.append(_cut(found, kept) if kept and not found.endswith(MORE) else found.rstrip())
            rest = rest[where + 1 :] if in_order else rest[:where] + rest[where + 1 :]
            may_skip = False
    assert may_skip or not in_order or not rest, f"printed, but not in the docs: {rest[0]!r}"
    return lines


def _same(documented: str, printed: str, *, exact: bool) -> bool:
    if documented.rstrip() == printed.rstrip():
        return True
    if documented.endswith(MORE):
        ours = documented[: -len(MORE)].rstrip()
        return printed.startswith(ours) if exact else _shape(printed).startswith(_shape(ours))
    return not exact and _shape(documented) == _shape(printed)


def _cut(printed: str, kept: str) -> str:
    """As much of a printed line as has the shape of what the docs keep of it."""
    fitting = (n for n in range(len(printed), 0, -1) if _shape(printed[:n]) == _shape(kept))
    return f"{printed[: next(fitting)].rstrip()} {MORE}"


def _shape(line: str) -> str:
    for pattern, sign in _SHAPES:
        line = pattern.sub(sign, line)
    return line.strip()


def _write(name: str, page: Path, lines: list[str]) -> None:
    text = page.read_text(encoding="utf-8")
    [match] = [m for m in _BLOCK.finditer(text) if m["name"] == name]
    start, end = match.span("text")
    page.write_text(text[:start] + "\n".join(lines) + "\n" + text[end:], encoding="utf-8")


if __name__ == "__main__":
    wanted = blocks()[sys.argv[1]]
    text = sys.stdin.read().replace(str(REPOSITORY), MORE)
    _write(sys.argv[1], wanted.page, refreshed(wanted.lines, text.splitlines(), exact=False, in_order=False))
