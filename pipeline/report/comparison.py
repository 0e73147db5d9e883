"""Several runs side by side, what changed between them first."""

from collections.abc import Iterator, Sequence
from typing import Any

from maskline.components.evaluation.report import CANDIDATE
from maskline.pipeline import comparison
from maskline.pipeline.headline import headline
from maskline.pipeline.registry.record import Run
from maskline.pipeline.registry.store import RunStore
from maskline.pipeline.report import facts, page
from maskline.pipeline.report.blocks import Grid, ReportBlock, ReportSection, Table, Words
from maskline.pipeline.report.known import RunFacts
from maskline.pipeline.report.report import sections
from maskline.pipeline.report.sections.setup import flat, json_text
from maskline.pipeline.settings.sections import Settings


def make(settings: Settings, runs: Sequence[tuple[Run, bool]], store: RunStore | None = None) -> str:
    """A page that compares runs; the first one is what the others are held against.

    Args:
      settings: says where things lie.
      runs: each with whether it is the last one of its root.
      store: the metadata store of a cluster, in place of the root's own.
    """
    known = [facts.read(settings, run, is_last=is_last, store=store) for run, is_last in runs]
    found = [list(sections(one, f"r{number}-")) for number, one in enumerate(known, start=1)]
    beside = [
        (parts[0].name, parts[0].title, list(zip([one.run.run for one in known], parts, strict=True)))
        for parts in zip(*found, strict=True)
    ]
    contents = [
        ReportSection("changes", "What changed"),
        *(ReportSection(name, title) for name, title, _ in beside),
    ]
    return page.render(
        "compare",
        heading=f"{len(known)} runs side by side",
        tone="open",
        summary="What changed between them comes first, then the figures of each run.",
        contents=contents,
        changes=list(_changes(known)),
        sections=beside,
    )


def _changes(known: Sequence[RunFacts]) -> Iterator[ReportBlock]:
    names = [one.run.run for one in known]
    yield Table(
        "Outcomes",
        Grid.of(("run", "outcome"), [(n, headline(k.run).text) for n, k in zip(names, known, strict=True)]),
    )
    for title, values in (
        ("Data", [_data(one) for one in known]),
        ("Settings and seed", [_part(one, "settings") for one in known]),
        ("Code and versions", [_code(one) for one in known]),
    ):
        yield _differing(title, names, values)
    first = known[0]
    for other in known[1:]:
        words = (headline(first.run).text, headline(other.run).text)
        compared = comparison.compare_runs(first.run, other.run, words)
        lines = [line for line in comparison.lines(compared) if line]
        yield Words.of(*lines[2:], kind="list", title=f"From {first.run.run} to {other.run.run}")
    yield _metrics(names, known)


def _differing(title: str, names: Sequence[str], values: Sequence[dict[str, Any] | None]) -> ReportBlock:
    if missing := [name for name, value in zip(names, values, strict=True) if value is None]:
        return Words.of(f"Not recorded for {', '.join(missing)}.", kind="missing", title=title)
    there = [value for value in values if value is not None]
    keys = [
        k
        for k in dict.fromkeys(k for value in there for k in value)
        if len({repr(v.get(k)) for v in there}) > 1
    ]
    if not keys:
        return Words.of("The same in all.", title=title)
    return Table(title, Grid.of(("", *names), [(k, *(json_text(v.get(k)) for v in there)) for k in keys]))


def _data(known: RunFacts) -> dict[str, Any] | None:
    if known.ingest is None:
        return None
    shards = {f"shard {s.name}": f"{s.rows:,} rows, {s.size:,} bytes" for s in known.ingest.shards[:50]}
    splits = {f"{name} rows": count for name, count in known.ingest.splits.items()}
    return {"folder": known.ingest.folder, **splits, "quarantined": known.ingest.bad_rows, **shards}


def _part(known: RunFacts, name: str) -> dict[str, Any] | None:
    return dict(flat(known.facts[name])) if known.facts else None


def _code(known: RunFacts) -> dict[str, Any] | None:
    if known.facts is None:
        return None
    return {**{f"source of {k}": v for k, v in known.facts["code"].items()}, **known.facts["stack"]}


def _metrics(names: Sequence[str], known: Sequence[RunFacts]) -> ReportBlock:
    measured = [one.run.evaluation.overall.metrics[CANDIDATE] if one.run.evaluation else {} for one in known]
    metrics = dict.fromkeys(name for values in measured for name in values)
    if not metrics:
        return Words.of("None of these runs measured a model.", kind="missing", title="Metrics")
    rows = [
        (m.replace("_", " "), *(f"{v[m]:,.4f}".removesuffix(".0000") if m in v else "–" for v in measured))
        for m in metrics
    ]
    return Table("Metrics", Grid.of(("metric", *names), rows, range(1, len(names) + 1)))
