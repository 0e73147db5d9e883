"""Measures what kept code saves a training: `python -m tests.bench.compiled [ROUNDS]` prints a table.

Each round trains at the default settings on 8,000 rows without kept code, with none yet, and with what the
second kept, on other rows; each in a process of its own. Processor time is that of building and fitting.
"""

import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

CHILD = """
import sys, tempfile, time
from contextlib import nullcontext
from pathlib import Path
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(1)
from maskline.trainer.compiled import compiled_code
from maskline.trainer.fit import fit
from maskline.trainer.settings import TrainerSettings
from maskline.transform.features import SequenceSpec
from tests.bench import data
kept, rows = sys.argv[1], int(sys.argv[2])
reused = compiled_code(Path(kept), threads=1) if kept else nullcontext()
with reused, tempfile.TemporaryDirectory() as scratch:
    train, held_out = (data.drawn(n, seed=s).rows for n, s in ((rows, 1), (rows // 16, 2)))
    began = time.process_time()
    fit(train, held_out, SequenceSpec(), TrainerSettings(),
        log_dir=Path(scratch, "logs"), checkpoints=Path(scratch, "checkpoints"))
    print("RESULT", time.process_time() - began)
"""


def seconds(kept: str, rows: int) -> float:
    """Processor time of a training in a process of its own."""
    command = [sys.executable, "-c", CHILD, kept, str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(re.search(r"RESULT (\S+)", done.stdout)[1])


def main(rounds: int) -> None:
    """Measures in turn and prints medians."""
    figures: dict[str, list[float]] = {"nothing is kept": [], "the first that keeps": [], "a later one": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            kept = str(Path(folder, "compiled"))
            for values, place, rows in zip(
                figures.values(), ("", kept, kept), (8000, 8000, 8100), strict=True
            ):
                values.append(seconds(place, rows))
    print("| training | CPU s | of all rounds | of the first |")
    print("| --- | --- | --- | --- |")
    base = figures["nothing is kept"]
    for name, values in figures.items():
        ratio = statistics.median(v / b for v, b in zip(values, base, strict=True))
        each = ", ".join(f"{value:.1f}" for value in values)
        print(f"| {name} | {statistics.median(values):.1f} | {each} | {ratio:.2f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
