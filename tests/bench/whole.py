"""What a model of whole answers learns of the exercises: exact match, by operator and digits, and each digit.

Usage: python -m tests.bench.whole RECORDS EPOCHS [BATCH LEARNING_RATE [SEED]]

It trains at the default settings, or with these, on so many records, made in memory as the pipeline would
make them. Others choose the epoch, and the figures are of those that nothing was chosen by; no exercise is in
two of these parts, however it is worded. It prints a table in Markdown.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from maskline.trainer.fit import fit
from maskline.trainer.settings import TrainerSettings
from maskline.transform import whole
from maskline.transform.features import SequenceSpec
from maskline.transform.task import TaskSpec
from tests.bench.data import three_parts

# No result of two numbers below 100 is longer than five symbols.
SPEC = SequenceSpec(task=TaskSpec(kind="whole", length=5))
AT_ONCE = 4096


def main(records: int, training: dict[str, float]) -> None:
    """Trains, measures and prints."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    train, held_out, test = three_parts(records, seed=1, spec=SPEC)
    settings = TrainerSettings.model_validate({"training": training})
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        model, _ = fit(
            train.rows, held_out.rows, SPEC, settings,
            log_dir=Path(scratch, "l"), checkpoints=Path(scratch, "c"),
        )  # fmt: skip
        seconds = time.perf_counter() - began
    x, y, _ = test.rows
    logits = model.predict(x, batch_size=AT_ONCE, verbose=0).astype(np.float64)
    ids, _ = whole.answered(whole.probabilities(logits), SPEC.pad_id)
    right = whole.same(y, ids, SPEC.pad_id)
    digits = whole.lengths(y, SPEC.pad_id) - (y == SPEC.ids["-"]).any(axis=-1)
    said = ", ".join(f"{name} {value:g}" for name, value in training.items())
    print(f"{records:,} records, {said}, {model.count_params():,} parameters, {seconds:.0f} s\n")
    print("| rows | count | exact match | first symbol |\n| --- | --- | --- | --- |")
    groups = {"all": np.ones(len(y), bool)}
    groups |= {f"operator `{sign}`": test.operator == sign for sign in "+-*"}
    for sign in ("", *"+-*"):
        of_sign = test.operator == sign if sign else groups["all"]
        groups |= {
            f"{f'operator `{sign}`, ' if sign else ''}{count} digit{'s' * int(count > 1)}": of_sign
            & (digits == count)
            for count in np.unique(digits[of_sign])
        }
    for name, which in groups.items():
        first = (ids[which, 0] == y[which, 0]).mean()
        print(f"| {name} | {which.sum():,} | {right[which].mean():.3f} | {first:.3f} |")
    print("\n| digit, from the end | of `+` | of `-` | of `*` |\n| --- | --- | --- | --- |")
    for place in range(digits.max()):
        same = from_end(y, place) == from_end(ids, place)
        of_signs = [same[(test.operator == sign) & (digits > place)] for sign in "+-*"]
        cells = [f"{found.mean():.3f}" if len(found) else "–" for found in of_signs]
        print(f"| {place + 1} | {' | '.join(cells)} |")


def from_end(ids: NDArray[np.integer], place: int) -> NDArray[np.integer]:
    """The symbol [b] of each answer [b, l] that so many others stand behind; padding where there is none."""
    at = whole.lengths(ids, SPEC.pad_id) - 1 - place
    return np.where(at < 0, SPEC.pad_id, np.take_along_axis(ids, np.maximum(at, 0)[:, None], 1)[:, 0])


if __name__ == "__main__":
    names = ("epochs", "batch_size", "learning_rate", "seed")
    main(int(sys.argv[1]), dict(zip(names, (float(value) for value in sys.argv[2:]), strict=False)))
