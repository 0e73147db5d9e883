"""What a person sees of a run: live on a terminal, plain lines elsewhere."""

import os
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import rich.console
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from maskline.components.ingest.spans import span_name
from maskline.components.verdict import Outcome
from maskline.pipeline import tables
from maskline.pipeline.failure import Failure, read_failure
from maskline.pipeline.headline import Headline, headline
from maskline.pipeline.learning import Learning
from maskline.pipeline.local.streams import Output
from maskline.pipeline.reading import Reading
from maskline.pipeline.registry.record import Run
from maskline.pipeline.registry.releasable import releasable
from maskline.pipeline.settings.remembered import is_found_from_here
from maskline.pipeline.settings.sections import Settings
from maskline.transform.answers import AnswerSummary
from maskline.transform.errors import InputError
from maskline.transform.features import example_text

_MARKS = {
    Outcome.PASSED: "[green]✓[/]",
    Outcome.WARNED: "[yellow]![/]",
    Outcome.BLOCKED: "[red]✗[/]",
    Outcome.IGNORED: "-",
}
_ORDER = (Outcome.BLOCKED, Outcome.WARNED, Outcome.PASSED, Outcome.IGNORED)
_BAR, _BAR_FROM = 16, 70  # width of a bar, and of the screens that have room for it
_SOME = 5  # rows of each kind, where examples are shown
_HANGING = 2  # further indent of what does not fit into a line
_PLAIN_WIDTH = 160  # of tables where nobody says how wide the screen is


class Console:
    """Shows progress and results on standard output.

    Without a terminal every event is a plain line; on one, the lines of nodes at work are live.

    Args:
      settings: says where things lie, for the hints.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rich = _open()
        self._screen: Output | None = None
        self._live: Live | None = None
        self._working: dict[str, tuple[float, str]] = {}
        self._learning: dict[str, Learning] = {}
        self._reading: dict[str, Reading] = {}

    @contextmanager
    def on_its_own_screen(self) -> Iterator[None]:
        """Keeps writing to today's standard output while it is sent elsewhere for all others."""
        sys.stdout.flush()
        with Output(os.dup(1), sys.stdout.encoding, closes=True) as screen:
            before, self._screen = self._rich, screen
            self._rich = _open(screen)
            try:
                if self._rich.is_terminal:
                    with self._start_live() as self._live:
                        yield
                else:
                    yield
            finally:
                self._rich, self._live = before, None

    @property
    def lost(self) -> OSError | None:
        """Why standard output did not take all that was shown, if so: it is full, or its reader is gone."""
        return self._screen.lost if self._screen else None

    def _start_live(self) -> Live:
        return Live(
            console=self._rich,
            get_renderable=self._picture,
            transient=True,
            auto_refresh=False,  # no thread of its own: this process forks (docs/adr/0002)
            redirect_stdout=False,  # what others print belongs in the log
            redirect_stderr=False,
        )

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Shows that something is at work while the block runs."""
        began = time.monotonic()
        self.began(what)
        yield
        self.ended(what, time.monotonic() - began, ok=True)

    def began(self, what: str) -> None:
        """A component began."""
        now = time.monotonic()
        self._working[what], self._learning[what] = (now, ""), Learning(now)
        self._reading.pop(what, None)
        if self._live:
            self._live.refresh()
        else:
            self._print(f"  {what} …")

    def progressed(self, what: str, text: str) -> None:
        """A component tells how far it is."""
        self._working[what] = (self._working[what][0], text)
        self._learning[what].hear(text, time.monotonic())
        if not self._live:
            self._print(f"  {what}: {escape(text)}")

    def counted(self, what: str, rows: int) -> None:
        """A component tells how many rows it has read; without a terminal that would be too many lines."""
        self._reading.setdefault(what, Reading()).hear(rows, time.monotonic())

    def ended(self, what: str, seconds: float, *, ok: bool) -> None:
        """A component ended."""
        self._working.pop(what, None)
        mark = "[green]✓[/]" if ok else "[red]✗[/]"
        self._print(f"{mark} {what:<18}{seconds:7.1f} s")
        learned = self._learning.pop(what, None)
        if self._live and learned and self._rich.encoding.startswith("utf"):
            # Elsewhere each epoch has left a line of its own.
            for line in learned.curve(self._rich.width):
                self._rich.print(Text(line), soft_wrap=True)

    def skipped(self, what: str) -> None:
        """A component had no reason to run."""
        self._working.pop(what, None)
        self._print(f"- {what:<18}skipped, and all that needs it")

    def tick(self) -> None:
        """Time has passed: moves the clocks of what is at work."""
        if self._live:
            self._live.refresh()

    def note(self, text: str) -> None:
        """One line of its own, as it is."""
        self._print(escape(text))

    def warn(self, text: str) -> None:
        """One line on something that a person should look at."""
        self._print(f"[yellow]warning:[/] {escape(text)}")

    def unchanged(self, run: Run) -> None:
        """Nothing had to be done."""
        count = len(run.components)
        self._print(f"Nothing changed since run {run.run}: all {count} components reused.")
        self.headline(headline(run))
        self._details(run)
        self._next(run)

    def summary(self, run: Run, log: os.PathLike[str], failure: Exception | None = None) -> None:
        """What became of a run that has just ended: the outcome first, then its reasons, then what it did."""
        self._rich.print()
        self.headline(headline(run, cause=str(failure) if failure else ""))
        self._details(run)
        self._components(run)
        self._next(run)
        self._print(f"log: {escape(str(log))}", whole=True)

    def reported(self, file: Path | None, log: Path) -> None:
        """Where the run's report is, or that there is none: for the run itself that changes nothing."""
        if file:
            self._print(f"report: {escape(str(file))}", whole=True)
        else:
            self.warn(f"no report was made; {log} says why")

    def show(self, run: Run, log: Path, *, working: int | None = None, epoch: int = 0) -> None:
        """All that is known of a run, for who must decide: the outcome first, what failed before the rest.

        Args:
          run: as recorded.
          log: of the run.
          working: id of the process that works on it.
          epoch: after which an interrupted training continues.
        """
        failed = not run.ended and not working and any(c.state == "FAILED" for c in run.components)
        failure = read_failure(log) if failed else Failure("", ())
        self.headline(headline(run, working=working, epoch=epoch, cause=failure.cause))
        self.note(f"run {run.run}")
        for line in failure.lines:
            self._print(f"  {escape(line)}", whole=True)
        self._details(run)
        self.gates(run)
        if run.evaluation and len(run.evaluation.slices) > 1:
            self.table(tables.slices(run.evaluation))
        self._components(run)
        self._next(run)
        self._print(f"log: {escape(str(log))}", whole=True)

    def wrong(self, answers: AnswerSummary, count: int) -> None:
        """Rows that the model answers wrong, the most confident first: how label errors are found."""
        rows = answers.wrong_rows[:count]
        self.note(
            f"{answers.wrong:,} of {answers.rows:,} held-out rows are answered wrong; "
            f"the {len(rows)} of which the model is most confident:"
        )
        for row in rows:
            self.note(f"  {row.probability:.1%} {row.answer}, labelled {row.label}: {row.text}")

    def some_answers(self, answers: AnswerSummary) -> None:
        """A handful of answers in full, right ones and wrong ones."""
        if answers.right_rows:
            self.note("Some rows that are answered right:")
            for row in answers.right_rows[:_SOME]:
                self.note(f"  {row.text} → {row.answer} ({row.probability:.1%})")
        if answers.wrong_rows:
            self.note("Rows that are answered wrong, the most confident first:")
            for row in answers.wrong_rows[:_SOME]:
                self.note(f"  {row.text} → {row.answer}, labelled {row.label} ({row.probability:.1%})")

    def ingested(self, run: Run) -> None:
        """What became of an older span that a window needs."""
        self._ingest(run)
        self._checks(run)

    def headline(self, line: Headline) -> None:
        """The outcome in one sentence."""
        first, _, rest = line.text.partition(" ")
        self._print(f"[bold {line.colour}]{escape(first)}[/] {escape(rest)}")

    def gates(self, run: Run) -> None:
        """What each gate asked and measured: failed gates first, and in each what failed first."""
        for name, verdict in sorted(run.verdicts.items(), key=lambda item: item[1].passed):
            self._print(f"{name}: {'passed' if verdict.passed else '[red]not passed[/]'}")
            for check in sorted(verdict.checks, key=lambda check: _ORDER.index(check.outcome)):
                self._print(f"  {_MARKS[check.outcome]} {escape(str(check))}")
                for line in check.details:
                    self.note(f"      {line}")

    def _details(self, run: Run) -> None:
        """Why, on what, and how good."""
        self._ingest(run)
        self._checks(run)
        if run.window:
            path = self._settings.data.path
            named = [
                span_name(path, s.span) + (f" version {s.version}" if s.version else "") for s in run.window
            ]
            self.note(f"Window of spans: {', '.join(named)}")
        if run.override:
            by, when = run.override.who, f"{run.override.time:%Y-%m-%d %H:%M} UTC"
            self._print(f"Released on purpose by {by}, {when}: {escape(run.override.reason)}")
        if run.learned:
            for line in run.learned.sentences():
                self.note(line)
            for line in run.learned.too_narrow(self._settings.release_gate.model_dump()):
                self.warn(line)
        if run.evaluation:
            self.table(tables.models(run.metrics))
            for line in tables.changes(run.evaluation):
                self.note(line)

    def _ingest(self, run: Run) -> None:
        report = run.ingest
        if not report or not (report.bad_rows or report.corrupt):
            return
        splits = " + ".join(f"{count:,} {name}" for name, count in report.splits.items())
        self._print(f"{report.rows_in:,} rows read = {splits} + {report.bad_rows:,} quarantined")
        for reason, count in report.quarantined.items():
            share = f"{count / report.rows_in:.2%}"
            first = next(row for row in report.examples if row.kind == reason)
            self.note(
                f"  {reason}: {count:,} ({share}), as {first.file}: record {first.record}: {first.reason}"
            )
        for corrupt in report.corrupt:
            self.note(f"  {corrupt.file}: {corrupt.reason}; {corrupt.unread_bytes:,} bytes were not read")
        self._print(f"  set aside in {escape(str(run.quarantine))}", whole=True)

    def _checks(self, run: Run) -> None:
        """What gates hold against the data or the model; nothing where they hold nothing."""
        for outcome in (Outcome.BLOCKED, Outcome.WARNED):
            for gate, verdict in run.verdicts.items():
                says = (
                    f"[red]Blocked by {gate}:[/]"
                    if outcome is Outcome.BLOCKED
                    else f"[yellow]{gate} warns:[/]"
                )
                for check in verdict.checks:
                    if check.outcome is outcome:
                        self._print(f"{says} {escape(str(check))}")
                        for line in check.details:
                            self.note(f"  {line}")

    def _components(self, run: Run) -> None:
        if run.components:
            self.table(tables.components(run.components))

    def _next(self, run: Run) -> None:
        """What is live or lost, and commands that can be typed now."""
        for lost in run.lost:
            self.warn(f"{lost}: is gone or damaged; the next run makes it again where it is needed")
        if run.live_problem:
            self._print(f"[red]{escape(run.live_problem)}[/]", whole=True)
        if run.live_version:
            self._print(f"Live is version {run.live_version}: {escape(str(run.model))}", whole=True)
        commands = []
        with suppress(InputError):  # never a command that must fail
            releasable(self._settings, run)
            commands.append(f"{self._command('bless')} {run.run} --reason '…'   # to release it all the same")
        if run.live_version:
            commands.append(f"{self._command('predict')} {self._example()}")
        if run.components:
            commands.append(self._command("show"))
        for index, command in enumerate(commands):
            self._print(f"{'      ' if index else 'Next: '}{escape(command)}", whole=True)

    def _command(self, name: str) -> str:
        """A command as this user can type it here."""
        program = sys.argv[0] if Path(sys.argv[0]).name == "maskline" else "maskline"
        here = is_found_from_here(self._settings.root)
        root = "" if here else f" --root {shlex.quote(str(self._settings.root))}"
        return f"{program} {name}{root}"

    def _example(self) -> str:
        return shlex.quote(example_text(self._settings.sequence))

    def _print(self, markup: str, *, whole: bool = False) -> None:
        """Prints a line, wrapped at words where the width is known; a `whole` line is one to copy."""
        text = Text.from_markup(markup)
        if self._rich.soft_wrap or whole:
            self._rich.print(text, soft_wrap=True)
            return
        indent = len(text.plain) - len(text.plain.lstrip())
        room = max(20, self._rich.width - indent - _HANGING)
        for index, line in enumerate(text[indent:].wrap(self._rich, room)):
            line.rstrip()
            self._rich.print(Text(" " * (indent + (_HANGING if index else 0))) + line)

    def table(self, table: Table) -> None:
        """A table, or a line for each row where the screen is too narrow for it."""
        if tables.fits(table, self._rich):
            self._rich.print(table, soft_wrap=False)
        else:
            for line in tables.as_lines(table):
                self.note(line)

    def _picture(self) -> Table:
        table = Table.grid(padding=(0, 1))
        for _ in range(3):
            table.add_column(no_wrap=True)
        table.add_column()
        for what, (began, text) in list(self._working.items()):
            seconds = f"{time.monotonic() - began:7.1f} s"
            table.add_row(Spinner("dots"), f"{what:<18}", seconds, self._told(what, text))
        return table

    def _told(self, what: str, text: str) -> Table | Text:
        """How far a component is: with a bar where that is known and there is room."""
        learned, reading = self._learning[what], self._reading.get(what)
        words = learned.words(time.monotonic()) or (reading.words() if reading else text)
        told = Text(words, style="dim")
        if not (learned.done or reading) or self._rich.width < _BAR_FROM:
            return told
        # Nobody counts the rows of the shards before they are read, so their bar has no end to come to.
        done, of = learned.done or (0, None)
        row = Table.grid(padding=(0, 1))
        row.add_row(ProgressBar(total=of, completed=done, width=_BAR, pulse=of is None), told)
        return row


def _open(file: IO[str] | None = None) -> rich.console.Console:
    """Wraps whole words where the width is known; elsewhere a line stays a line, for programs."""
    known = (file or sys.stdout).isatty() or "COLUMNS" in os.environ
    return rich.console.Console(
        file=file, highlight=False, soft_wrap=not known, width=None if known else _PLAIN_WIDTH
    )
