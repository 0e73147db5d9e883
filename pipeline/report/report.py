"""Puts a run's report together, and writes it so that it is whole or not there."""

import os
from contextlib import suppress
from pathlib import Path

from markupsafe import Markup

from maskline.pipeline.headline import BAD, GOOD
from maskline.pipeline.registry.record import Run
from maskline.pipeline.registry.store import RunStore
from maskline.pipeline.report import facts, page
from maskline.pipeline.report.blocks import ReportSection
from maskline.pipeline.report.halves import in_halves
from maskline.pipeline.report.known import RunFacts
from maskline.pipeline.report.sections.data import data
from maskline.pipeline.report.sections.evaluation import evaluation, wrong_answers
from maskline.pipeline.report.sections.flow import Flow, flow
from maskline.pipeline.report.sections.gates import gates
from maskline.pipeline.report.sections.masking import masking
from maskline.pipeline.report.sections.outcome import outcome
from maskline.pipeline.report.sections.setup import setup
from maskline.pipeline.report.sections.training import training
from maskline.pipeline.settings.sections import Settings
from maskline.transform.errors import cannot_write


def make(
    settings: Settings,
    run: Run,
    *,
    is_last: bool = True,
    at_work: bool = True,
    store: RunStore | None = None,
) -> str:
    """The report of a run as HTML; see `facts.read` for the arguments."""
    known = facts.read(settings, run, is_last=is_last, at_work=at_work, store=store)
    found = sections(known)
    heading, summary = divided(known.headline.text)
    return page.render(
        "run",
        heading=heading,
        tone=tone(known),
        summary=summary,
        contents=found,
        sections=found,
    )


def divided(headline: str) -> tuple[str, str]:
    """The outcome in a few words, and the rest of the sentence."""
    heading, dot, rest = headline.partition(". ")
    if ": " in heading:
        heading, _, reason = heading.partition(": ")
        return heading, f"{reason[0].upper()}{reason[1:]}{dot}{rest}"
    return heading + dot.strip(), rest


def tone(known: RunFacts) -> str:
    """The color that says the same as the headline."""
    return {GOOD: "good", BAD: "bad"}.get(known.headline.colour, "open")


def sections(known: RunFacts, prefix: str = "") -> list[ReportSection]:
    """All sections in their order; ids of pictures begin with `prefix`."""

    def picture(found: Flow) -> Markup:
        return page.flow_picture(found, f"{prefix}flow-")

    return in_halves(
        [
            lambda: outcome(known),
            lambda: flow(known, picture),
            lambda: data(known, prefix),
            lambda: training(known, prefix),
            lambda: masking(known, prefix),
            lambda: evaluation(known, prefix),
            lambda: wrong_answers(known),
            lambda: gates(known, prefix),
            lambda: setup(known),
        ]
    )


def write(text: str, file: Path) -> None:
    """Writes beside and renames.

    Raises:
      InputError: the file cannot be written.
    """
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, file)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise cannot_write(file, error) from None
