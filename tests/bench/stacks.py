"""Compares two roots that ran the same data and settings on the two stacks, and prints what is the same.

Usage: python -m tests.bench.stacks ROOT ROOT

Exit status 1 where parsed artifacts differ, or the held-out loss of an epoch by more than 1e-4.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import json_format
from tensorflow_metadata.proto.v0 import statistics_pb2

from maskline.components.data_gate.resampling import Parts
from maskline.components.ingest.quarantine import read_report
from maskline.components.ingest.shards import read_shard
from maskline.transform import stored
from maskline.transform.names import SPLITS

TOLERANCE = 1e-4


def main(first: Path, second: Path) -> int:
    """Prints a line for each artifact; gives the exit status."""
    compared: dict[str, Callable[[Path], Any]] = {"quarantine": quarantined}
    for split in SPLITS:
        compared |= {
            f"examples, {split}": partial(records, split=split),
            f"transformed, {split}": partial(transformed, split=split),
            f"statistics, {split}": partial(statistics, split=split),
            f"counts, {split}": partial(counts, split=split),
        }
    equal = {name: read(first) == read(second) for name, read in compared.items()}
    for name, same in equal.items():
        print(f"{name:20} {'the same' if same else 'DIFFERENT'}")
    losses = np.array([held_out_losses(root) for root in (first, second)])
    far = np.abs(losses[0] - losses[1])
    for number, (one, other) in enumerate(losses.T, start=1):
        print(f"epoch {number:2}: held-out loss {one:.7f}, {other:.7f}")
    print(f"at most {far.max():.1e} apart")
    return 0 if all(equal.values()) and far.max() <= TOLERANCE else 1


def folder(root: Path, output: str) -> Path:
    """The newest artifact of an output."""
    return max((root / "artifacts" / output).iterdir(), key=lambda path: int(path.name))


def transformed(root: Path, split: str) -> list[Any]:
    """What became of the rows of a split, in the order of their numbers."""
    files = (folder(root, "Transform/transformed_examples") / f"Split-{split}").iterdir()
    blocks = [block for file in sorted(files) for block in stored.blocks(str(file))]
    return sorted(row for block in blocks for row in np.hstack([block[n] for n in sorted(block)]).tolist())


def records(root: Path, split: str) -> list[Any]:
    """All rows of a split, parsed, in any order."""
    import tensorflow as tf

    files = sorted((folder(root, "ExampleGen/examples") / f"Split-{split}").iterdir())
    rows = [tf.train.Example.FromString(record.data) for file in files for record in read_shard(str(file))]
    return sorted(row.SerializeToString(deterministic=True) for row in rows)


def statistics(root: Path, split: str) -> Any:
    """A split's statistics, with the features in the order of their names."""
    file = folder(root, "StatisticsGen/statistics") / f"Split-{split}" / "FeatureStats.pb"
    if not file.exists():
        return None
    found = json_format.MessageToDict(
        statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes())
    )
    for dataset in found["datasets"]:
        dataset["features"].sort(key=lambda feature: str(feature["path"]))
    return found


def counts(root: Path, split: str) -> Any:
    """A split's counts of values, by feature."""
    with open(folder(root, "StatisticsGen/statistics") / f"Split-{split}" / "parts.npz", "rb") as file:
        parts = Parts.read(file)
    return {
        name: sorted(zip(parts.values[name], map(tuple, rows.tolist()), strict=True))
        for name, rows in parts.counts.items()
    }


def quarantined(root: Path) -> Any:
    """How many rows were set aside, by reason."""
    return read_report(folder(root, "ExampleGen/quarantine")).quarantined


def held_out_losses(root: Path) -> list[float]:
    """One for each epoch of the training."""
    report = json.loads((folder(root, "Trainer/history") / "history.json").read_bytes())
    return [epoch["val_loss"] for epoch in report["history"]]


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:3])))
