"""What a model of whole answers learns of the exercises: exact match by operator and by number of symbols.

Usage: python -m tests.bench.whole RECORDS EPOCHS

It trains at the default settings on so many records, made in memory as the pipeline would make them, and
measures on 3,000 others. It prints a table in Markdown.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maskline.trainer.dataset import Rows
from maskline.trainer.fit import fit
from maskline.trainer.settings import TrainerSettings
from maskline.transform import whole
from maskline.transform.features import SequenceSpec, tokenize
from maskline.transform.samples import exercises
from maskline.transform.task import TaskSpec

SPEC = SequenceSpec(task=TaskSpec(kind="whole", length=5))
HELD_OUT, MEASURED, AT_ONCE = 1000, 3000, 500


class Exercises(NamedTuple):
    """Rows, and the operator of each."""

    rows: Rows
    operator: NDArray[np.str_]


def arithmetic(count: int, *, seed: int) -> Exercises:
    """Exercises with their whole results."""
    x = np.full((count, SPEC.length), SPEC.pad_id, np.uint8)
    y = np.full((count, SPEC.task.length), SPEC.pad_id, np.uint8)
    operators = []
    made = exercises(count, max_value=100, rng=np.random.default_rng(seed))
    for row, (definitions, operation, result) in enumerate(made):
        segments = tokenize(f"{definitions}{SPEC.separator}{operation}", SPEC)
        ids = [*segments["defs"], SPEC.separator_id, *segments["op"]]
        x[row, : len(ids)] = ids
        y[row, : len(result)] = [SPEC.ids[symbol] for symbol in result]
        operators.append(operation[1])
    return Exercises(Rows(x, y), np.array(operators))


def main(records: int, epochs: int) -> None:
    """Trains, measures and prints."""
    train, held_out, measured = (
        arithmetic(count, seed=seed) for seed, count in enumerate((records, HELD_OUT, MEASURED))
    )
    settings = TrainerSettings.model_validate({"training": {"epochs": epochs}})
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        model, _ = fit(
            train.rows,
            held_out.rows,
            SPEC,
            settings,
            log_dir=Path(scratch, "l"),
            checkpoints=Path(scratch, "c"),
        )
        seconds = time.perf_counter() - began
    x, y, _ = measured.rows
    parts = [
        np.asarray(model(x[start : start + AT_ONCE].astype("int32"), training=False), np.float64)
        for start in range(0, MEASURED, AT_ONCE)
    ]
    ids, _ = whole.answered(whole.probabilities(np.concatenate(parts)), SPEC.pad_id)
    right, lengths = whole.same(y, ids, SPEC.pad_id), whole.lengths(y, SPEC.pad_id)
    print(f"{records:,} records, {epochs} epochs, {model.count_params():,} parameters, {seconds:.0f} s\n")
    print("| rows | count | exact match | first symbol |\n| --- | --- | --- | --- |")
    groups = {"all": np.ones(MEASURED, bool)}
    groups |= {f"operator {sign}": measured.operator == sign for sign in "+-*"}
    groups |= {f"{length} symbols": lengths == length for length in np.unique(lengths)}
    for name, which in groups.items():
        first = (ids[which, 0] == y[which, 0]).mean()
        print(f"| {name} | {which.sum():,} | {right[which].mean():.3f} | {first:.3f} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
