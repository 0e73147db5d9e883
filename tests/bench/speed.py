"""Measures training itself, against the reference loop and eager PyTorch, and prints a Markdown table.

Usage: python -m tests.bench.speed [PYTHON_WITH_PYTORCH]

All figures of one table come from one run, in turn, three times; a row shows medians. Examples per second
are those of whole epochs after the first, in which TensorFlow traces and compiles; validation included.
"""

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROUNDS = 3  # of the whole table
# Each measurement is a process of its own: what one has compiled or cached is no help to the next.
CHILD = """
import sys, json, tempfile
from pathlib import Path
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(1)
from tests.bench import data
from trainer.config import TrainerSettings
from trainer.fit import fit
from transform.features import SequenceSpec
rows, length, settings = json.loads(sys.argv[1])
if length == 20:
    train, held_out = data.arithmetic(rows, seed=1), data.arithmetic(200, seed=2)
else:
    made = dict(shortest=5, longest=length)
    train, held_out = (data.of_uneven_length(n, seed=s, **made) for n, s in ((rows, 1), (500, 2)))
with tempfile.TemporaryDirectory() as scratch:
    _, history = fit(train, held_out, SequenceSpec(length=length), TrainerSettings.model_validate(settings),
                     log_dir=Path(scratch, "logs"), checkpoints=Path(scratch, "checkpoints"))
seconds = sorted(entry["seconds"] for entry in history[1:])
print("RESULT", rows / seconds[len(seconds) // 2], history[-1]["val_loss"])
"""


def ours(rows: int, model: Any, training: Any, length: int = 20) -> Callable[[], tuple[float, float]]:
    """Examples per second and last held-out loss of our training."""
    settings = {"model": model, "training": {"xla": "on", "best_weights": False} | training}

    def measured() -> tuple[float, float]:
        out = output(sys.executable, "-c", CHILD, json.dumps([rows, length, settings]))
        speed, loss = re.search(r"RESULT (\S+) (\S+)", out).groups()
        return float(speed), float(loss)

    return measured


def reference_loop(shards: list[str]) -> tuple[float, float]:
    """Examples per second of the reference loop's epochs after the first."""
    with tempfile.TemporaryDirectory() as logs:
        out = output(sys.executable, "-m", "tests.bench.reference_loop", *shards, logs)
    seconds = [float(found) for found in re.findall(r"^epoch \d+: (\S+) s", out, re.M)]
    return 2000 / statistics.median(seconds[1:]), 0.0


def output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[:3]} failed:\n{done.stderr[-3000:]}")
    return done.stdout


def main(torch: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        measure_all(torch, Path(folder))


def measure_all(torch: str | None, folder: Path) -> None:
    output(str(Path(sys.executable).parent / "maskline"), "data", "--out", str(folder / "data"))
    shards = [str(folder / f"data/shard_000{i}.tfrecords") for i in (0, 1)]
    reference = {"preset": "reference"}
    masked = reference | {"attention_mask": "keys", "rezero": True}
    buckets = list(range(25, 200, 25))
    free, long = {"preset": "length-free"}, {"batch_size": 128, "epochs": 3}
    loop = Path(__file__).with_name("torch_loop.py")
    measured: Mapping[str, Callable[[], tuple[float, float]]] = {
        "reference loop, batch 2": lambda: reference_loop(shards),
        "ours, reference's model masked, batch 2": ours(8_000, masked, {"batch_size": 2, "epochs": 4}),
        "ours, reference's model masked, batch 128": ours(100_000, masked, {"batch_size": 128, "epochs": 4}),
        "ours, default preset, batch 128": ours(50_000, {}, {"batch_size": 128, "epochs": 4}),
        **({"PyTorch, eager, same model, batch 2": lambda: (float(output(torch, str(loop), "2")), 0.0),
            "PyTorch, eager, same model, batch 128": lambda: (float(output(torch, str(loop), "128")), 0.0)}
           if torch else {}),
        "length-free, all padded to 200": ours(20_000, free, long, 200),
        "length-free, in buckets of 25": ours(20_000, free, long | {"length_buckets": buckets}, 200),
    }  # fmt: skip
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in measured}
    for turn in range(ROUNDS):
        for name, measure in measured.items():
            figures[name].append(measure())
            print(f"{turn + 1}/{ROUNDS} {name}: {figures[name][-1]}", file=sys.stderr, flush=True)
    base = figures["reference loop, batch 2"]
    print(f"{platform.machine()}, {os.cpu_count()} cores, one thread, median of {ROUNDS}\n")
    print("| training | examples/s | of the reference loop | held-out loss |")
    print("| --- | --- | --- | --- |")
    for name, values in figures.items():
        ratio = statistics.median(v[0] / b[0] for v, b in zip(values, base, strict=True))
        loss = statistics.median(v[1] for v in values)
        shown = f"{loss:.3f}" if loss else "–"
        print(f"| {name} | {statistics.median(v[0] for v in values):,.0f} | {ratio:.1f} | {shown} |")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
