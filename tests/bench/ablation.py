"""Trains every way to mask, and every preset, on the same data, and writes a table and a plot into docs.

Usage: python -m tests.bench.ablation [FOLDER [WAY [SEED…]]]   (default docs; about an hour on two cores)

With WAY, such as `whole`, it trains that one alone, with the first seed or with those that are named. What
was trained already is kept in FOLDER/ablation.json and not trained again: remove it to start anew.
"""

import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from maskline.trainer.fit import fit
from maskline.trainer.masking import zero_masked
from maskline.trainer.settings import TrainerSettings
from maskline.transform import whole
from maskline.transform.features import SequenceSpec
from maskline.transform.task import TaskSpec
from tests.bench.data import Exercises, three_parts

SPEC = SequenceSpec()
# No result of two numbers below 100 is longer than five symbols.
SPECS = {"whole": SequenceSpec(task=TaskSpec(kind="whole", length=5))}
RECORDS, SEEDS = 100_000, (0, 1, 2)
# As the measurements in which a residual alone took accuracy from 0.765 to 0.889.
SHORT = {"epochs": 15, "batch_size": 128, "learning_rate": 3e-3, "schedule": "constant", "xla": "on"}
OURS = {"epochs": 15, "batch_size": 128, "learning_rate": 3e-3, "xla": "on"}
LONG = {"epochs": 30, "batch_size": 512, "learning_rate": 6e-3, "xla": "on"}

OPERATORS = "+-*"

PUBLISHED = {"preset": "reference"}
LONGEST = "default, 90 epochs"  # shows where it saturates; one seed
VARIANTS: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "no mask": (PUBLISHED | {"attention_mask": "none"}, SHORT),
    "reference: mask on queries": (PUBLISHED, SHORT),
    "key mask": (PUBLISHED | {"attention_mask": "keys"}, SHORT),
    "key mask, re-zeroed": (PUBLISHED | {"attention_mask": "keys", "rezero": True}, SHORT),
    "the same with residual": (
        PUBLISHED | {"attention_mask": "keys", "rezero": True, "residual": True},
        SHORT,
    ),
    "length-free": ({"preset": "length-free"}, OURS),
    "default": ({"preset": "default"}, OURS),
    "whole": ({"preset": "default"}, OURS),
    "default, 30 epochs": ({"preset": "default"}, LONG),
    LONGEST: ({"preset": "default"}, LONG | {"epochs": 90}),
}


def main(folder: Path, way: str | None = None, *seeds: str) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(1)
    kept = folder / "ablation.json"
    results = json.loads(kept.read_text()) if kept.exists() else {}
    # One seed of each first, so that a table can be made early; the longest last.
    todo = [(name, seed) for seed in SEEDS for name in VARIANTS if name != LONGEST] + [(LONGEST, 0)]
    if way:
        todo = [(way, int(seed)) for seed in seeds or SEEDS[:1]]
    for name, seed in todo:
        if (key := f"{name}/{seed}") not in results:
            model, training = VARIANTS[name]
            spec = SPECS.get(name, SPEC)
            parts = three_parts(RECORDS, seed=1, spec=spec)
            results[key] = measure(*parts, spec, model, {**training, "seed": seed})
            kept.write_text(json.dumps(results, indent=1) + "\n")
            print(key, results[key], file=sys.stderr, flush=True)
    report(results, folder)


def report(results: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """Writes the table and the plot, of the seeds that were trained."""
    (folder / "ablation.md").write_text(table(results))
    plot(results, folder / "ablation.png")


def runs_of(results: Mapping[str, Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    return [results[f"{name}/{seed}"] for seed in SEEDS if f"{name}/{seed}" in results]


def measure(
    train: Exercises, held_out: Exercises, test: Exercises, spec: SequenceSpec, model: Any, training: Any
) -> dict[str, Any]:
    """Trains once; `held_out` chooses the epoch where the settings ask for it.

    Returns:
      loss and accuracy of the first symbol on `test`, also by operator, the accuracy on the rows that were
      trained on, the share of attention that real positions pay to padding, how many rows each part holds,
      the number of parameters, and examples a second over the fastest half of the epochs, validation
      included. Of a model of whole answers also the exact match.
    """
    keras.utils.clear_session()
    settings = TrainerSettings.model_validate({"model": model, "training": training})
    with tempfile.TemporaryDirectory() as scratch:
        fitted, history = fit(
            train.rows,
            held_out.rows,
            spec,
            settings,
            log_dir=Path(scratch, "logs"),
            checkpoints=Path(scratch, "c"),
        )
    x, y, _ = test.rows
    logits = fitted.predict(x, batch_size=4096, verbose=0)
    exact = {}
    if spec.task.kind == "whole":
        right = whole.same(y, logits.argmax(-1), spec.pad_id)
        exact = {"exact_match": round(float(right.mean()), 4)}
    logits, y = first_of(logits, y, spec)
    loss = keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)
    right = logits.argmax(-1) == y
    answers, labels = first_of(fitted.predict(train.rows.x, batch_size=4096, verbose=0), train.rows.y, spec)
    learned = answers.argmax(-1) == labels
    seconds = sorted(entry["seconds"] for entry in history)
    return {
        **exact,
        "loss": round(float(np.mean(loss)), 4),
        "accuracy": round(float(np.mean(right)), 4),
        **{f"accuracy of {sign}": round(float(right[test.operator == sign].mean()), 4) for sign in OPERATORS},
        "accuracy_in_training": round(float(np.mean(learned)), 4),
        "attention_on_padding": round(attention_on_padding(fitted, x[:2000]), 4),
        "rows": [len(part.split) for part in (train, held_out, test)],
        "parameters": fitted.count_params(),
        "examples_per_second": round(len(train.split) / statistics.median(seconds[: len(seconds) // 2])),
    }


def first_of(logits: Any, labels: Any, spec: SequenceSpec) -> tuple[Any, Any]:
    """Logits and label of the first symbol."""
    return (logits[:, 0], labels[:, 0]) if spec.task.kind == "whole" else (logits, labels)


def attention_on_padding(model: keras.Model, x: Any) -> float:
    """The mean share of a real position's attention that goes to padded ones."""
    x = x.astype(np.int32)
    reflect, mask = model.get_layer("reflect"), x != SPEC.pad_id
    inputs, _ = keras.Function(model.input, reflect.input)(x)  # beside the mask, as Keras has it
    weights = reflect.attention(zero_masked(inputs, mask) if reflect.rezero else inputs, mask)
    on_padding = np.where(mask[:, None, :], 0, keras.ops.convert_to_numpy(weights)).sum(-1)
    return float(on_padding[mask].mean())


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    train, held_out, test = next(iter(results.values()))["rows"]
    lines = [
        "# Ways to mask, and presets\n",
        f"{train:,} records to train on; {held_out:,} others choose the epoch, and the figures are of "
        f"{test:,} that nothing is chosen by. No two of these parts share an exercise (operation and "
        "unordered values), however it is worded. All predict the first symbol of the result but `whole`, "
        "which predicts all of it with the layers of the `default` preset; its loss and accuracy here are "
        "those of the first symbol, too. Mean ± half the spread over the seeds; one figure alone is "
        f"of one seed. {platform.machine()}, {os.cpu_count()} cores, one thread; [speed.md](speed.md) says "
        "how fast these trainings are. `make ablation` repeats it, with three seeds.\n",
        "| | seeds | parameters | epochs | batch | loss | accuracy "
        "| accuracy in training | attention on padding | exact match |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, (_, training) in VARIANTS.items():
        runs = runs_of(results, name)
        if not runs:  # not trained yet
            continue
        columns = ("loss", "accuracy", "accuracy_in_training", "attention_on_padding")
        figures = " | ".join(spread([run[key] for run in runs]) for key in columns)
        exact = [run["exact_match"] for run in runs if "exact_match" in run]
        lines.append(
            f"| {name} | {len(runs)} | {runs[0]['parameters']:,} | {training['epochs']} "
            f"| {training['batch_size']} | {figures} | {spread(exact) if exact else '–'} |"
        )
    return "\n".join(lines + errors(results)) + "\n"


def errors(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A table of where the errors are, of the runs that tell."""
    columns = [f"accuracy of {sign}" for sign in OPERATORS]
    lines = [
        "\n## Where the errors are\n",
        "| | seeds | " + " | ".join(f"`{sign}`" for sign in OPERATORS) + " |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name in VARIANTS:
        if runs := [run for run in runs_of(results, name) if columns[0] in run]:
            cells = (spread([run[column] for run in runs]) for column in columns)
            lines.append(f"| {name} | {len(runs)} | {' | '.join(cells)} |")
    return lines


def spread(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{statistics.mean(values):.3f} ± {(max(values) - min(values)) / 2:.3f}"


def plot(results: Mapping[str, Mapping[str, Any]], file: Path) -> None:
    import matplotlib

    matplotlib.use("svg" if file.suffix == ".svg" else "agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(11, 3.6), sharey=True, layout="constrained")
    titles = {
        "accuracy": "accuracy on unseen exercises",
        "loss": "loss on unseen exercises",
        "attention_on_padding": "attention on padding",
    }
    for axis, (key, title) in zip(axes, titles.items(), strict=True):
        for place, name in enumerate(VARIANTS):
            values = [run[key] for run in runs_of(results, name)]
            if not values:
                continue
            ours = name.startswith(("default", "length-free", "whole"))
            axis.barh(place, statistics.mean(values), color="#1b7f79" if ours else "#9aa5b1")
            axis.plot(values, [place] * len(values), "k|", markersize=9)
        axis.set_title(title, fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(range(len(VARIANTS)), VARIANTS)
    axes[0].invert_yaxis()
    figure.savefig(file, dpi=150)


if __name__ == "__main__":
    main(*([Path(sys.argv[1]), *sys.argv[2:]] if len(sys.argv) > 1 else [Path("docs")]))
