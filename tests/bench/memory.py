"""Measures whether training's memory grows with the number of records, and prints a Markdown table.

Usage: python -m tests.bench.memory [RECORDS…]   (default 20000 400000)

Reads records as Transform writes them and trains one epoch of the default preset, in a process of its own.
Memory is what the process holds for itself (RssAnon at its highest); pages of the mapped file of rows are
the system's, which takes them back when it needs them.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from maskline.transform import stored

CHILD = "import sys; from tests.bench import memory; memory.train(sys.argv[1], sys.argv[2])"


def main(sizes: list[int]) -> None:
    print("| records | anonymous memory at its highest | file of rows |")
    print("| --- | --- | --- |")
    for records in sizes:
        with tempfile.TemporaryDirectory() as folder:
            write(records, folder)
            command = [sys.executable, "-c", CHILD, folder, str(records)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr[-3000:])
            peak, on_disk = json.loads(done.stdout.splitlines()[-1])
            print(f"| {records:,} | {peak / 2**20:.0f} MiB | {on_disk / 2**20:.1f} MiB |", flush=True)


def write(records: int, folder: str) -> None:
    """Rows as Transform writes them; what they say does not matter here."""
    rng = np.random.default_rng(0)
    columns = stored.columns_of({"x": ("i", 20), "y": ("i", 1)})
    with closing(stored.RowsWriter(open(f"{folder}/rows.arrow", "wb"), columns)) as writer:
        for start in range(0, records, 10_000):
            ids = rng.integers(1, 20, (min(10_000, records - start), 20))
            ids[:, 15:] = 0
            writer.write({"x": ids, "y": ids[:, 0]})


def train(folder: str, records: str) -> None:
    """What Trainer does with them; prints [bytes of memory, bytes of the file of rows]."""
    import tensorflow as tf

    from maskline.trainer.dataset import Rows, read_rows
    from maskline.trainer.fit import fit
    from maskline.trainer.settings import TrainerSettings
    from maskline.transform.features import SequenceSpec

    tf.config.threading.set_intra_op_parallelism_threads(1)
    peak = [0]
    threading.Thread(target=_sample, args=(peak,), daemon=True).start()
    place, spec = Path(folder), SequenceSpec()
    rows = read_rows([f"{folder}/rows.arrow"], spec, place)
    settings = TrainerSettings.model_validate({"training": {"epochs": 1, "xla": "on"}})
    fit(
        rows, Rows(rows.x[:1000], rows.y[:1000]), spec, settings,
        log_dir=place / "logs", checkpoints=place / "checkpoints",
    )  # fmt: skip
    print(json.dumps([peak[0], int(records) * (spec.length + 1)]))


def _sample(peak: list[int]) -> None:
    while True:
        status = Path("/proc/self/status").read_text().split()
        peak[0] = max(peak[0], int(status[status.index("RssAnon:") + 1]) * 1024)
        time.sleep(0.05)


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [20_000, 400_000])
