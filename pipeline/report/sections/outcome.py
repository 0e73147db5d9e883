"""The first section: released or not, why, and what to do next."""

from collections.abc import Iterator
from contextlib import suppress

from maskline.components.verdict import Check, Outcome
from maskline.pipeline.headline import BAD, GOOD
from maskline.pipeline.registry.releasable import releasable
from maskline.pipeline.report.blocks import Grid, ReportBlock, ReportSection, Table, Words
from maskline.pipeline.report.known import RunFacts
from maskline.transform.errors import InputError
from maskline.transform.features import example_text
from maskline.transform.names import Node


def outcome(known: RunFacts) -> ReportSection:
    """Why the run ended as it did, in words that need no other section."""
    section = ReportSection("outcome", "Outcome and next steps")
    run = known.run
    for gate, verdict in run.verdicts.items():
        if verdict.blocking:
            section.blocks.append(_because(gate, verdict.blocking))
    if run.override:
        when = f"{run.override.time:%Y-%m-%d %H:%M} UTC"
        text = f"Released on purpose by {run.override.who}, {when}: {run.override.reason}"
        section.blocks.append(Words.of(text, kind="open"))
    if known.failure.lines:
        section.blocks.append(
            Words.of(*known.failure.lines, kind="bad", title="What the log says about the failure")
        )
    warned = [
        f"{gate}: {check}"
        for gate, verdict in run.verdicts.items()
        for check in verdict.checks
        if check.outcome is Outcome.WARNED
    ]
    if warned:
        title = "Warnings, which did not stop the run"
        section.blocks.append(Words.of(*warned, kind="open", title=title))
    section.blocks.append(Words.of(*next_steps(known), kind="list", title="What to do next"))
    section.blocks.append(_in_figures(known))
    if known.gone:
        section.blocks.append(
            Words.of(
                *known.gone,
                kind="missing",
                title="Files that this report needed and could not read; `maskline gc` or another hand "
                "removed or damaged them",
            )
        )
    return section


def _because(gate: str, checks: tuple[Check, ...]) -> ReportBlock:
    lines = [line for check in checks for line in (str(check), *check.details)]
    return Words.of(*lines, kind="bad", title=f"Why not: {gate} said no")


def next_steps(known: RunFacts) -> Iterator[str]:
    """What a person can do now, each with the command to type."""
    run, settings = known.run, known.settings
    root = f" --root {settings.root}"
    if not run.ended:
        if known.headline.colour == BAD:
            yield f"Repair what the log names ({settings.root / 'logs' / run.log_name}), then `maskline run`."
            yield "Finished components are not run again; a killed training goes on after its last epoch."
        else:
            yield "`maskline run` continues where this run stopped, unless it is still at work."
        return
    if run.blocked:
        yield "Look at the rows and symbols below; correct the data, or accept them where they are right."
        yield "`maskline schema diff` compares them with the schema; `data_gate` has the limits."
    elif run.released_version is not None and known.headline.colour == GOOD:
        yield f"Ask the model: `maskline predict{root} '{example_text(settings.sequence)}'`"
        yield "Read the twenty wrong answers below: some of the labels may be wrong."
        if known.live_before:
            yield f"To go back to version {known.live_before}: `maskline rollback{root} --reason '…'`"
    elif not run.blessed:
        if details := [line for check in _blocking(known) for line in check.details]:
            yield f"The gate's own advice: {details[0]}"
        yield "See below where this model is worse, and which settings and rows differ from the live model's."
        with suppress(InputError):  # never a command that must fail
            releasable(settings, run)
            yield f"To release it all the same: `maskline bless{root} {run.run} --reason '…'`"
    yield f"The same as text: `maskline show{root} {run.run}`"


def _blocking(known: RunFacts) -> list[Check]:
    return [check for verdict in known.run.verdicts.values() for check in verdict.blocking]


def _in_figures(known: RunFacts) -> Table:
    run = known.run
    rows: list[tuple[str, str]] = [("Run", run.run)]
    if run.ingest:
        splits = " + ".join(f"{count:,} {name}" for name, count in run.ingest.splits.items())
        rows.append(("Rows", f"{run.ingest.rows_in:,} read = {splits} + {run.ingest.bad_rows:,} quarantined"))
    if known.facts and known.facts["data"].get("span"):
        rows.append(("Data", known.facts["data"]["span"]))
    if run.evaluation:
        accuracy = run.evaluation.overall.metrics["candidate"]["accuracy"]
        rows.append(("Accuracy", f"{accuracy:.1%} of {run.evaluation.overall.rows:,} held-out rows"))
    if known.parameters:
        rows.append(("Parameters", f"{known.parameters:,}"))
    rows.append(("Seconds", f"{known.seconds:,.1f} in {len(run.components)} components"))
    live = f"version {run.live_version}" if run.live_version else "none"
    rows.append(("Live when this report was made", live))
    if Node.TRAINER not in {part.name for part in run.components}:
        rows.append(("Model", "none was trained"))
    return Table("In figures", Grid.of(("", ""), rows))
