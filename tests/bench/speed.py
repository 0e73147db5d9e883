"""Measures training itself, against the reference loop and eager PyTorch, and prints a Markdown table.

Usage: python -m tests.bench.speed [ROUNDS [PYTHON_WITH_PYTORCH]]

All figures of one table come from one run, in turn, for 3 rounds unless told; a row shows medians.
Examples per second are those of whole epochs after the first, in which TensorFlow traces and compiles;
validation included. Loss and accuracy are of 5,000 exercises, or 500 long rows, by which nothing is chosen,
not even the epoch; no exercise is both there and among those that are trained on, however it is worded.
"""

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

# Each measurement is a process of its own: what one has compiled or cached is no help to the next.
CHILD = """
import sys, json, tempfile
from pathlib import Path
import keras
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(1)
from tests.bench import data
from maskline.trainer.settings import TrainerSettings
from maskline.trainer.fit import fit
from maskline.transform.features import SequenceSpec
rows, length, settings = json.loads(sys.argv[1])
if length == 20:
    found = data.drawn(max(rows * 13 // 10 + 1000, 35_000), seed=1)
    sizes = {"train": rows, "eval": 5000, "test": 5000}
    train, held_out, test = (found.part(split, most).rows for split, most in sizes.items())
else:
    made = dict(shortest=5, longest=length)
    sizes = ((rows, 1), (500, 2), (500, 3))
    train, held_out, test = (data.of_uneven_length(n, seed=s, **made) for n, s in sizes)
with tempfile.TemporaryDirectory() as scratch:
    model, history = fit(
        train, held_out, SequenceSpec(length=length), TrainerSettings.model_validate(settings),
        log_dir=Path(scratch, "logs"), checkpoints=Path(scratch, "checkpoints"),
    )
logits = model.predict(test.x, batch_size=500, verbose=0)
loss = keras.losses.sparse_categorical_crossentropy(test.y, logits, from_logits=True)
seconds = sorted(entry["seconds"] for entry in history[1:])
accuracy = (logits.argmax(-1) == test.y).mean()
print("RESULT", rows / seconds[len(seconds) // 2], float(keras.ops.mean(loss)), accuracy)
"""


class Figure(NamedTuple):
    examples_per_second: float
    wall: float = 0.0  # seconds of the whole process
    loss: float = 0.0  # of rows that nothing was chosen by
    accuracy: float = 0.0


def ours(rows: int, model: Any, training: Any, length: int = 20) -> Callable[[], Figure]:
    """Our training, in a process of its own."""
    settings = {"model": model, "training": {"xla": "on"} | training}

    def measured() -> Figure:
        began = time.perf_counter()
        out = output(sys.executable, "-c", CHILD, json.dumps([rows, length, settings]))
        found = re.search(r"RESULT (\S+) (\S+) (\S+)", out)
        return Figure(float(found[1]), time.perf_counter() - began, float(found[2]), float(found[3]))

    return measured


def reference_loop(shards: list[str]) -> Figure:
    """Examples per second of the reference loop's epochs after the first."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as logs:
        out = output(sys.executable, "-m", "tests.bench.reference_loop", *shards, logs)
    seconds = [float(found) for found in re.findall(r"^epoch \d+: (\S+) s", out, re.M)]
    return Figure(2000 / statistics.median(seconds[1:]), time.perf_counter() - began)


def pytorch(python: str, batch: int) -> Figure:
    """The same model in eager PyTorch."""
    return Figure(float(output(python, str(Path(__file__).with_name("torch_loop.py")), str(batch))))


def output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[:3]} failed:\n{done.stderr[-3000:]}")
    return done.stdout


def main(rounds: int = 3, torch: str | None = None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        measure_all(rounds, torch, Path(folder))


def measure_all(rounds: int, torch: str | None, folder: Path) -> None:
    output(str(Path(sys.executable).parent / "maskline"), "data", "--out", str(folder / "data"))
    shards = [str(folder / f"data/shard_000{i}.tfrecords") for i in (0, 1)]
    reference = {"preset": "reference"}
    masked = reference | {"attention_mask": "keys", "rezero": True}
    buckets = list(range(25, 200, 25))
    free, long = {"preset": "length-free"}, {"batch_size": 128, "epochs": 3}
    small = {"batch_size": 32, "epochs": 40, "xla": "off"}
    measured: Mapping[str, Callable[[], Figure]] = {
        "reference loop, batch 2": lambda: reference_loop(shards),
        "ours, reference's model masked, batch 2": ours(8_000, masked, {"batch_size": 2, "epochs": 4}),
        "ours, reference's model masked, batch 128": ours(100_000, masked, {"batch_size": 128, "epochs": 5}),
        "ours, default preset, batch 128": ours(50_000, {}, {"batch_size": 128, "epochs": 4}),
        "ours, default preset, 2,000 records, dropout 0.2": ours(2_000, {"dropout": 0.2}, small),
        **({f"PyTorch, eager, same model, batch {n}": partial(pytorch, torch, n) for n in (2, 128)}
           if torch else {}),
        "length-free, all padded to 200": ours(20_000, free, long, 200),
        "length-free, in buckets of 25": ours(20_000, free, long | {"length_buckets": buckets}, 200),
    }  # fmt: skip
    figures: dict[str, list[Figure]] = {name: [] for name in measured}
    for turn in range(rounds):
        for name, measure in measured.items():
            figures[name].append(measure())
            print(f"{turn + 1}/{rounds} {name}: {figures[name][-1]}", file=sys.stderr, flush=True)
    base = figures["reference loop, batch 2"]
    print(f"{platform.machine()}, {os.cpu_count()} cores, one thread, median of {rounds}\n")
    print("| training | examples/s | of the reference loop | process, s | loss | accuracy |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, values in figures.items():
        ratio = statistics.median(
            v.examples_per_second / b.examples_per_second for v, b in zip(values, base, strict=True)
        )
        speed, wall, loss, accuracy = (statistics.median(column) for column in zip(*values, strict=True))
        cells = [f"{speed:,.0f}", f"{ratio:.1f}", *(
            f"{value:.{digits}f}" if value else "–" for value, digits in ((wall, 1), (loss, 4), (accuracy, 3))
        )]  # fmt: skip
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(*[int(argument) if argument.isdigit() else argument for argument in sys.argv[1:]])
