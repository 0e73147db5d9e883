"""The data: rows, lengths and padding, symbols against the previous span, and what was set aside."""

from matplotlib.axes import Axes

from maskline.components.verdict import Check
from maskline.pipeline.report.blocks import Figure, Grid, ReportSection, Table, Words, plain
from maskline.pipeline.report.known import RunFacts
from maskline.pipeline.report.plots import ABOVE, Ink, bars_across, draw
from maskline.transform.features import SequenceSpec
from maskline.transform.names import Node

_SYMBOLS = 20  # of a feature, in a figure


def data(known: RunFacts, prefix: str) -> ReportSection:
    """What went in."""
    section = ReportSection("data", "Data")
    if known.ingest:
        section.blocks.append(_rows(known))
    else:
        section.missing("The ingest of this run left no report: it did not end, or its files were removed.")
    _lengths(section, known, prefix)
    _symbols(section, known, prefix)
    _quarantine(section, known, prefix)
    return section


def _rows(known: RunFacts) -> Table:
    ingest = known.ingest
    assert ingest
    total = max(1, ingest.rows_in)
    rows = [(name, f"{count:,}", f"{count / total:.2%}") for name, count in ingest.splits.items()]
    rows.append(("quarantined", f"{ingest.bad_rows:,}", f"{ingest.bad_rows / total:.2%}"))
    rows.append(("read", f"{ingest.rows_in:,}", ""))
    return Table("Rows", Grid.of(("rows", "count", "share"), rows, (1, 2)), wide=False)


def _lengths(section: ReportSection, known: RunFacts, prefix: str) -> None:
    if not known.answers:
        section.missing(
            "Lengths are not recorded: no training of this run came to its end, or they are gone."
        )
        return
    length = known.settings.sequence.length
    if known.facts:
        length = known.facts["settings"]["sequence"]["length"]
    lengths = known.answers.lengths
    filled = sum(n * count for split in lengths.values() for n, count in split.items())
    rows = sum(count for split in lengths.values() for count in split.values())
    padding = 1 - filled / max(1, rows * length)
    splits = list(lengths)
    all_lengths = sorted({n for split in lengths.values() for n in split})

    def paint(axes: Axes) -> None:
        bottom = dict.fromkeys(all_lengths, 0)
        for split, ink in zip(splits, (Ink.OURS, Ink.OTHER, Ink.OPEN), strict=False):
            counts = [lengths[split].get(n, 0) for n in all_lengths]
            bars = axes.bar(
                all_lengths, counts, bottom=list(bottom.values()), width=0.8, color=ink, label=split
            )
            for n, bar in zip(all_lengths, bars, strict=True):
                bar.set_gid(f"{split}-{n}")
                bottom[n] += lengths[split].get(n, 0)
        axes.axvline(length, color=Ink.BAD, linestyle="--", label=f"sequence.length {length}")
        axes.set_xlabel("symbols in a row, separators included")
        axes.set_ylabel("rows")
        axes.grid(axis="x", visible=False)
        axes.legend()

    title = "Lengths of rows"
    section.blocks.append(
        Figure(
            "lengths",
            title,
            f"Rows are padded to {length}: {padding:.1%} of all positions hold padding.",
            draw(f"{prefix}lengths", title, paint),
            Grid.of(
                ("length", *splits),
                [(n, *(f"{lengths[split].get(n, 0):,}" for split in splits)) for n in all_lengths],
                range(len(splits) + 1),
            ),
        )
    )


def _symbols(section: ReportSection, known: RunFacts, prefix: str) -> None:
    if not known.counts:
        section.missing(
            "Shares of symbols are not known: the statistics did not come to an end, or are gone."
        )
        return
    checks = {check.subject.strip("'"): check for check in _checks(known) if check.kind == "drift"}
    if not known.counts_before:
        section.missing(
            "There is no earlier span to compare the symbols with, so the figures show shares alone."
        )
    spec = known.settings.sequence
    for number, feature in enumerate(sorted(known.counts.features)):
        ours = known.counts.features[feature]
        theirs = known.counts_before.features.get(feature, {}) if known.counts_before else {}
        if ours:
            section.blocks.append(
                _feature(feature, ours, theirs, spec, checks.get(feature), f"{prefix}symbols-{number}")
            )


def _checks(known: RunFacts) -> tuple[Check, ...]:
    verdict = known.run.verdicts.get(Node.DATA_GATE)
    return verdict.checks if verdict else ()


def _feature(
    feature: str,
    ours: dict[str, int],
    theirs: dict[str, int],
    spec: SequenceSpec,
    check: Check | None,
    name: str,
) -> Figure:
    def shares(counts: dict[str, int]) -> dict[str, float]:
        total = max(1, sum(counts.values()))
        return {value: count / total for value, count in counts.items()}

    def symbol(value: str) -> str:
        if spec.text.reads_text and feature != spec.label:
            return f"'{plain(value)[:24]}'"
        named = spec.named(feature, int(value)) if value.isdecimal() else None
        return f"id {value}" if named is None else f"'{plain(named)[:24]}'"

    now, before = shares(ours), shares(theirs)
    values = sorted(now.keys() | before.keys(), key=lambda v: (-max(now.get(v, 0), before.get(v, 0)), v))
    if theirs:  # what changed most
        values = sorted(values, key=lambda v: -abs(now.get(v, 0) - before.get(v, 0)))
    shown = values[:_SYMBOLS]

    def paint(axes: Axes) -> None:
        bars_across(axes, [symbol(v) for v in shown])
        high = 0.38 if theirs else 0.7
        for place, value in enumerate(shown):
            [bar] = axes.barh([place - high / 2 * bool(theirs)], [now.get(value, 0)], high, color=Ink.OURS)
            bar.set_gid(f"now-{value}")
            if theirs:
                [bar] = axes.barh([place + high / 2], [before.get(value, 0)], high, color=Ink.OTHER)
                bar.set_gid(f"before-{value}")
        axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        axes.set_xlabel("share of the feature's symbols in train")
        if theirs:
            bars = [axes.patches[0], axes.patches[1]]
            axes.legend(bars, ["this span", "previous span"], **ABOVE)

    drift = "no drift was judged"
    if check and check.scale:
        held = "within" if check.scale.value <= check.scale.limit else "beyond"
        drift = (
            f"the drift is {check.scale.value:.4f} bits (Jensen-Shannon divergence), {held} the "
            f"{check.scale.limit:.4f} that are allowed, chance included"
        )
    elif check:
        drift = f"{check.measured}; {check.asked}"
    which = f"the {len(shown)} of {len(values)} symbols that changed most" if theirs else "symbols by share"
    title = f"Symbols of '{plain(feature)}'"
    return Figure(
        name.rsplit("/", 1)[-1],
        title,
        f"{which[0].upper()}{which[1:]}; {drift}.",
        draw(name, title, paint, height=max(2.2, 0.8 + 0.26 * len(shown))),
        Grid.of(
            ("symbol", "share", "share before", "count"),
            [
                (
                    symbol(v),
                    f"{now.get(v, 0):.4%}",
                    f"{before.get(v, 0):.4%}" if theirs else "–",
                    f"{ours.get(v, 0):,}",
                )
                for v in values[:200]
            ],
            (1, 2, 3),
        ),
    )


def _quarantine(section: ReportSection, known: RunFacts, prefix: str) -> None:
    ingest = known.ingest
    if ingest is None:
        return
    if not ingest.bad_rows and not ingest.corrupt:
        section.blocks.append(Words.of(f"All {ingest.rows_in:,} rows were good: none was quarantined."))
        return
    counts = {str(reason): count for reason, count in ingest.quarantined.items()}
    if counts:

        def paint(axes: Axes) -> None:
            bars_across(axes, list(counts))
            for place, count in enumerate(counts.values()):
                [bar] = axes.barh([place], [count], 0.6, color=Ink.BAD)
                bar.set_gid(f"reason-{place}")
                axes.annotate(f" {count:,}", (count, place), va="center", color=Ink.TEXT)
            axes.set_xlabel("rows")
            axes.margins(x=0.15)

        title = "Quarantined rows by reason"
        share = ingest.bad_rows / max(1, ingest.rows_in)
        section.blocks.append(
            Figure(
                "quarantine",
                title,
                f"{ingest.bad_rows:,} of {ingest.rows_in:,} rows ({share:.2%}) were set aside and not used.",
                draw(f"{prefix}quarantine", title, paint, height=max(1.6, 1 + 0.4 * len(counts))),
                Grid.of(("reason", "rows"), [(r, f"{c:,}") for r, c in counts.items()], (1,)),
            )
        )
    samples = [(str(row.kind), row.file, f"{row.record:,}", row.reason) for row in ingest.examples]
    samples += [
        ("broken file", c.file, "", f"{c.reason}; {c.unread_bytes:,} bytes unread") for c in ingest.corrupt
    ]
    section.blocks.append(
        Table("Samples of what was set aside", Grid.of(("kind", "file", "record", "reason"), samples, (2,)))
    )
