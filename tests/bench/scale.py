"""Measures a whole run at growing numbers of records; prints a Markdown table and draws the curve.

Usage: python -m tests.bench.scale [RECORDS…]   (default 10000 100000 1000000 5000000)
       python -m tests.bench.scale before CHECKOUT RECORDS [SETTING…]   (an earlier state of the code, and
           this one; with settings for this one alone, as `data.split_by=` where the other knows of none)

Each size is one `maskline run` from nothing, in two epochs at batch size 512, on sample records in ten
shards. Seconds, processor time and memory are those of each node's process; a node's memory is its highest
resident set, with the imports that all nodes share. The figures are kept in docs/scale.json, so that sizes
can be measured one after the other; the table and docs/speed.svg show all that were. An ideal stands beside
them: what reading and parsing cost in TensorFlow's C++, and what an epoch's matrix products cost at the rate
of one thread of this machine.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SIZES = (10_000, 100_000, 1_000_000, 5_000_000)
NODES = ("ExampleGen", "StatisticsGen", "Transform", "Trainer", "Evaluator")
READING, IDEAL_READING, IDEAL_EPOCH = "reading for training", "ideal: reading and parsing", "ideal: an epoch"
EPOCHS, BATCH = 2, 512
SHORT = ("--set", f"training.epochs={EPOCHS}", "--set", f"training.batch_size={BATCH}")
CHILD = "import sys; from tests.bench import scale; scale.{}(*sys.argv[1:])"
# As Trainer does, what Transform wrote. An earlier state of the code runs this too.
READS = """
import json, resource, sys, tempfile, time
from pathlib import Path
from maskline.trainer.dataset import read_rows
from maskline.transform.features import SequenceSpec

[examples] = Path(sys.argv[1]).glob("artifacts/Transform/transformed_examples/*")
with tempfile.TemporaryDirectory() as folder:
    began = time.perf_counter(), time.process_time()
    parts = (read_rows([f"{split}/*"], SequenceSpec(), Path(folder)) for split in examples.glob("Split-*"))
    rows = sum(len(part.y) for part in parts)
    seconds, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "cpu": cpu, "rows": rows, "mib": mib}))
"""
REPOSITORY = Path(__file__).parents[2]
_Figures = dict[str, dict[str, float]]


def main(sizes: list[int], folder: Path = Path("docs")) -> None:
    kept = folder / "scale.json"
    results: dict[str, _Figures] = json.loads(kept.read_text()) if kept.exists() else {}
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="maskline-scale-") as work:
            results[str(size)] = measure(size, Path(work))
        kept.write_text(json.dumps(results, indent=1) + "\n")
        print(f"{size:,} records done", file=sys.stderr)
    ordered = {size: results[size] for size in sorted(results, key=int)}
    print("\n".join(table(ordered)))
    plot(ordered, folder / "speed.svg")


def measure(records: int, work: Path) -> _Figures:
    """Seconds, rows and MiB of each node, of the whole run, and of what they could ideally be."""
    data, root = work / "data", work / "root"
    _maskline("data", "--out", data, "--records", records // 10)
    began = time.perf_counter()
    _maskline("run", "--data", data, "--root", root, *SHORT)
    return figures(root, data, time.perf_counter() - began)


def figures(root: Path, data: Path, whole: float) -> _Figures:
    """Of the last run of a root, which took so many seconds, and of what it could ideally be."""
    [run] = [json.loads(_maskline("show", "--root", root, "--json"))]
    parts = {part["name"]: part for part in run["components"]}
    used = _used(root)
    found: _Figures = {
        name: {
            "seconds": parts[name]["seconds"],
            "cpu": used[name][0],
            "rows": sum(parts[name]["records_in"].values()),
            "mib": used[name][1],
        }
        for name in NODES
    }
    cpu, mib = sum(cpu for cpu, _ in used.values()), max(mib for _, mib in used.values())
    found["whole run"] = {"seconds": whole, "cpu": cpu, "rows": found[NODES[0]]["rows"], "mib": mib}
    for name, script, place in (
        (READING, READS, root),
        (IDEAL_READING, CHILD.format("read_ideally"), data),
        (IDEAL_EPOCH, CHILD.format("train_ideally"), root),
    ):
        done = subprocess.run(
            [sys.executable, "-c", script, str(place)], capture_output=True, text=True, check=True
        )
        found[name] = json.loads(done.stdout.splitlines()[-1])
    return found


def _used(root: Path) -> dict[str, tuple[float, int]]:
    """Processor time in seconds and the highest memory in MiB of each node, as the log of a run tells."""
    log = "\n".join(file.read_text(errors="replace") for file in (root / "logs").iterdir())
    return {
        name: (float(cpu), int(mib))
        for name, cpu, mib in re.findall(r"(\w+): ([\d.]+) s of processor time, at most (\d+) MiB", log)
    }


def _maskline(*arguments: Any) -> str:
    command = [sys.executable, "-m", "maskline.pipeline.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # 3: a gate stopped the release, which is no matter here.
    if done.returncode not in (0, 3):
        sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
    return done.stdout


def _rows(root: Path, split: str) -> int:
    [history] = root.glob("artifacts/Trainer/history/*/history.json")
    return int(json.loads(history.read_text())["rows"][split])


def read_ideally(data: str) -> None:
    """A loop over the shards in C++."""
    import tensorflow as tf

    wanted = {name: tf.io.RaggedFeature(tf.int64) for name in ("defs", "op", "res")}
    files = sorted(map(str, Path(data).glob("*.tfrecords")))
    began, rows = _clocks(), 0
    for batch in tf.data.TFRecordDataset(files).batch(8192):
        tf.io.parse_example(batch, wanted)
        rows += len(batch)
    _print(began, rows)


def train_ideally(root: str) -> None:
    """The matrix products of an epoch: forward, and twice that backward."""
    import numpy as np
    import tensorflow as tf

    from maskline.trainer.dataset import longest_of, read_rows
    from maskline.trainer.model import build_model
    from maskline.trainer.settings import TrainerSettings
    from maskline.transform.features import SequenceSpec

    tf.config.threading.set_intra_op_parallelism_threads(1)
    rows = _rows(Path(root), "train")
    sides = tf.constant(np.random.default_rng(0).normal(size=(2, 512, 512)), tf.float32)
    product = tf.function(lambda: tf.reduce_sum(sides[0] @ sides[1]))
    product()
    began, count = time.process_time(), 0
    while time.process_time() - began < 1:
        product().numpy()
        count += 1
    rate = count * 2 * 512**3 / (time.process_time() - began)
    spec = SequenceSpec()
    model = build_model(spec, TrainerSettings().model)
    with tempfile.TemporaryDirectory() as folder:
        [split] = Path(root).glob("artifacts/Transform/transformed_examples/*/Split-train")
        length = longest_of(read_rows([f"{split}/*"], spec, Path(folder)))
    products = 0
    for layer in model.layers:
        # A dense layer behind the attention sees a row once; all before it, each of its ids.
        for weight in layer.trainable_weights:
            if len(weight.shape) > 1 and "embedding" not in weight.path:
                products += int(np.prod(weight.shape)) * (1 if "dense" in weight.path else length)
    seconds = 3 * 2 * products * rows / rate
    print(json.dumps({"seconds": seconds, "cpu": seconds, "rows": rows, "mib": 0}))


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _print(began: tuple[float, float], rows: int) -> None:
    import resource

    seconds, cpu = (now - then for now, then in zip(_clocks(), began, strict=True))
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "rows": rows, "mib": mib}))


def table(results: Mapping[str, _Figures]) -> list[str]:
    """One row for each node, four columns for each size."""
    names = list(dict.fromkeys(name for figures in results.values() for name in figures))
    lines = [
        "| node | "
        + " | ".join(f"{int(size):,} records: s | CPU s | rows/CPU s | MiB" for size in results)
        + " |",
        "| --- |" + " --- | --- | --- | --- |" * len(results),
    ]
    for name in names:
        cells = [
            f"{one['seconds']:.1f} | {one['cpu']:.1f} | {_rate(one):,.0f} | {one['mib']:,.0f}"
            if one
            else "– | – | – | –"
            for one in (figures.get(name) for figures in results.values())
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def against(checkout: Path, records: int, settings: Sequence[str]) -> list[str]:
    """Runs another state of the code, set up with `make setup`, and this one, on the same records.

    Seconds of a node are those of the clock; processor time (CPU s) is there where the log tells it, and for
    the whole run, of which it is that of all processes. Rows are those that a node reads; an Evaluator reads
    the rows that decide.
    """
    found = []
    with tempfile.TemporaryDirectory(prefix="maskline-scale-") as work:
        data = Path(work, "data")
        _maskline("data", "--out", data, "--records", records // 10)
        for side in (checkout.resolve(), REPOSITORY):
            root = Path(work, f"root-{len(found)}")
            python = side / ".venv/bin/python"
            own = [part for one in settings if side == REPOSITORY for part in ("--set", one)]
            began = time.perf_counter()
            process = subprocess.Popen(
                [python, "-m", "maskline.pipeline.cli", "run", "--data", data, "--root", root, *SHORT, *own],
                cwd=side, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            usage = os.wait4(process.pid, 0)[2]
            whole = {"seconds": time.perf_counter() - began, "cpu": usage.ru_utime + usage.ru_stime}
            run = json.loads(_maskline("show", "--root", root, "--json"))
            used = _used(root)
            figures: _Figures = {
                part["name"]: {
                    "seconds": part["seconds"],
                    "rows": sum(part["records_in"].values()),
                    **({"cpu": used[part["name"]][0]} if part["name"] in used else {}),
                }
                for part in run["components"]
            }
            figures["whole run"] = {"rows": figures[NODES[0]]["rows"], **whole}
            read = subprocess.run(
                [python, "-c", READS, root], cwd=side, capture_output=True, text=True, check=True
            )
            figures[READING] = json.loads(read.stdout.splitlines()[-1])
            found.append(figures)
            print(figures, file=sys.stderr)
    return ratios(*found)


def ratios(before: _Figures, now: _Figures) -> list[str]:
    """A table of two states of the code."""
    lines = [
        "| node | before: rows | s | CPU s | now: rows | s | CPU s | rows/s: ratio | rows/CPU s: ratio |",
        "| --- |" + " --- |" * 8,
    ]
    for name in (*NODES, "whole run", READING):
        sides = before[name], now[name]
        cells = [
            f"{one['rows']:,.0f} | {one['seconds']:.1f} | " + (f"{one['cpu']:.1f}" if "cpu" in one else "–")
            for one in sides
        ]
        rates = [
            f"{(sides[1]['rows'] / sides[1][of]) / (sides[0]['rows'] / sides[0][of]):.1f}"
            if all(of in one for one in sides)
            else "–"
            for of in ("seconds", "cpu")
        ]
        lines.append(f"| {name} | {' | '.join(cells + rates)} |")
    return lines


def _rate(figures: Mapping[str, float]) -> float:
    # Of processor time: other work on the machine does not change it.
    return figures["rows"] / max(figures["cpu"], 1e-9)


def plot(results: Mapping[str, _Figures], file: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(7.5, 4.2), layout="constrained")
    for name in next(iter(results.values())):
        sizes = [int(size) for size in results if name in results[size]]
        rates = [_rate(results[str(size)][name]) for size in sizes]
        axis.loglog(sizes, rates, ":" if "ideal" in name else "-", marker="o", markersize=4, label=name)
    axis.set_xlabel("records")
    axis.set_ylabel("rows per second of processor time")
    axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, metadata={"Date": None})


if __name__ == "__main__":
    if sys.argv[1:2] == ["before"]:
        print("\n".join(against(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])))
    else:
        main([int(size) for size in sys.argv[1:]] or list(SIZES))
