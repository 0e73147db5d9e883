"""Shows what shards hold, on a terminal of any width."""

from collections import Counter
from collections.abc import Iterator

import rich.box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from maskline.components.ingest.listing import hidden_note
from maskline.pipeline.data.stats import DataStats, FeatureStats

_BINS = 20  # of the histogram, at most
_BAR = 40  # characters of its longest bar
_SYMBOLS = 30  # of the vocabulary, at most


def show(stats: DataStats, where: str, console: Console, *, hidden: int = 0) -> None:
    """Prints shards, counts, features, the histogram of lengths, use of the vocabulary and length advice.

    Args:
      stats: what was measured.
      where: what the user asked for.
      console: where it goes.
      hidden: names that are no shards because of how they begin.
    """
    console.print(
        f"{where}: {stats.rows:,} rows in {len(stats.shards):,} shards", soft_wrap=True, markup=False
    )
    console.print(_shards(stats))
    if hidden:
        console.print(hidden_note(hidden))
    if stats.unreadable:
        console.print(f"{stats.unreadable:,} rows are not tf.Examples")
    if not stats.lengths:
        console.print(f"no row has all of {', '.join(stats.spec.features)}")
        return
    console.print(Group(_features(stats), _histogram(stats.lengths), _vocabulary(stats)))
    console.print(_advice(stats), soft_wrap=True)


def _shards(stats: DataStats) -> RenderableType:
    """All of them: it is the list that a run reads."""
    table = _table("shard", "bytes", "rows")
    for shard, rows in stats.shards.items():
        table.add_row(Text(shard.name, overflow="fold"), f"{shard.size:,}", f"{rows:,}")
    return table


def _features(stats: DataStats) -> RenderableType:
    table = _table("feature", "rows", "missing", "shortest", "mean", "longest", "ids used", "outside")
    for name, feature in stats.features.items():
        lengths = feature.lengths
        of_class = name == stats.spec.label and stats.spec.task.classes
        known = frozenset(range(len(stats.spec.answers))) if of_class else stats.spec.allowed
        table.add_row(
            name,
            f"{lengths.total():,}",
            f"{feature.missing:,}",
            str(min(lengths, default=0)),
            f"{_mean(lengths):.1f}",
            str(max(lengths, default=0)),
            f"{len(known & feature.ids.keys())} of {len(known)}",
            f"{sum(n for i, n in feature.ids.items() if i not in known):,}",
        )
    return table


def _histogram(lengths: Counter[int]) -> RenderableType:
    """Joined lengths; several to a line where there are many."""
    low, high = min(lengths), max(lengths)
    width = -(-(high - low + 1) // _BINS)
    bins: Counter[int] = Counter()
    for length, rows in lengths.items():
        bins[(length - low) // width] += rows
    table = _table("joined length", "rows", "share", "")
    for index in range((high - low) // width + 1):
        first, last = low + index * width, min(high, low + (index + 1) * width - 1)
        rows = bins[index]
        bar = "█" * round(_BAR * rows / max(bins.values())) or ("▏" if rows else "")
        label = str(first) if first == last else f"{first}…{last}"
        table.add_row(label, f"{rows:,}", f"{rows / lengths.total():.1%}", Text(bar, style="cyan"))
    return table


def _vocabulary(stats: DataStats) -> RenderableType:
    """How often each symbol occurs in each feature; the most frequent first."""
    together: Counter[int] = Counter()
    others = {stats.spec.label} if stats.spec.task.classes else set()
    features = {name: feature for name, feature in stats.features.items() if name not in others}
    for feature in features.values():
        together.update(feature.ids)
    table = _table("id", "symbol", *features)
    for value, _ in together.most_common(_SYMBOLS):
        inside = 0 <= value < stats.spec.size
        symbol = Text(stats.spec.vocabulary[value] if inside else "outside the vocabulary")
        table.add_row(str(value), symbol, *(_share(feature, value) for feature in features.values()))
    unused = [s for i, s in enumerate(stats.spec.vocabulary) if i in stats.spec.allowed - together.keys()]
    notes = [f"and {len(together) - _SYMBOLS:,} more ids"] if len(together) > _SYMBOLS else []
    if unused:
        more = " …" if len(unused) > _SYMBOLS else ""
        notes.append(f"never used: {' '.join(map(repr, unused[:_SYMBOLS]))}{more}")
    return Group(table, *(Text(note) for note in notes), *_classes(stats))


def _classes(stats: DataStats) -> Iterator[RenderableType]:
    """How often each class occurs; nothing where the label is of symbols."""
    if stats.spec.task.classes:
        feature = stats.features[stats.spec.label]
        table = _table("id", "class", stats.spec.label)
        for value, name in enumerate(stats.spec.answers):
            table.add_row(str(value), Text(name), _share(feature, value))
        yield table


def _advice(stats: DataStats) -> Text:
    length, longer = (
        stats.spec.length,
        sum(n for size, n in stats.lengths.items() if size > stats.spec.length),
    )
    lines = [
        f"sequence.length {length}: {stats.padding(length):.1%} of the ids are padding; "
        f"{longer:,} rows are longer",
        *(
            f"{share * 100:g}% of the rows fit in {stats.fits(share)}: "
            f"{stats.padding(stats.fits(share)):.1%} padding"
            for share in (0.99, 0.999, 1.0)
        ),
        "model.preset to begin with: {}, for {}; docs/models.md".format(*stats.preset),
    ]
    return Text("\n".join(lines))


def _share(feature: FeatureStats, value: int) -> str:
    count = feature.ids[value]
    return f"{count / feature.ids.total():.2%}" if count else ""


def _mean(lengths: Counter[int]) -> float:
    return sum(length * rows for length, rows in lengths.items()) / max(1, lengths.total())


def _table(*columns: str) -> Table:
    table = Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(columns):
        numbers = index and name not in ("", "symbol", "class")
        table.add_column(name, justify="right" if numbers else "left", no_wrap=True)
    return table
