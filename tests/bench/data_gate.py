"""What the data gate costs on many rows and ids, beside TFDV's statistics.

Usage: python -m tests.bench.data_gate [ROWS [VOCABULARY]]   (default 500,000 and 50,000; some minutes)

It prints seconds and memory of the counts that StatisticsGen keeps beside its statistics, of their merge and
file, and of the judgement on drift. Rows have 5 to 14 ids, Zipf distributed, in the batches that TFX reads.
"""

import io
import sys
import time
import tracemalloc

import numpy as np

from maskline.components.data_gate.divergence import chance
from maskline.components.data_gate.resampling import Parts
from tests.bench.false_alarms import Rows, divergence, draw

BATCH = 1000  # rows; TFX's batches hold about as many


def counted(rows: Rows) -> Parts:
    """Counts of all rows, batch by batch."""
    parts = Parts()
    for start in range(0, len(rows.lengths), BATCH):
        some = np.arange(start, min(start + BATCH, len(rows.lengths)))
        parts.add(rows.take(some).batch())
    return parts


def main(rows: int, vocabulary: int) -> None:
    drawn = [draw(rows, vocabulary, "even", np.random.default_rng(seed)) for seed in range(2)]
    began = time.process_time()
    parts = counted(drawn[0])
    counting = time.process_time() - began
    tracemalloc.start()  # apart from the clock, which it slows down
    counted(drawn[1])
    memory = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    file = io.BytesIO()
    parts.write(file)
    samples = [some.sample() for some in drawn]
    began = time.process_time()
    apart, allowed = divergence(*samples), chance(*samples)
    judging = time.process_time() - began
    titles = ("rows", "vocabulary", "ids", "s to count", "MiB at most", "file, MiB", "s to judge")
    print(f"| {' | '.join((*titles, 'divergence', 'chance'))} |")
    print(f"|{' --- |' * 9}")
    print(
        f"| {rows:,} | {vocabulary:,} | {len(drawn[0].ids):,} | {counting:.1f} | {memory:.0f} "
        f"| {len(file.getvalue()) / 2**20:.1f} | {judging:.1f} | {apart:.5f} | {allowed:.5f} |"
    )


if __name__ == "__main__":
    given = [int(value) for value in sys.argv[1:]]
    main(given[0] if given else 500_000, given[1] if len(given) > 1 else 50_000)
