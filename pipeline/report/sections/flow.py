"""The flow: which component did what, in how many seconds, on how many rows, and what came from what."""

from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

from markupsafe import Markup

from maskline.pipeline.registry.record import Component
from maskline.pipeline.report.blocks import Figure, Grid, ReportSection, Table
from maskline.pipeline.report.known import RunFacts
from maskline.transform.names import ArtifactType, Node

_STATES = {"COMPLETE": ("good", "done"), "CACHED": ("faint", "from the cache"), "FAILED": ("bad", "failed")}
_UNKNOWN = ("open", "stopped or at work")
BOX, _GAP, HIGH, _RISE = 204, 18, 58, 28  # width, space beside, height, space below


class Box(NamedTuple):
    """A component in the picture: place, words, and the name of the color that its state has."""

    x: int
    y: int
    name: str
    lines: tuple[str, ...]
    color: str


class Arrow(NamedTuple):
    """From the lower edge of one box to the upper edge of another."""

    x1: int
    y1: int
    x2: int
    y2: int


class Flow(NamedTuple):
    """The picture, in units of the page."""

    width: int
    height: int
    boxes: list[Box]
    arrows: list[Arrow]


def flow(known: RunFacts, draw: Callable[[Flow], Markup]) -> ReportSection:
    """Components as boxes, the data's way as arrows."""
    section = ReportSection("flow", "Flow and lineage")
    parts = known.run.components
    if not parts:
        section.missing("No component of this run was begun, so there is no flow to show.")
        return section
    cached = [part.name for part in parts if part.state == "CACHED"]
    caption = "Each box is a component, with its state, its seconds, and rows in → rows out"
    caption += f"; {', '.join(cached)} came from the cache." if cached else "; nothing came from the cache."
    section.blocks.append(
        Figure(
            "components",
            "Components of this run",
            caption,
            draw(layout(parts, known.lineage.edges)),
            Grid.of(
                ("component", "state", "seconds", "rows in", "rows out", "made"),
                [
                    (
                        part.name,
                        part.state.lower(),
                        f"{part.seconds:.2f}",
                        _rows(part.records_in),
                        _rows(part.records_out),
                        ", ".join(f"{kind} {n}" for kind, n in known.lineage.artifacts.get(part.name, ())),
                    )
                    for part in parts
                ],
                numeric=(2,),
            ),
            wide=True,
        )
    )
    section.blocks.append(_lineage(known))
    return section


def layout(parts: list[Component], edges: list[tuple[str, str]]) -> Flow:
    """Puts each component below all those whose results it read."""
    names = [part.name for part in parts]
    before = _direct([edge for edge in edges if set(edge) <= set(names)])
    ranks: dict[str, int] = {}
    for name in names:  # in the order in which they ran, so that what was read has its rank
        ranks[name] = max((ranks[m] + 1 for m in before[name] if m in ranks), default=0)
    for name in names:  # what reads nothing stands beside what is read with it
        after = [ranks[reader] for reader, makers in before.items() if name in makers]
        if not before[name] and after:
            ranks[name] = max(0, min(after) - 1)
    for name in [n for n in names if not any(n in edge for edge in edges)]:
        earlier = [ranks[other] for other in names[: names.index(name)]]
        ranks[name] = max(earlier, default=0)
    levels: dict[int, list[str]] = defaultdict(list)
    for name, rank in ranks.items():
        levels[rank].append(name)
    widest = max(map(len, levels.values()))
    width = widest * (BOX + _GAP) + _GAP
    places: dict[str, tuple[int, int]] = {}
    for level, (_, here) in enumerate(sorted(levels.items())):
        left = (width - len(here) * (BOX + _GAP) + _GAP) // 2
        for index, name in enumerate(here):
            places[name] = (left + index * (BOX + _GAP), 8 + level * (HIGH + _RISE))
    boxes = [_box(part, *places[part.name]) for part in parts]
    arrows = [
        Arrow(places[a][0] + BOX // 2, places[a][1] + HIGH, places[b][0] + BOX // 2, places[b][1])
        for b, makers in before.items()
        for a in makers
    ]
    return Flow(width, 16 + len(levels) * (HIGH + _RISE), boxes, arrows)


def _direct(edges: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Reader → makers, without what reaches the reader through another component as well."""
    makers: dict[str, set[str]] = defaultdict(set)
    for maker, reader in edges:
        makers[reader].add(maker)

    def above(name: str) -> set[str]:
        return makers[name].union(*(above(maker) for maker in makers[name]))

    found: dict[str, list[str]] = defaultdict(list)
    for reader in list(makers):
        further = set[str]().union(*(above(maker) for maker in makers[reader]))
        found[reader] = sorted(makers[reader] - further)
    return found


def _box(part: Component, x: int, y: int) -> Box:
    color, state = _STATES.get(part.state, _UNKNOWN)
    rows = f"{_short(part.records_in)} → {_short(part.records_out)}" if part.records_in else ""
    return Box(x, y, part.name, (f"{state}, {part.seconds:.1f} s", rows), color)


def _short(records: dict[str, int]) -> str:
    return " + ".join(f"{count:,}" for count in records.values()) or "–"


def _rows(records: dict[str, int]) -> str:
    return " + ".join(f"{count:,} {name}" for name, count in records.items())


def _lineage(known: RunFacts) -> Table:
    """From the shards to the version, by the numbers that the metadata store gave."""
    run = known.run

    def number(node: str, kind: str) -> str:
        return ", ".join(str(n) for name, n in known.lineage.artifacts.get(node, ()) if name == kind)

    steps: list[tuple[str, str, str]] = []
    if run.ingest:
        for shard in run.ingest.shards[:20]:
            steps.append(("shard", shard.name, f"{shard.rows:,} rows, {shard.size:,} bytes"))
        if len(run.ingest.shards) > 20:
            rest = run.ingest.shards[20:]
            steps.append(("shards", f"{len(rest):,} more", f"{sum(s.rows for s in rest):,} rows"))
    for title, node, kind in (
        ("rows", Node.EXAMPLE_GEN, ArtifactType.EXAMPLES),
        ("transformed rows", Node.TRANSFORM, ArtifactType.EXAMPLES),
        ("model", Node.TRAINER, ArtifactType.MODEL),
        ("evaluation", Node.EVALUATOR, ArtifactType.EVALUATION),
    ):
        if found := number(node, kind):
            steps.append((title, f"artifact {found}", f"made by {node}"))
    if run.released_version is not None:
        steps.append(("version", str(run.released_version), "in the serving directory"))
    return Table(
        "From shards to version",
        Grid.of(("what", "name", "detail"), steps),
        f"Read from {run.ingest.folder}." if run.ingest and run.ingest.folder else "",
    )
