"""Trains on one core and on several; says what an epoch takes, and whether the weights can be repeated.

Usage: python -m tests.bench.cores [RECORDS] [BATCH]   (default 50000 512)

Each training is a process of its own, two epochs with XLA at the default sizes, and is done twice for each
number of threads. Prints a Markdown table: seconds and processor time of the second epochs, and whether both
trainings ended with the same weights to the last bit.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

CHILD = "import sys; from tests.bench import cores; cores.train(*map(int, sys.argv[1:]))"


def main(records: int, batch: int) -> None:
    print("| threads | second epoch: s | processor s | rows/s | rows/s of processor time | same weights |")
    print("| --- |" + " --- |" * 5)
    for threads in (1, os.cpu_count() or 1):
        found = [_train(records, batch, threads) for _ in range(2)]
        seconds, cpu = (min(one[name] for one in found) for name in ("seconds", "cpu"))
        same = "yes" if found[0]["weights"] == found[1]["weights"] else "no"
        rates = f"{records / seconds:,.0f} | {records / cpu:,.0f}"
        print(f"| {threads} | {seconds:.1f} | {cpu:.1f} | {rates} | {same} |", flush=True)


def _train(records: int, batch: int, threads: int) -> dict[str, Any]:
    command = [sys.executable, "-c", CHILD, *map(str, (records, batch, threads))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def train(records: int, batch: int, threads: int) -> None:
    """Trains once; prints what its second epoch took, and a digest of the weights, as JSON."""
    import tensorflow as tf

    from maskline.trainer import fit as trainer
    from maskline.trainer.dataset import Rows
    from maskline.trainer.progress import Progress
    from maskline.trainer.settings import TrainerSettings
    from maskline.transform.features import SequenceSpec
    from tests.bench.data import drawn

    clocks: list[tuple[float, float]] = []

    class Timed(Progress):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            super().on_epoch_end(epoch, logs)
            clocks.append((time.perf_counter(), time.process_time()))

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    spec, rows = SequenceSpec(), drawn(records + 1000, seed=0).rows
    training = {"epochs": 2, "batch_size": batch, "threads": threads, "xla": "on"}
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(trainer, "Progress", Timed):
        model, _ = trainer.fit(
            Rows(rows.x[1000:], rows.y[1000:]),
            Rows(rows.x[:1000], rows.y[:1000]),
            spec,
            TrainerSettings.model_validate({"training": training}),
            log_dir=Path(folder, "logs"),
            checkpoints=Path(folder, "checkpoints"),
        )
    weights = hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights())).hexdigest()
    (began, used), (ended, used_then) = clocks
    print(json.dumps({"seconds": ended - began, "cpu": used_then - used, "weights": weights}))


if __name__ == "__main__":
    main(*map(int, [*sys.argv[1:], *("50000", "512")[len(sys.argv) - 1 :]]))
