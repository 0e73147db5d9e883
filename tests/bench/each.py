"""What a model of labels of symbols learns of the exercises: the role of each symbol of the definitions.

Usage: python -m tests.bench.each RECORDS EPOCHS

A role is a name, an equals sign, a comma, a minus sign, or a digit by its place in the number, which depends
on what stands behind it: ones or tens. The model trains at the default settings on so many records, made in
memory as the pipeline would make them, and is measured on 3,000 others. It prints a table in Markdown.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from maskline.components.evaluation.answers import Answered, measure
from maskline.components.evaluation.each import read_each
from maskline.components.evaluation.report import CANDIDATE
from maskline.trainer.dataset import Rows
from maskline.trainer.fit import fit
from maskline.trainer.settings import TrainerSettings
from maskline.transform.features import SequenceSpec, tokenize
from maskline.transform.samples import exercises
from maskline.transform.task import TaskSpec

ROLES = ("name", "equals", "comma", "minus", "ones", "tens")
SPEC = SequenceSpec(task=TaskSpec(kind="each", feature="defs", classes=ROLES))
HELD_OUT, MEASURED, AT_ONCE = 1000, 3000, 500
_SIGNS = {"x": "name", "y": "name", "=": "equals", ",": "comma", "-": "minus"}


def roles(definitions: str) -> list[str]:
    """The role of each symbol of `x=-12,y=24`."""
    found: list[str] = []
    for place, symbol in enumerate(definitions):
        behind = len(definitions[place:].partition(",")[0]) - 1
        found.append(_SIGNS.get(symbol) or ("ones", "tens")[behind])
    return found


def tagged(count: int, *, seed: int) -> Rows:
    """Exercises with the roles of their symbols."""
    x = np.full((count, SPEC.length), SPEC.pad_id, np.uint8)
    y = np.full((count, SPEC.length), SPEC.no_label, np.uint8)
    made = exercises(count, max_value=100, rng=np.random.default_rng(seed))
    for row, (definitions, operation, _) in enumerate(made):
        segments = tokenize(f"{definitions}{SPEC.separator}{operation}", SPEC)
        ids = [*segments["defs"], SPEC.separator_id, *segments["op"]]
        x[row, : len(ids)] = ids
        y[row, : len(segments["defs"])] = [ROLES.index(role) for role in roles(definitions)]
    return Rows(x, y)


def main(records: int, epochs: int) -> None:
    """Trains, measures and prints."""
    train, held_out, measured = (
        tagged(count, seed=seed) for seed, count in enumerate((records, HELD_OUT, MEASURED))
    )
    settings = TrainerSettings.model_validate({"training": {"epochs": epochs}})
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        model, _ = fit(
            train, held_out, SPEC, settings, log_dir=Path(scratch, "l"), checkpoints=Path(scratch, "c")
        )
        seconds = time.perf_counter() - began
    parts = [
        np.asarray(model(measured.x[start : start + AT_ONCE].astype("int32"), training=False), np.float64)
        for start in range(0, MEASURED, AT_ONCE)
    ]
    answers = read_each(np.concatenate(parts), measured.y.astype(np.int64), len(ROLES))
    report = measure(
        Answered(np.ones(MEASURED, np.int64), {}, {CANDIDATE: answers}), ROLES, positive=None, whole=True
    ).overall
    figures = report.metrics[CANDIDATE]
    print(f"{records:,} records, {epochs} epochs, {model.count_params():,} parameters, {seconds:.0f} s\n")
    print("| labels | count | token accuracy or F1 |\n| --- | --- | --- |")
    print(f"| all, token accuracy | {answers.positions.sum():,} | {figures['token_accuracy']:.4f} |")
    print(f"| rows in full, exact match | {MEASURED:,} | {figures['accuracy']:.4f} |")
    for role, counts in report.classes[CANDIDATE].items():
        print(f"| {role}, F1 | {counts.rows:,} | {counts.f1:.4f} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
