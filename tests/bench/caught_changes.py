"""How often the data gate sees a change of the data, by the rows of a span.

Usage: python -m tests.bench.caught_changes [TRIALS]   (default 100; two minutes)

It prints the table of caught changes in docs/data-gate.md: of spans of exercises, one as ever and one that
is changed, counted and judged by the data gate's own code at its defaults.
"""

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from maskline.components.data_gate.divergence import IdSample
from maskline.components.data_gate.resampling import Parts
from maskline.components.data_gate.rules import DataGateSettings
from maskline.transform.features import SequenceSpec
from maskline.transform.samples import exercises
from tests.bench.false_alarms import divergence, too_far

SPEC = SequenceSpec()
FEATURES = (*SPEC.features, SPEC.label)
SIZES = (200, 500, 2_000)
LARGE = 8_000  # rows, for the divergence itself
_SWAPPED = {SPEC.ids[a]: SPEC.ids[b] for a, b in ("+-", "-+")}
Exercise = tuple[str, ...]

# What changes: arguments of `span`, and the features in which it is to be seen.
CHANGES: Mapping[str, tuple[Mapping[str, Any], tuple[str, ...]]] = {
    "max value 100 → 30": ({"max_value": 30}, ("defs",)),
    "no addition": ({"keep": lambda texts: "+" not in texts[1]}, ("op",)),
    "no subtraction": ({"keep": lambda texts: "-" not in texts[1]}, ("op",)),
    "no multiplication": ({"keep": lambda texts: "*" not in texts[1]}, ("op",)),
    "plus and minus swapped": ({"ids": lambda i: _SWAPPED.get(i, i)}, ("defs", "res")),
    "vocabulary reversed": ({"ids": lambda i: SPEC.size - i}, ("defs", "op", "res")),
}


def span(
    count: int,
    seed: Any,
    *,
    max_value: int = 100,
    keep: Callable[[Exercise], bool] = lambda texts: True,
    ids: Callable[[int], int] = lambda i: i,
) -> dict[str, IdSample]:
    """Exercises of one delivery, by feature; `count` are drawn, and those that `keep` wants are kept."""
    drawn = exercises(count, max_value=max_value, rng=np.random.default_rng(seed))
    rows = [[[ids(SPEC.ids[c]) for c in text] for text in texts] for texts in drawn if keep(texts)]
    columns = [pa.array(column, type=pa.list_(pa.int64())) for column in zip(*rows, strict=True)]
    parts = Parts()
    parts.add(pa.RecordBatch.from_arrays(columns, FEATURES))
    found = {}
    for name, column in zip(FEATURES, columns, strict=True):
        counts = Counter(map(str, column.flatten().to_pylist()))
        found[name] = IdSample(counts, dict(zip(parts.values[name], parts.counts[name], strict=True)))
    return found


def caught(change: str, rows: int, trials: int) -> Counter[str]:
    """In so many pairs of spans, how often the drift of each feature alarms."""
    changed, limit = CHANGES[change][0], DataGateSettings().max_drift
    found: Counter[str] = Counter()
    for trial in range(trials):
        now, before = span(rows, [2, rows, trial], **changed), span(rows, [3, rows, trial])
        found.update(f for f in FEATURES if too_far(now[f], before[f], limit=limit))
    return found


def main(trials: int) -> None:
    sizes = " | ".join(f"at {rows:,} rows" for rows in SIZES)
    print(f"| change | seen in | divergence at {LARGE:,} rows | caught of {trials:,} {sizes} |")
    print(f"|{' --- |' * (3 + len(SIZES))}")
    for change, (changed, features) in CHANGES.items():
        found = [caught(change, rows, trials) for rows in SIZES]
        now, before = span(LARGE, 4, **changed), span(LARGE, 5)
        for feature in features:
            times = " | ".join(str(count[feature]) for count in found)
            apart = divergence(now[feature], before[feature])
            print(f"| {change} | `{feature}` | {apart:.3f} | {times} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
