"""Writes the matrix into docs/faults.md, between two marks."""

from collections.abc import Iterable, Sequence

from tests.faults.matrix import Result
from tests.support import REPOSITORY

PAGE = REPOSITORY / "docs" / "faults.md"
BEGIN, END = "<!-- matrix: begin -->\n", "<!-- matrix: end -->\n"


def write(results: Sequence[Result], commands: Sequence[str]) -> None:
    """Puts the table in the place of the one before."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(
        before + BEGIN + "\n".join(table(results, commands)) + "\n" + END + after, encoding="utf-8"
    )


def table(results: Sequence[Result], commands: Sequence[str]) -> Iterable[str]:
    """Lines of Markdown: a thing and its state a line, and for each command its exit status."""
    yield f"| what | state | {' | '.join(commands)} |"
    yield "| --- | --- |" + " --- |" * len(commands)
    by_name = {(r.thing, r.state, r.command): r for r in results}
    for thing, state in dict.fromkeys((r.thing, r.state) for r in results):
        row = [_cell(by_name.get((thing, state, command))) for command in commands]
        yield f"| {thing} | {state} | {' | '.join(row)} |"
    red = [r for r in results if r.problems]
    yield ""
    yield f"{len(results)} cells were tried; {len(red)} are red. A dot stands for a cell that was not tried."
    yield from ("" for _ in red[:1])
    yield from (f"- {r.thing}, {r.state}, `{r.command}`: {'; '.join(r.problems)}" for r in red)


def _cell(result: Result | None) -> str:
    if result is None:
        return "·"
    return f"**{result.done.status} ✗**" if result.problems else str(result.done.status)
