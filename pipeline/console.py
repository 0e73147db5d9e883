"""What a person sees of a run: live on a terminal, plain lines elsewhere."""

import os
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rich.box
import rich.console
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from maskline.components.ingest.spans import name as span_name
from maskline.components.verdict import Outcome, Verdict
from maskline.pipeline.config import Config
from maskline.pipeline.local.streams import Output
from maskline.pipeline.registry.history import DONE, Component, Run
from maskline.pipeline.settings.remembered import is_found_from_here
from maskline.transform.features import example_text

_MARKS = {
    Outcome.PASSED: "[green]✓[/]",
    Outcome.WARNED: "[yellow]![/]",
    Outcome.BLOCKED: "[red]✗[/]",
    Outcome.IGNORED: "-",
}


class Console:
    """Shows progress and results on standard output.

    Without a terminal every event is a plain line; on one, the lines of nodes at work are live.

    Args:
      config: says where things lie, for the hints.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._rich = rich.console.Console(highlight=False, soft_wrap=True)
        self._screen: Output | None = None
        self._live: Live | None = None
        self._working: dict[str, tuple[float, str]] = {}

    @contextmanager
    def on_its_own_screen(self) -> Iterator[None]:
        """Keeps writing to today's standard output while it is sent elsewhere for all others."""
        sys.stdout.flush()
        with Output(os.dup(1), sys.stdout.encoding, closes=True) as screen:
            before, self._screen = self._rich, screen
            self._rich = rich.console.Console(file=screen, highlight=False, soft_wrap=True)
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
        self._working[what] = (time.monotonic(), "")
        if self._live:
            self._live.refresh()
        else:
            self._print(f"  {what} …")

    def progressed(self, what: str, text: str) -> None:
        """A component tells how far it is."""
        self._working[what] = (self._working[what][0], text)
        if not self._live:
            self._print(f"  {what}: {escape(text)}")

    def ended(self, what: str, seconds: float, *, ok: bool) -> None:
        """A component ended."""
        self._working.pop(what, None)
        mark = "[green]✓[/]" if ok else "[red]✗[/]"
        self._print(f"{mark} {what:<18}{seconds:7.1f} s")

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
        self._verdict(run)

    def summary(
        self,
        run: Run,
        log: os.PathLike[str],
        failure: Exception | None = None,
        *,
        gates_told: bool = False,
    ) -> None:
        """What a run did, and what to do next; not again what `gates` told."""
        if run.components:
            self._rich.print(_table(run.components))
        self._ingest(run)
        if failure:
            self._print(f"[red]{escape(str(failure))}[/]")
        elif not run.ended:
            undone = [c.name for c in run.components if c.state not in DONE]
            self._print(f"[red]Not done:[/] {', '.join(undone) or 'the rest'}; the log has the details.")
        self._verdict(run, gates_told=gates_told)
        self.note(f"log: {log}")

    def ingested(self, run: Run) -> None:
        """What became of an older span that a window needs."""
        self._ingest(run)
        if "DataGate" in run.verdicts:
            self._checks("DataGate", run.verdicts["DataGate"])

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
        self.note(f"  set aside in {run.quarantine}")

    def _verdict(self, run: Run, *, gates_told: bool = False) -> None:
        if "DataGate" in run.verdicts and not gates_told:
            self._checks("DataGate", run.verdicts["DataGate"])
        if run.window:
            path = self._config.data.path
            named = [span_name(path, s.span) + f" version {s.version}" * bool(s.version) for s in run.window]
            self.note(f"Window of spans: {', '.join(named)}")
        if run.blocked:
            self._print("Nothing was trained or released.")
        for model, metrics in run.metrics.items():
            shown = ", ".join(f"{k} {v:.4g}" for k, v in metrics.items() if k != "example_count")
            self._print(f"{model}: {shown}")
        self._blessing(run, gates_told=gates_told)
        if run.released_version and run.released_version == run.live_version:
            self._print(
                f"[green]Blessed and released[/] as version {run.released_version}: {escape(str(run.model))}"
            )
        elif run.blessed and run.ended and run.live_version:  # not where the run failed before Pusher
            self._print("Blessed, and released before; nothing new to push.")
        if run.live_version:
            if run.released_version != run.live_version:
                self._print(f"Live is version {run.live_version}: {escape(str(run.model))}")
            self._print(f"Next: {self._command('predict')} {self._example()}")
            self._print(f"      {self._command('show')}")

    def _checks(self, node: str, verdict: Verdict) -> None:
        """What a gate held against the data or the model; nothing where it held nothing."""
        words = {Outcome.BLOCKED: f"[red]Blocked by {node}:[/]", Outcome.WARNED: f"[yellow]{node} warns:[/]"}
        for check in verdict.checks:
            if check.outcome in words:
                self._print(f"{words[check.outcome]} {escape(str(check))}")
                for line in check.details:
                    self._print(f"  {escape(line)}")

    def _blessing(self, run: Run, *, gates_told: bool) -> None:
        if run.blessed is not False:
            return
        if not gates_told:
            self.headline(run)
            for check in run.verdicts["ReleaseGate"].blocking:
                for line in check.details:
                    self.note(f"  {line}")
        if run.override:
            by, when = run.override.who, f"{run.override.time:%Y-%m-%d %H:%M} UTC"
            self._print(f"Released on purpose by {by}, {when}: {escape(run.override.reason)}")
        else:
            self._print(f"To release it all the same: {self._command('bless')} {run.run} --reason '…'")

    def headline(self, run: Run) -> None:
        """Why a model was not blessed; nothing for one that was."""
        if run.blessed is False:
            self._print(f"[red]Not blessed:[/] {escape('; '.join(run.why))}")

    def gates(self, run: Run) -> None:
        """What each gate asked and measured."""
        for name, verdict in run.verdicts.items():
            self._print(f"{name}: {'passed' if verdict.passed else '[red]not passed[/]'}")
            for check in verdict.checks:
                self._print(f"  {_MARKS[check.outcome]} {escape(str(check))}")
                for line in check.details:
                    self.note(f"      {line}")

    def _command(self, name: str) -> str:
        """A command as this user can type it here."""
        program = sys.argv[0] if Path(sys.argv[0]).name == "maskline" else "maskline"
        here = is_found_from_here(self._config.root)
        root = "" if here else f" --root {shlex.quote(str(self._config.root))}"
        return f"{program} {name}{root}"

    def _example(self) -> str:
        return shlex.quote(example_text(self._config.sequence))

    def _print(self, markup: str) -> None:
        self._rich.print(Text.from_markup(markup))

    def _picture(self) -> Table:
        table = Table.grid(padding=(0, 1))
        for what, (began, text) in list(self._working.items()):
            seconds = f"{time.monotonic() - began:7.1f} s"
            table.add_row(Spinner("dots"), f"{what:<18}", seconds, Text(text, style="dim"))
        return table


def _table(components: list[Component]) -> Table:
    table = Table(box=rich.box.SIMPLE_HEAD, pad_edge=False, caption="records: train + eval")
    table.add_column("component")
    table.add_column("state")
    table.add_column("seconds", justify="right")
    table.add_column("records in")
    table.add_column("records out")
    for component in components:
        table.add_row(
            component.name,
            component.state.lower(),
            f"{component.seconds:.1f}",
            _counts(component.records_in),
            _counts(component.records_out),
        )
    return table


def _counts(records: dict[str, int]) -> str:
    return " + ".join(f"{count:,}" for count in records.values())
