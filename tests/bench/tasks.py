"""Compares the speed of training by kind of task, at the default settings and 128 rows in a batch.

Usage: python -m tests.bench.tasks [ROUNDS]

It trains `first`, `whole` and `each` in turn on the same 20,000 exercises, ROUNDS times (3 unless told), and
prints rows per second of the epochs after the first, in which TensorFlow traces and compiles, as the median
of the rounds; validation is included. Ratios are taken within a round, as the speed of a machine drifts.
Seconds of the processor are those that all threads of the training used, so other programs on the machine
matter less to them than to seconds of the clock.
"""

import os
import platform
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from maskline.trainer.dataset import Rows
from maskline.trainer.fit import fit
from maskline.trainer.settings import TrainerSettings
from maskline.transform.features import SequenceSpec
from tests.bench import each, whole
from tests.bench.data import drawn

ROWS, HELD_OUT = 20_000, 1_000
SETTINGS = TrainerSettings.model_validate({"training": {"epochs": 6, "batch_size": 128, "xla": "on"}})
KINDS = ("first", "whole", "each")


class Speed(NamedTuple):
    """Rows per second of the processor, and of the clock."""

    processor: float
    clock: float
    parameters: int


class _Watch(keras.callbacks.Callback):
    """Notes both times after each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.processor: list[float] = []
        self.clock: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.processor.append(time.process_time())
        self.clock.append(time.perf_counter())


def rows_of(kind: str, count: int, *, seed: int) -> tuple[SequenceSpec, Rows]:
    """Exercises as rows for a kind of task, and their language."""
    if kind == "each":
        return each.SPEC, each.tagged(count, seed=seed)
    spec = whole.SPEC if kind == "whole" else SequenceSpec()
    return spec, drawn(count, seed=seed, spec=spec).rows


def speed(kind: str) -> Speed:
    """Trains once."""
    keras.utils.clear_session()
    spec, train = rows_of(kind, ROWS, seed=0)
    _, held_out = rows_of(kind, HELD_OUT, seed=1)
    watch = _Watch()
    with tempfile.TemporaryDirectory() as scratch:
        model, _ = fit(
            train, held_out, spec, SETTINGS,
            log_dir=Path(scratch, "l"), checkpoints=Path(scratch, "c"), callbacks=[watch],
        )  # fmt: skip
    processor, clock = (
        ROWS / statistics.median(b - a for a, b in pairwise(times))
        for times in (watch.processor, watch.clock)
    )
    return Speed(processor, clock, model.count_params())


def main(rounds: int) -> None:
    """Measures and prints."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    found = [{kind: speed(kind) for kind in KINDS} for _ in range(rounds)]
    print(f"{platform.machine()}, {os.cpu_count()} cores, one thread, median of {rounds}\n")
    print(
        "| `task.kind` | parameters | rows per second of the processor | of `first` "
        "| rows per second | of `first` |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for kind in KINDS:
        cells = [f"`{kind}`", f"{found[0][kind].parameters:,}"]
        for which in ("processor", "clock"):
            rates = [getattr(one[kind], which) for one in found]
            ratios = [getattr(one[kind], which) / getattr(one["first"], which) for one in found]
            cells += [f"{statistics.median(rates):,.0f}", f"{statistics.median(ratios):.2f}"]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
