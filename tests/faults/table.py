"""Writes the matrix into docs/faults.md, between two marks."""

from collections.abc import Iterable, Sequence

from tests.faults.matrix import Result
from tests.support import REPOSITORY

PAGE = REPOSITORY / "docs" / "faults.md"
BEGIN, END = "<!-- matrix: begin -->\n", "<!-- matrix: end -->\n"


def write(lines: Iterable[str]) -> None:
    """Puts the table in the place of the one before."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + "\n".join(lines) + "\n" + END + after, encoding="utf-8")


def table(results: Sequence[Result], commands: Sequence[str], *, total: int) -> Iterable[str]:
    """Lines of Markdown: a thing and its state a line, and for each command its exit status."""
    yield f"| what | state | {' | '.join(commands)} | way on |"
    yield "| --- | --- |" + " --- |" * len(commands) + " --- |"
    by_cell = {result.cell: result for result in results}
    rows: dict[tuple[str, str], dict[str, Result]] = {}
    for cell, result in by_cell.items():
        rows.setdefault(cell[:2], {})[cell.command] = result
    things = list(dict.fromkeys(thing for thing, _ in rows))
    for (thing, state), row in sorted(rows.items(), key=lambda item: things.index(item[0][0])):
        shown = [_status(row.get(command)) for command in commands]
        yield f"| {thing} | {state} | {' | '.join(shown)} | {_way_on(row.get('run'))} |"
    red = [result for result in results if result.problems]
    yield ""
    tried = [result for result in results if result.tried]
    same, rest = len(results) - len(tried), total - len(results)
    yield (
        f"Of {total:,} cells {len(tried):,} were tried; {len(red)} are red. In {same:,}, marked by `=`, the "
        "command does not look at what is damaged, as its system calls show, and does what it does in a "
        f"healthy root. The other {rest:,}, marked by a dot, were not tried."
    )
    yield from ("" for _ in red[:1])
    yield from (f"- {r.cell.thing}, {r.cell.state}, `{r.cell.command}`: {'; '.join(r.problems)}" for r in red)


def _status(result: Result | None) -> str:
    if result is None:
        return "·"
    if not result.tried:
        return "="
    return f"**{result.status} ✗**" if result.problems else str(result.status)


def _way_on(run: Result | None) -> str:
    """What was done before the run that finished; a run that did not refuse needed nothing."""
    if run is None:
        return "·"
    return f"{run.step}: {run.then}" if run.step else "–"
